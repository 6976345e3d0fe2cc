"""Landed CSV, Parquet and JSON Lines as chunks of raw text, each row with its number and place.

Whatever the format, a value becomes text that parses back to the very same value, so that one set
of casts serves them all. Empty text, JSON null and a Parquet NaN are missing.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NoReturn, Self

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data import parquet
from pipelines.data.files import PLACE, ROW
from pipelines.errors import BadRequest, DataRefused

FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
# Python lists of more rows than this cost three times as much: they leave the caches.
BLOCK_ROWS = 2000
BREAK = re.compile(r"\r\n|\r|\n")


def format_of(path: Path) -> str:
    """Return csv, parquet or jsonl by the file's suffix. Raises DataRefused for any other."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise DataRefused(
            "a file of an unknown format", where=path.name, expected=", ".join(sorted(FORMATS))
        )
    return found


def names(path: Path, encoding: str) -> list[str]:
    """Return the column names a file holds, duplicates kept; for JSON Lines, of all its objects."""
    kind = format_of(path)
    if kind == "parquet":
        return parquet.names(path)
    with _Lines(path, encoding) as lines:
        if kind == "csv":
            _, header = lines.csv_block(1)
            return header[0] if header else []
        return list(dict.fromkeys(key for item in lines.objects() for key in item))


def chunks(
    paths: Sequence[Path], columns: Sequence[str], encoding: str, size: int
) -> Iterator[pa.Table]:
    """Yield tables of at most `size` rows: the place of each row, then `columns` as text.

    `_row` counts data rows from 1 over all files in the order given; `_line` is the line that the
    row starts on (none for Parquet); `_whole` says that the row has as many fields as the header;
    `_extra` holds surplus fields as a JSON list. Raises DataRefused with file and line.
    """
    number = 1
    for path in paths:
        small = _file_chunks(path, columns, encoding, min(size, BLOCK_ROWS))
        for table in _joined(small, size):
            rows = pa.array(range(number, number + table.num_rows), pa.int64())
            number += table.num_rows
            yield table.add_column(0, ROW, rows)


def _joined(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    for table in tables:
        if held and sum(each.num_rows for each in held) + table.num_rows > size:
            yield pa.concat_tables(held)
            held = []
        held.append(table)
    if held:
        yield pa.concat_tables(held)


def _file_chunks(
    path: Path, columns: Sequence[str], encoding: str, size: int
) -> Iterator[pa.Table]:
    kind = format_of(path)
    if kind == "parquet":
        yield from parquet.chunks(path, columns, size)
        return
    with _Lines(path, encoding) as lines:
        if kind == "csv":
            yield from _csv(lines, columns, size)
        else:
            yield from _jsonl(lines, columns, size)


def _place(name: str, lines: Sequence[int], whole: Sequence[bool]) -> list[pa.Array]:
    return [
        pa.array([name] * len(lines), pa.string()),
        pa.array(lines, pa.int64()),
        pa.array(whole, pa.bool_()),
    ]


def _csv(lines: _Lines, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
    _, header = lines.csv_block(1)
    if not header:
        raise DataRefused(
            "an empty file", where=lines.path.name, expected="a heading that names the columns"
        )
    order = [header[0].index(name) for name in columns]
    width = len(header[0])
    while True:
        starts, rows = lines.csv_block(size)
        if not rows:
            return
        whole = [len(row) == width for row in rows]
        extra: list[str | None] = [None] * len(rows)
        if not all(whole):
            surplus = (row[width:] for row in rows)
            extra = [json.dumps(each, ensure_ascii=False) if each else None for each in surplus]
            rows = [row[:width] + [""] * (width - len(row)) for row in rows]
        cells = list(zip(*rows, strict=True))
        texts = [_or_missing(pa.array(cells[place], pa.string())) for place in order]
        place = [*_place(lines.path.name, starts, whole), pa.array(extra, pa.string())]
        yield pa.table([*place, *texts], names=[*PLACE, *columns])


def _or_missing(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _jsonl(lines: _Lines, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
    items = ((lines.line, item) for item in lines.objects())
    while block := list(islice(items, size)):
        starts = [line for line, _ in block]
        texts = [
            pa.array([_as_text(item.get(name)) for _, item in block], pa.string())
            for name in columns
        ]
        place = [
            *_place(lines.path.name, starts, [True] * len(block)),
            pa.nulls(len(block), pa.string()),
        ]
        yield pa.table([*place, *texts], names=[*PLACE, *columns])


def _as_text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


@dataclass
class _Lines:
    """A text file read strictly; `line` is the last line that was read."""

    path: Path
    encoding: str
    line: int = 0
    file: Any = field(default=None, init=False)
    reader: Any = field(default=None, init=False)

    def __enter__(self) -> Self:
        try:
            known = "utf-8-sig" if self.encoding.lower() in {"utf-8", "utf8"} else self.encoding
            self.file = self.path.open(encoding=known, errors="strict", newline="")
        except LookupError:
            raise BadRequest(
                "no such encoding", where="params.yaml: data.encoding", observed=self.encoding
            ) from None
        self.reader = csv.reader(self.file, strict=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def csv_block(self, size: int) -> tuple[list[int], list[list[str]]]:
        """Return up to `size` records and the lines they start on; none at the end of the file.

        Blank lines are no records. Lines are counted again only where a record has several.
        """
        while True:
            before = self.reader.line_num
            try:
                rows = list(islice(self.reader, size))
            except (csv.Error, UnicodeError) as error:
                self.line = self.reader.line_num
                self._refuse(error)
            if len(rows) == self.reader.line_num - before:
                starts = list(range(before + 1, before + 1 + len(rows)))
            else:
                tall = [1 + sum(len(BREAK.findall(cell)) for cell in row) for row in rows]
                starts = [before + 1 + above for above in accumulate([0, *tall[:-1]])]
            kept = [(start, row) for start, row in zip(starts, rows, strict=True) if row]
            if kept or not rows:
                return [start for start, _ in kept], [row for _, row in kept]

    def objects(self) -> Iterator[dict[str, object]]:
        """Yield each object of a JSON Lines file."""
        while True:
            self.line += 1
            try:
                line = self.file.readline()
                if not line:
                    return
                if not line.strip():
                    continue
                item = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant)
                if "\\ud" in line.lower():
                    json.dumps(item, ensure_ascii=False).encode()  # half a pair is no text
            except (ValueError, RecursionError) as error:
                self._refuse(error)
            if not isinstance(item, dict) or any(
                isinstance(value, (dict, list)) for value in item.values()
            ):
                self._refuse(None)
            yield item

    def _refuse(self, error: Exception | None) -> NoReturn:
        if isinstance(error, UnicodeError):
            what, expected = "a file is not in the encoding that params.yaml names", self.encoding
        elif isinstance(error, csv.Error):
            what, expected = "a file is not readable as CSV", "quotes closed, fields of usual size"
        else:
            what, expected = "a line is not a flat JSON object", "one object a line, each key once"
        raise DataRefused(
            what, where=f"{self.path.name}: line {self.line}", expected=expected
        ) from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError
