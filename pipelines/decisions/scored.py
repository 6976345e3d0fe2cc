"""The files of batches in the state folder: copies of decisions, which an erasure reaches."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.data.parquet import in_blocks

SUBJECT = "subject"
PRIVATE = 0o600


def forget(folder: Path, subject: str) -> int:
    """Cut a person's lines from every file of batches; return how many there were."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return sum(_cut(path, subject) for path in files if path.suffix in {".jsonl", ".parquet"})


def _cut(path: Path, subject: str) -> int:
    fresh = path.with_name(f".{path.name}.cut")
    cut = _cut_parquet if path.suffix == ".parquet" else _cut_jsonl
    gone = cut(path, fresh, subject)
    if gone:
        fresh.chmod(PRIVATE)
        fresh.replace(path)
    else:
        fresh.unlink()
    return gone


def _cut_jsonl(path: Path, fresh: Path, subject: str) -> int:
    gone = 0
    with path.open(encoding="utf-8") as source, fresh.open("w", encoding="utf-8") as out:
        for line in source:
            if json.loads(line)[SUBJECT] == subject:
                gone += 1
            else:
                out.write(line)
    return gone


def _cut_parquet(path: Path, fresh: Path, subject: str) -> int:
    gone, source = 0, in_blocks(path)
    with pq.ParquetWriter(fresh, source.schema_arrow, compression="zstd") as out:
        for batch in source.iter_batches():
            kept = pa.array([each != subject for each in batch.column(SUBJECT).to_pylist()])
            gone += len(kept) - kept.true_count
            out.write_batch(batch.filter(kept))
    return gone
