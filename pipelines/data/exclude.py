"""Leave people who were erased out of what is landed from now on.

Who they are is kept as a keyed hash alone: a list in the state folder, made with the key that also
turns subjects into references in the key store. A row of theirs is cut out of the landed copy
before it is versioned, so nothing that comes after it ever holds it. The source's own files are
its owner's to clean.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.contract import Column
from pipelines.data import parquet, read
from pipelines.data.files import ROW
from pipelines.errors import NotThere
from pipelines.layout import State

DOMAIN = b"training data\n"
CHUNK = 10_000
WHOLE = re.compile(r"[+]?(-?[0-9]+)(\.0*)?")


@dataclass(frozen=True, slots=True)
class Excluded:
    """The people to leave out, as keyed hashes."""

    key: bytes = field(repr=False)
    marks: frozenset[str] = field(repr=False)

    def mark(self, subject: str) -> str:
        """Return the keyed hash of a subject, as hexadecimal digits."""
        return hmac.new(self.key, DOMAIN + subject.encode(), hashlib.sha256).hexdigest()

    def holds(self, subject: str | None) -> bool:
        """Say whether a subject is left out."""
        return subject is not None and self.mark(subject) in self.marks


def known(state: State) -> Excluded | None:
    """Return who is left out on this machine; None when nobody ever was."""
    from pipelines.ledger.secret_files import read_secret

    if not state.training_exclusions.exists():
        return None
    marks = json.loads(read_secret(state.training_exclusions))
    return Excluded(_key(state), frozenset(marks))


def add(state: State, subject: str) -> None:
    """Leave a person out from now on, durably; a second time changes nothing."""
    from pipelines.ledger.secret_files import create_secret, locked, replace_secret

    path = state.training_exclusions
    with locked(path):
        before = known(state) or Excluded(_key(state), frozenset())
        text = json.dumps(sorted(before.marks | {before.mark(subject)}), indent=0) + "\n"
        (replace_secret if path.exists() else create_secret)(path, text)


def _key(state: State) -> bytes:
    from pipelines.ledger.keys import Ring

    return Ring.read(state.ledger_ring).index


def normal(text: str, column: Column) -> str:
    """Return a subject as decisions name it: a whole number without sign and fraction."""
    found = WHOLE.fullmatch(text) if column.kind == "integer" else None
    return str(int(found[1])) if found else text


def leave_out(
    folder: Path, column: Column, encoding: str, excluded: Excluded | None
) -> dict[str, int]:
    """Cut the rows of those left out from the files of a folder; return how many, by file.

    What stays is byte for byte what was there; of Parquet, value for value. A file that held
    nobody else goes away. Raises NotThere when nothing is left at all.
    """
    counts: dict[str, int] = {}
    paths = sorted(folder.iterdir()) if excluded else []
    for path in paths:
        dropped, total = _rows_of(path, column, encoding, excluded)
        if dropped:
            counts[path.name] = len(dropped)
            _cut(path, column.name, encoding, dropped, whole=len(dropped) == total)
    if paths and not any(folder.iterdir()):
        raise NotThere("everything that landed is about people who were erased")
    return counts


def _rows_of(
    path: Path, column: Column, encoding: str, excluded: Excluded | None
) -> tuple[set[int], int]:
    """Return which rows of a file, from 1, are of people left out, and how many there are."""
    if excluded is None or column.name not in read.names(path, encoding):
        return set(), 0
    dropped, total = set(), 0
    for table in read.chunks([path], [column.name], encoding, CHUNK):
        total += table.num_rows
        texts = table.column(column.name).to_pylist()
        for row, text in zip(table.column(ROW).to_pylist(), texts, strict=True):
            if text is not None and excluded.holds(normal(text, column)):
                dropped.add(row)
    return dropped, total


def _cut(path: Path, column: str, encoding: str, dropped: set[int], *, whole: bool) -> None:
    fresh = path.with_name(f".{path.name}.cut")
    if whole:
        path.unlink()
        return
    if read.format_of(path) == "parquet":
        _cut_parquet(path, fresh, dropped)
    else:
        _cut_lines(path, fresh, column, encoding, dropped)
    fresh.replace(path)


def _cut_parquet(path: Path, fresh: Path, dropped: set[int]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, done = parquet.in_blocks(path), 0
    with pq.ParquetWriter(fresh, source.schema_arrow) as out:
        for batch in source.iter_batches(batch_size=CHUNK):
            kept = [row not in dropped for row in range(done + 1, done + batch.num_rows + 1)]
            done += batch.num_rows
            out.write_batch(batch.filter(pa.array(kept)))


def _cut_lines(path: Path, fresh: Path, column: str, encoding: str, dropped: set[int]) -> None:
    """Copy a text file without the lines that the dropped rows start on and go over."""
    starts = list(_starts(path, column, encoding))
    ends = [line for _, line in starts[1:]] + [sys.maxsize]
    gone = deque(
        range(line, end) for (row, line), end in zip(starts, ends, strict=True) if row in dropped
    )
    with (
        path.open(encoding=encoding, newline="") as source,
        fresh.open("w", encoding=encoding, newline="") as out,
    ):
        for number, line in enumerate(source, 1):
            while gone and number >= gone[0].stop:
                gone.popleft()
            if not (gone and number in gone[0]):
                out.write(line)


def _starts(path: Path, column: str, encoding: str) -> Iterator[tuple[int, int]]:
    """Yield each row's number and the line that it starts on."""
    for table in read.chunks([path], [column], encoding, CHUNK):
        rows, lines = table.column(ROW).to_pylist(), table.column("_line").to_pylist()
        yield from zip(rows, lines, strict=True)
