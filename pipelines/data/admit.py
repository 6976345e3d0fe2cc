"""What is admitted to be versioned: whole files, readable, with the contract's columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.contract import Contract
from pipelines.data import read
from pipelines.errors import DataRefused, Failure, did_you_mean
from pipelines.records import Landed

CHUNK = 10_000


def admit(landed: Landed, folder: Path, contract: Contract, encoding: str) -> None:
    """Read every landed file once, whole. Raises DataRefused for the first that is not right."""
    _sizes_and_contents(landed)
    paths = [folder / each.name for each in landed.files]
    _one_format(paths)
    known = [column.name for column in contract.columns]
    for path in paths:
        found = read.names(path, encoding)
        problems = [*_unknown(found, known), *_twice(found, known), *_absent(found, known)]
        if problems:
            raise DataRefused(
                "the columns of a file are not those of the contract",
                where=path.name,
                observed=f"{len(found)} columns",
                expected=f"the {len(known)} columns of contract.yaml",
                hint=_hint(found, known),
                failures=problems,
            )
        rows = sum(table.num_rows for table in read.chunks([path], known, encoding, CHUNK))
        if not rows:
            raise DataRefused("a file holds no row", where=path.name, observed="a header alone")


def _sizes_and_contents(landed: Landed) -> None:
    seen: dict[str, str] = {}
    for each in landed.files:
        if each.bytes == 0:
            raise DataRefused("a file is empty", where=each.name, observed="0 bytes")
        if each.sha256 in seen:
            raise DataRefused(
                "the same content landed twice", where=f"{seen[each.sha256]} and {each.name}"
            )
        seen[each.sha256] = each.name


def _one_format(paths: Iterable[Path]) -> None:
    found = {read.format_of(path) for path in paths}
    if len(found) > 1:
        raise DataRefused(
            "one landing holds files of several formats",
            observed=", ".join(sorted(found)),
            expected="one format a landing",
        )


def _unknown(found: Sequence[str], known: Sequence[str]) -> list[Failure]:
    """Name surplus columns by their place: without a header, a name would be somebody's data."""
    places = [place for place, name in enumerate(found, 1) if name not in known]
    return [Failure("not in the contract", f"column {place}", 1) for place in places]


def _twice(found: Sequence[str], known: Sequence[str]) -> list[Failure]:
    counts = {name: list(found).count(name) for name in known}
    return [Failure("stands twice", name, count) for name, count in counts.items() if count > 1]


def _absent(found: Sequence[str], known: Sequence[str]) -> list[Failure]:
    return [Failure("missing", name, 1) for name in known if name not in found]


def _hint(found: Sequence[str], known: Sequence[str]) -> str:
    absent = [name for name in known if name not in found]
    if len(absent) == len(known):
        return "does the file begin with a line of column names?"
    for place, name in enumerate(found, 1):
        if name not in known and (close := did_you_mean(name, absent)):
            return f"column {place}: {close}"
    return "change the file, or describe its columns in contract.yaml"
