"""Parquet files read block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data import snapshot, split
from pipelines.data.parquet import in_blocks

PIPELINES = Path(__file__).parents[2] / "pipelines"
OPENED = "ParquetFile("

Sizes = Iterator[int]


def batches(path: Path) -> Sizes:
    return (block.num_rows for block in in_blocks(path).iter_batches(10_000))


def frames(path: Path) -> Sizes:
    return (len(frame) for frame in snapshot.frames(path))


def tables(path: Path) -> Sizes:
    return (table.num_rows for table in split._tables(path))


@pytest.mark.parametrize("read", [batches, frames, tables])
def test_a_file_is_never_held_whole(tmp_path: Path, read: Callable[[Path], Sizes]) -> None:
    """While blocks of a file of forty row groups are read, a few of them are in memory."""
    path, rows = tmp_path / "rows.parquet", 400_000
    values = np.random.default_rng(1).normal(size=(4, rows))
    pq.write_table(pa.table(dict(zip("abcd", values, strict=True))), path, row_group_size=10_000)
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for size in read(path):
        seen += size
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == seen
    assert most < path.stat().st_size / 4


def test_files_are_opened_in_one_place() -> None:
    """Only `in_blocks` knows how a Parquet file is opened without holding it."""
    sources = sorted(PIPELINES.rglob("*.py"))
    opening = [path.relative_to(PIPELINES) for path in sources if OPENED in path.read_text()]
    assert [Path("data/parquet.py")] == opening
