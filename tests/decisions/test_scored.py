"""Copies of decisions in the files of batches go when a person is erased; other lines stay."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.decisions import scored
from pipelines.decisions.batch import SCHEMA

LINES = [
    dict.fromkeys(SCHEMA.names) | {"row": row, "subject": who, "reasons": ["a, b"]}
    for row, who in enumerate(["p1", "p2", "p1", None])
]


def test_a_persons_lines_are_cut_and_the_others_stay(tmp_path: Path) -> None:
    """In both formats, and in no file that holds nobody of them; nothing half is left behind."""
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    table = pa.Table.from_pylist(LINES, schema=SCHEMA)
    pq.write_table(table, tmp_path / "b.parquet")
    other = tmp_path / "c.jsonl"
    other.write_text(json.dumps(LINES[1]) + "\n")
    before = other.stat().st_ino
    assert 4 == scored.forget(tmp_path, "p1")
    kept = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [LINES[1], LINES[3]] == kept
    assert table.take([1, 3]) == pq.read_table(tmp_path / "b.parquet")
    assert before == other.stat().st_ino
    assert ["a.jsonl", "b.parquet", "c.jsonl"] == sorted(p.name for p in tmp_path.iterdir())
    assert 0 == scored.forget(tmp_path, "p1")
    assert 0 == scored.forget(tmp_path / "none", "p1")
