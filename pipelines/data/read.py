"""Landed CSV, Parquet and JSON Lines as chunks of raw text, each row with its number and place.

Whatever the format, a value becomes text that parses back to the very same value, so that one set
of casts serves them all. Empty text, JSON null and a Parquet NaN are missing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

import pyarrow as pa

from pipelines.data import parquet
from pipelines.data.files import PLACE, ROW
from pipelines.errors import BadRequest, DataRefused

FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
Row = tuple[int | None, bool, str | None, Sequence[str | None]]


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
    with _text(path, encoding) as lines:
        if kind == "csv":
            return next(lines.csv_rows(), [])
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
        for table in _file_chunks(path, columns, encoding, size):
            rows = pa.array(range(number, number + table.num_rows), pa.int64())
            number += table.num_rows
            yield table.add_column(0, ROW, rows)


def _file_chunks(
    path: Path, columns: Sequence[str], encoding: str, size: int
) -> Iterator[pa.Table]:
    kind = format_of(path)
    if kind == "parquet":
        yield from parquet.chunks(path, columns, size)
        return
    with _text(path, encoding) as lines:
        rows = _csv(lines, columns) if kind == "csv" else _jsonl(lines, columns)
        block: list[Row] = []
        for row in rows:
            block.append(row)
            if len(block) == size:
                yield _table(path.name, block, columns)
                block = []
        if block:
            yield _table(path.name, block, columns)


def _table(name: str, block: list[Row], columns: Sequence[str]) -> pa.Table:
    lines, whole, extra, values = zip(*block, strict=True)
    texts = [pa.array(column, pa.string()) for column in zip(*values, strict=True)]
    place = [
        pa.array([name] * len(block), pa.string()),
        pa.array(lines, pa.int64()),
        pa.array(whole, pa.bool_()),
        pa.array(extra, pa.string()),
    ]
    return pa.table([*place, *texts], names=[*PLACE, *columns])


def _csv(lines: _Lines, columns: Sequence[str]) -> Iterator[Row]:
    rows = lines.csv_rows()
    header = next(rows, [])
    order = [header.index(name) for name in columns]
    width = len(header)
    for row in rows:
        if row:
            whole = len(row) == width
            extra = json.dumps(row[width:], ensure_ascii=False) if len(row) > width else None
            full = row if whole else row + [""] * (width - len(row))
            yield lines.start, whole, extra, [full[place] or None for place in order]


def _jsonl(lines: _Lines, columns: Sequence[str]) -> Iterator[Row]:
    for item in lines.objects():
        yield lines.start, True, None, [_as_text(item.get(name)) for name in columns]


def _as_text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


@dataclass
class _Lines:
    """A text file read strictly; `start` is the line that the row at hand starts on."""

    path: Path
    encoding: str
    start: int = 0
    file: Any = field(default=None, init=False)

    def __enter__(self) -> Self:
        try:
            known = "utf-8-sig" if self.encoding.lower() in {"utf-8", "utf8"} else self.encoding
            self.file = self.path.open(encoding=known, errors="strict", newline="")
        except LookupError:
            raise BadRequest(
                "no such encoding", where="params.yaml: data.encoding", observed=self.encoding
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def csv_rows(self) -> Iterator[list[str]]:
        """Yield each record of a CSV file; blank lines yield an empty list."""
        reader = csv.reader(self.file, strict=True)
        while True:
            self.start = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except (csv.Error, UnicodeError) as error:
                self._refuse(error)
            yield row

    def objects(self) -> Iterator[dict[str, object]]:
        """Yield each object of a JSON Lines file."""
        while True:
            self.start += 1
            try:
                line = self.file.readline()
                if not line:
                    return
                if not line.strip():
                    continue
                item = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant)
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
            what, where=f"{self.path.name}: line {self.start}", expected=expected
        ) from None


def _text(path: Path, encoding: str) -> _Lines:
    return _Lines(path, encoding)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError
