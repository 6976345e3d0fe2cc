"""Test every row against the contract: accepted rows go on, refused rows are kept and counted.

A bad row never fails the step: its result is stored, and `refusal` says whether it blocks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import params as parameters
from pipelines.canonical import canonical_json, sha256_file
from pipelines.contract import Column, Contract
from pipelines.contract import read as read_contract
from pipelines.data import duplicates, files, picture, read, schema
from pipelines.data.result import Tally, Validation, summed_up
from pipelines.errors import ClewError, DataRefused, Failure, IntegrityBroken
from pipelines.layout import Layout
from pipelines.ports import Context
from pipelines.records import Landed
from pipelines.typed import plain, read_json

__all__ = ["Validation", "refusal", "refused_schema", "run"]
REASON = pa.list_(pa.struct([("rule", pa.string()), ("column", pa.string())]))


def refusal(layout: Layout) -> ClewError | None:
    """Return the error that keeps the stored result from going on, or None. Raises NotThere."""
    result = read_json(files.validation(layout), Validation)
    if not result.blocked:
        return None
    share = result.refused / result.rows if result.rows else 1.0
    return DataRefused(
        "; ".join(result.blocked),
        where="contract.yaml",
        observed=f"{result.refused} of {result.rows} rows refused ({share:.2%})",
        expected=f"at most {result.max_refused_share:.2%}, and every table rule kept",
        hint="open reports/validate/index.html; the refused rows stand in data/refused",
        failures=[
            Failure(each.rule, each.column, each.count, each.rows)
            for each in (*result.table, *result.broken)
        ],
    )


def _raw_chunks(layout: Layout, landed: Landed, columns: Sequence[Column]) -> Iterator[pa.Table]:
    data = parameters.read(layout.params).data
    paths = [layout.landed / each.name for each in landed.files]
    names = [each.name for each in columns]
    return read.chunks(paths, names, data.encoding, data.chunk_rows)


def refused_schema(contract: Contract) -> pa.Schema:
    """Return the schema of the refused rows: number and place, reasons, raw text by column."""
    place = [(files.ROW, pa.int64()), ("_file", pa.string()), ("_line", pa.int64())]
    texts = [(each.name, pa.string()) for each in contract.columns]
    return pa.schema([*place, ("_reasons", REASON), ("_extra", pa.string()), *texts])


def _refused_rows(raw: pa.Table, failures: pd.DataFrame, kind: pa.Schema) -> pa.Table:
    ordered = failures.sort_values(["position", "rule", "column"])
    grouped: dict[int, list[dict[str, str]]] = {}
    for position, rule, column in ordered.itertuples(index=False):
        grouped.setdefault(position, []).append({"rule": rule, "column": column})
    rows = raw.take(pa.array(sorted(grouped), pa.int64()))
    reasons = pa.array([grouped[position] for position in sorted(grouped)], REASON)
    columns = [reasons if name == "_reasons" else rows[name] for name in kind.names]
    return pa.Table.from_arrays(columns, schema=kind)


def _pass(context: Context, contract: Contract, landed: Landed) -> Tally:
    layout = context.layout
    unique = tuple(each for each in contract.columns if each.unique)
    twice = {}
    if unique:
        chunks = _raw_chunks(layout, landed, unique)
        twice = duplicates.find(chunks, unique, context.state.temporary)
    tally, kind = Tally(), refused_schema(contract)
    with pq.ParquetWriter(files.refused_rows(layout), kind, compression="zstd") as writer:
        for raw in _raw_chunks(layout, landed, contract.columns):
            tested = schema.test(raw, contract, twice)
            keep = np.ones(raw.num_rows, dtype=bool)
            keep[tested.failures["position"].to_numpy()] = False
            accepted = tested.typed.filter(pa.array(keep))
            tally.add(tested, accepted)
            if not keep.all():
                writer.write_table(_refused_rows(raw, tested.failures, kind))
            if accepted.num_rows:
                path = files.valid_part(layout, tally.parts)
                pq.write_table(accepted, path, compression="zstd")
                tally.parts += 1
    return tally


def _intact(layout: Layout, landed: Landed) -> None:
    for each in landed.files:
        path = layout.landed / each.name
        if sha256_file(path) != each.sha256:
            raise IntegrityBroken(
                "a landed file is not what its record says", where=each.name, hint="dvc checkout"
            )


def run(context: Context) -> Validation:
    """Test the landed rows, keep the accepted and the refused, write the report."""
    layout = context.layout
    contract = read_contract(layout.contract)
    landed = read_json(layout.landed_record, Landed)
    _intact(layout, landed)
    for folder in (layout.valid, layout.refused, layout.validation_report):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tally = _pass(context, contract, landed)
    result = summed_up(tally, contract, landed, parameters.read(layout.params).data)
    result.write(files.validation(layout))
    summary = {"refused": result.refused, "broken": plain(result.broken)}
    files.refused_summary(layout).write_bytes(canonical_json(summary) + b"\n")
    picture.write(result, contract, layout)
    return result
