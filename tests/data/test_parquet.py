"""Parquet files read block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.data.parquet import in_blocks


def test_a_file_is_never_held_whole(tmp_path: Path) -> None:
    """While blocks of a file of forty row groups are read, a few of them are in memory."""
    path, rows = tmp_path / "rows.parquet", 400_000
    values = np.random.default_rng(1).normal(size=(4, rows))
    pq.write_table(pa.table(dict(zip("abcd", values, strict=True))), path, row_group_size=10_000)
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for block in in_blocks(path).iter_batches(10_000):
        seen += block.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == seen
    assert most < path.stat().st_size / 4
