"""Store which subjects train and which test: one person's rows never fall on both sides."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import params as parameters
from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data import cast
from pipelines.data.groups import Names, as_text
from pipelines.data.parquet import in_blocks
from pipelines.errors import BadRequest, DataRefused, IntegrityBroken
from pipelines.layout import Layout
from pipelines.params import SplitParams
from pipelines.ports import Context
from pipelines.records import Part, Snapshot, Split
from pipelines.typed import read_json

PARTS = ("train", "test")
RESOLUTION = 2.0**64


def position(seed: int, subject: str) -> float:
    """Return a subject's place in [0, 1), from SHA-256 of the seed and the subject alone.

    Rows that come later change nobody's place.
    """
    digest = hashlib.sha256(f"{seed}\0{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / RESOLUTION


def test_subjects_by_time(latest: pd.Series, share: float, seed: int) -> frozenset[str]:
    """Return the `share` of subjects whose last event is latest; `latest`: time by subject."""
    order = pd.DataFrame({"time": latest})
    order["place"] = [position(seed, str(subject)) for subject in order.index]
    ordered = order.sort_values(["time", "place"])
    count = round(share * len(ordered))
    return frozenset(str(subject) for subject in ordered.index[len(ordered) - count :])


def in_test(subjects: Names, params: SplitParams, later: frozenset[str]) -> np.ndarray:
    """Say for each row whether its subject tests."""
    if params.method == "time":
        return np.array([subject in later for subject in subjects], dtype=bool)
    places = {subject: position(params.seed, str(subject)) for subject in set(subjects)}
    return np.array([places[subject] < params.test_share for subject in subjects], dtype=bool)


def _subjects(frame: pd.DataFrame, contract: Contract) -> Names:
    return as_text(frame[contract.subject.name], contract.subject)


def _latest(tables: Iterator[pa.Table], contract: Contract) -> pd.Series:
    if contract.event_time is None:
        raise BadRequest(
            "a split by time needs a column of role event_time",
            where="params.yaml: split.method",
            hint="give a column of contract.yaml that role, or split at random",
        )
    name = contract.event_time.name
    found: list[pd.Series] = []
    for table in tables:
        frame = cast.frame(table)
        if frame[name].isna().any():
            count = int(frame[name].isna().sum())
            raise DataRefused("rows without an event time cannot be split by it", observed=count)
        fresh = frame[name].groupby(_subjects(frame, contract)).max()
        found = [pd.concat([*found, fresh]).groupby(level=0).max()]
    return found[0]


def _tables(path: Path) -> Iterator[pa.Table]:
    file = in_blocks(path)
    for number in range(file.num_row_groups):
        yield file.read_row_group(number)


def _whole(name: str, rows: int, favourable: int) -> None:
    if rows == 0:
        raise DataRefused(f"the {name} part of the split is empty", hint="see split in params.yaml")
    if favourable in {0, rows}:
        raise DataRefused(
            f"the {name} part of the split holds one outcome alone",
            observed=f"{favourable} favourable outcomes of {rows}",
            expected="both outcomes in each part",
        )


def favourable(frame: pd.DataFrame, contract: Contract) -> np.ndarray:
    """Say for each row whether the target has its favourable value."""
    wanted = as_text(pd.Series([contract.target.favourable], dtype=object), contract.target)[0]
    found: np.ndarray = as_text(frame[contract.target.name], contract.target) == wanted
    return found


def _write(layout: Layout, contract: Contract, params: SplitParams) -> dict[str, int]:
    later: frozenset[str] = frozenset()
    if params.method == "time":
        latest = _latest(_tables(layout.snapshot_rows), contract)
        later = test_subjects_by_time(latest, params.test_share, params.seed)
    rows, good = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
    kind = pq.read_schema(layout.snapshot_rows)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                pq.ParquetWriter(layout.split_rows(name), kind, compression="zstd")
            )
            for name in PARTS
        }
        for table in _tables(layout.snapshot_rows):
            frame = cast.frame(table)
            test = in_test(_subjects(frame, contract), params, later)
            outcome = favourable(frame, contract)
            for name, mask in (("train", ~test), ("test", test)):
                rows[name] += int(mask.sum())
                good[name] += int((mask & outcome).sum())
                writers[name].write_table(table.filter(pa.array(mask)))
    for name in PARTS:
        _whole(name, rows[name], good[name])
    return rows


def run(context: Context) -> Split:
    """Write the train and the test part, and the record that pins both."""
    layout = context.layout
    params = parameters.read(layout.params).split
    snapshot = read_json(layout.snapshot_record, Snapshot)
    contract = read_json(layout.snapshot_contract, Contract)
    if sha256_file(layout.snapshot_rows) != snapshot.rows_sha256:
        raise IntegrityBroken("the snapshot's rows are not those of its record")
    shutil.rmtree(layout.split, ignore_errors=True)
    layout.split.mkdir(parents=True)
    rows = _write(layout, contract, params)
    record = Split(
        snapshot_id=snapshot.id,
        params_sha256=params.sha256,
        parts={
            name: Part(rows=rows[name], sha256=sha256_file(layout.split_rows(name)))
            for name in PARTS
        },
    )
    record.write(layout.split_record)
    return record
