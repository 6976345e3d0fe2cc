"""Freeze the accepted rows in one file, with their content id, their contract and their profile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.canonical import canonical_json, sha256_file
from pipelines.contract import Contract
from pipelines.contract import read as read_contract
from pipelines.data import cast, files, profile, validate
from pipelines.data.parquet import in_blocks
from pipelines.data.result import Validation
from pipelines.errors import IntegrityBroken
from pipelines.layout import Layout
from pipelines.ports import Context
from pipelines.records import Landed, Snapshot
from pipelines.typed import plain, read_json

GROUP_ROWS = 65_536


def regrouped(tables: Iterator[pa.Table], size: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of exactly `size` rows, the last one shorter."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(each.num_rows for each in held) >= size:
            whole = pa.concat_tables(held)
            yield whole.slice(0, size)
            held = [whole.slice(size)]
    rest = pa.concat_tables(held) if held else None
    if rest is not None and rest.num_rows:
        yield rest


def join(parts: Sequence[Path], contract: Contract, into: Path) -> int:
    """Write all parts into one file whose bytes do not depend on how they were cut."""
    kind, rows = cast.schema(contract), 0
    tables = (pq.read_table(part, schema=kind) for part in parts)
    with pq.ParquetWriter(into, kind, compression="zstd") as writer:
        for table in regrouped(tables, GROUP_ROWS):
            writer.write_table(table.combine_chunks(), row_group_size=GROUP_ROWS)
            rows += table.num_rows
    return rows


def frames(path: Path) -> Iterator[pd.DataFrame]:
    """Yield the rows of a snapshot or of one of its parts, a row group at a time."""
    file = in_blocks(path)
    for number in range(file.num_row_groups):
        yield cast.frame(file.read_row_group(number))


def _same(what: str, observed: object, expected: object) -> None:
    if observed != expected:
        raise IntegrityBroken(
            f"the validation is of another {what}",
            where="validation.json",
            observed=observed,
            expected=expected,
            hint="dvc repro validate",
        )


def _judged(layout: Layout, landed: Landed, contract: Contract) -> Validation:
    refusal = validate.refusal(layout)
    if refusal:
        raise refusal
    result = read_json(files.validation(layout), Validation)
    _same("landing", result.landed_id, landed.id)
    _same("contract", result.contract_sha256, contract.sha256)
    return result


def run(context: Context) -> Snapshot:
    """Join the accepted rows, profile them, write the record. Raises the validation's refusal."""
    layout = context.layout
    contract = read_contract(layout.contract)
    landed = read_json(layout.landed_record, Landed)
    result = _judged(layout, landed, contract)
    shutil.rmtree(layout.snapshot, ignore_errors=True)
    layout.snapshot.mkdir(parents=True)
    rows = join(files.valid_parts(layout), contract, layout.snapshot_rows)
    _same("number of rows", result.accepted, rows)
    layout.snapshot_contract.write_bytes(canonical_json(plain(contract)) + b"\n")
    edges = profile.edges(frames(layout.snapshot_rows), contract, rows)
    profile.profile(frames(layout.snapshot_rows), contract, edges).write(files.profile(layout))
    record = Snapshot(
        landed_id=landed.id,
        contract_sha256=contract.sha256,
        rows_sha256=sha256_file(layout.snapshot_rows),
        rows=rows,
        refused=result.refused,
        columns=tuple(each.name for each in contract.columns),
    )
    record.write(layout.snapshot_record)
    return record
