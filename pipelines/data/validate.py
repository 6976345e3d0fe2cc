"""Test every row against the contract: accepted rows go on, refused rows are kept and counted.

A bad row never fails the step: its result is stored, and `refusal` says whether it blocks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines import params as parameters
from pipelines.canonical import canonical_json, sha256_file
from pipelines.contract import Column, Contract
from pipelines.contract import read as read_contract
from pipelines.data import duplicates, files, picture, read, schema
from pipelines.errors import ClewError, DataRefused, Failure, IntegrityBroken
from pipelines.layout import Layout
from pipelines.ports import Context
from pipelines.records import Landed, Record
from pipelines.typed import plain, read_json

ROWS_KEPT = 10
REASON = pa.list_(pa.struct([("rule", pa.string()), ("column", pa.string())]))


class Broken(Record, frozen=True):
    """One rule that rows broke: its column, how many rows, the first row numbers."""

    rule: str
    column: str
    count: int
    rows: tuple[int, ...]


class ColumnResult(Record, frozen=True):
    """One column: share of all rows without a value, range of the accepted numbers."""

    name: str
    missing_share: float
    minimum: float | None = None
    maximum: float | None = None


class Validation(Record, frozen=True):
    """The result of `validate`. `blocked` says why what comes after must not run; empty: it may."""

    landed_id: str
    contract_sha256: str
    rows: int
    accepted: int
    refused: int
    max_refused_share: float
    broken: tuple[Broken, ...]
    table: tuple[Broken, ...]
    columns: tuple[ColumnResult, ...]
    blocked: tuple[str, ...]


@dataclass
class Tally:
    """What is counted while the chunks go by."""

    rows: int = 0
    accepted: int = 0
    parts: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, tested: schema.Tested, accepted: pa.Table) -> None:
        """Count one chunk."""
        self.rows += tested.typed.num_rows
        self.accepted += accepted.num_rows
        for name, count in tested.missing.items():
            self.missing[name] = self.missing.get(name, 0) + count
        numbers = tested.typed[files.ROW].to_numpy()
        for (rule, column), group in tested.failures.groupby(["rule", "column"], sort=True):
            key = (str(rule), str(column))
            self.counts[key] = self.counts.get(key, 0) + len(group)
            kept = self.first.setdefault(key, [])
            rows = np.sort(numbers[group["position"].to_numpy()])[: ROWS_KEPT - len(kept)]
            kept.extend(int(row) for row in rows)
        for name in accepted.column_names[1:]:
            self._range(name, accepted[name])

    def _range(self, name: str, values: pa.ChunkedArray) -> None:
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            return
        found = pc.min_max(values).as_py()
        if found["min"] is not None:
            least, most = float(found["min"]), float(found["max"])
            low, high = self.ranges.get(name, (least, most))
            self.ranges[name] = (min(low, least), max(high, most))

    def broken(self) -> tuple[Broken, ...]:
        """Return the rules that rows broke, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            Broken(rule=key[0], column=key[1], count=count, rows=tuple(self.first[key]))
            for key, count in ordered
        )


def reasons_to_block(
    tally: Tally, table: tuple[Broken, ...], max_refused_share: float
) -> tuple[str, ...]:
    """Return why a result blocks: too many refused rows, a broken table rule, no row left."""
    found = []
    refused = tally.rows - tally.accepted
    if tally.accepted == 0:
        found.append("no row is left")
    if refused > max_refused_share * tally.rows:
        found.append("more rows are refused than data.max_refused_share allows")
    found += [f"the table rule {each.rule} is broken" for each in table]
    return tuple(dict.fromkeys(found))


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


def _raw_chunks(layout: Layout, landed: Landed, contract: Contract) -> Iterator[pa.Table]:
    data = parameters.read(layout.params).data
    paths = [layout.landed / each.name for each in landed.files]
    names = [each.name for each in contract.columns]
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


def _pass(layout: Layout, contract: Contract, landed: Landed) -> Tally:
    unique = tuple(each for each in contract.columns if each.unique)
    twice = duplicates.find(_raw_chunks(layout, landed, contract), unique) if unique else {}
    tally, kind = Tally(), refused_schema(contract)
    with pq.ParquetWriter(files.refused_rows(layout), kind, compression="zstd") as writer:
        for raw in _raw_chunks(layout, landed, contract):
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


def _result(tally: Tally, contract: Contract, landed: Landed, data: parameters.Data) -> Validation:
    found = schema.table_failures(contract, tally.rows, tally.accepted, tally.missing)
    table = tuple(
        Broken(rule=each.rule, column=each.column, count=each.count, rows=()) for each in found
    )
    return Validation(
        landed_id=landed.id,
        contract_sha256=contract.sha256,
        rows=tally.rows,
        accepted=tally.accepted,
        refused=tally.rows - tally.accepted,
        max_refused_share=data.max_refused_share,
        broken=tally.broken(),
        table=table,
        columns=tuple(_column(each, tally) for each in contract.columns),
        blocked=reasons_to_block(tally, table, data.max_refused_share),
    )


def _column(column: Column, tally: Tally) -> ColumnResult:
    low, high = tally.ranges.get(column.name, (None, None))
    if column.role == "subject":
        low = high = None  # the ends of a range of numbers would name two people
    share = tally.missing.get(column.name, 0) / tally.rows if tally.rows else 0.0
    return ColumnResult(name=column.name, missing_share=share, minimum=low, maximum=high)


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
    tally = _pass(layout, contract, landed)
    result = _result(tally, contract, landed, parameters.read(layout.params).data)
    result.write(files.validation(layout))
    summary = {"refused": result.refused, "broken": plain(result.broken)}
    files.refused_summary(layout).write_bytes(canonical_json(summary) + b"\n")
    picture.write(result, contract, layout)
    return result
