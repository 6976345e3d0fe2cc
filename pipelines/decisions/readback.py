"""Read recorded decisions back in bulk: by time, by id, by person, or as a random sample.

Every part is decrypted and checked against both digests of its entry. That the entries themselves
stand in the sealed log is for `clew verify`, or a proof each where that is asked for.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec

from pipelines.decisions.record import DECISION, Decision
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.ledger.entry import bound_to, checked_frame, content_of, read_entry
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import Row

PAGE: Final = 2048
NEAR: Final = 32  # entries this near to each other are read in one go
Fields = Mapping[str, Any]
Wanted = Callable[[Fields], bool]
_DECODER: Final = msgspec.json.Decoder(Decision)


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """What reading a decision needs of its entry."""

    v: int
    t: str
    id: str
    ts: int
    ct: tuple[str, ...]
    pc: tuple[str, ...]


_ENTRY: Final = msgspec.json.Decoder(_Entry)


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One decision as recorded, its place in the log, and when it was made (ms since 1970)."""

    id: bytes
    index: int
    at_ms: int
    made: Decision


class Content(msgspec.Struct, frozen=True, gc=False):
    """What one decision's record holds, as the bytes that were sealed."""

    id: bytes
    index: int
    at_ms: int
    data: bytes

    def __repr__(self) -> str:
        return f"Content(id={self.id!r}, index={self.index})"


@dataclass(frozen=True, slots=True)
class Page:
    """Decisions in the order of the log, and how many more there were that are erased."""

    decisions: tuple[ReadBack, ...]
    erased: int


def every(_: Fields) -> bool:
    """Want all decisions."""
    return True


def between(
    ledger: Ledger, start: dt.datetime, end: dt.datetime, wanted: Wanted = every, first: int = 0
) -> Iterator[Page]:
    """Yield the decisions made from `start` on and before `end`, both with a time zone.

    `wanted` is asked about an entry's public facts before anything is decrypted. Entries stand in
    the order of their sealing, which is not exactly that of their times: all are looked at, from
    the place `first` on. Raises IntegrityBroken, Unavailable.
    """
    low, high = (int(each.timestamp() * 1000) for each in (start, end))
    for place in range(first, ledger.checkpoint()[0].size, PAGE):
        chosen = [
            (row, entry)
            for row, entry in _decisions(ledger.store.rows(place, place + PAGE), wanted)
            if low <= entry.ts < high
        ]
        yield from _pages(ledger, chosen)


def of_ids(ledger: Ledger, numbers: Sequence[bytes]) -> Iterator[Page]:
    """Yield decisions by their ids, in the log's order. Raises NotThere for one unknown."""
    found = ledger.store.seq_of(numbers)
    for number in numbers:
        if number not in found:
            raise NotThere("no decision under this id", where=number.hex())
    yield from at(ledger, found.values())


def at(ledger: Ledger, indices: Iterable[int], wanted: Wanted = every) -> Iterator[Page]:
    """Yield the decisions at these places of the log; what is there besides is passed over."""
    for chosen in _chosen(ledger, indices, wanted):
        yield from _pages(ledger, chosen)


def contents(ledger: Ledger, indices: Iterable[int]) -> Iterator[tuple[list[Content], int]]:
    """Yield what the records of the decisions at these places hold, and how many are erased."""
    for chosen in _chosen(ledger, indices, every):
        for span in _near(chosen):
            yield _opened(ledger, span)


def decoded(found: Content) -> ReadBack:
    """Return a decision out of its record. Raises IntegrityBroken."""
    try:
        made = _DECODER.decode(found.data)
    except msgspec.DecodeError:
        raise IntegrityBroken("a record is no decision", where=found.id.hex()) from None
    return ReadBack(found.id, found.index, found.at_ms, made)


def sample(ledger: Ledger, size: int, seed: str, wanted: Wanted = every) -> list[int]:
    """Return the places of `size` decisions drawn at random, each as likely as any other.

    The same seed draws the same ones of the same log. Fewer come back where there are fewer.
    """
    drawn = _shuffled(ledger.checkpoint()[0].size, random.Random(seed))  # noqa: S311
    decisions = _decisions((ledger.row(index) for index in drawn), wanted)
    return sorted(row.seq for row, _ in islice(decisions, size))


def of_subject(ledger: Ledger, subject: str) -> list[bytes]:
    """Return the ids of the decisions about one person that can still be read, oldest first."""
    keys = [each.key_id for each in ledger.keys.of_subject(subject)]
    rows = [ledger.row(seq) for seq, _ in sorted(ledger.store.parts_under(keys))]
    return [row.id for row, _ in _decisions(rows, every)]


def _decisions(rows: Iterable[Row], wanted: Wanted) -> Iterator[tuple[Row, _Entry]]:
    for row in rows:
        entry = _entry(row)
        if entry.t == DECISION and (wanted is every or wanted(read_entry(row.entry))):
            yield row, entry


def _entry(row: Row) -> _Entry:
    try:
        return _ENTRY.decode(row.entry)
    except msgspec.DecodeError:
        raise IntegrityBroken("an entry that lacks fields", where=row.id.hex()) from None


def _chosen(
    ledger: Ledger, indices: Iterable[int], wanted: Wanted
) -> Iterator[list[tuple[Row, _Entry]]]:
    for span in _spans(sorted(set(indices))):
        asked = set(span)
        rows = (row for row in ledger.store.rows(span[0], span[-1] + 1) if row.seq in asked)
        yield list(_decisions(rows, wanted))


def _pages(ledger: Ledger, chosen: Sequence[tuple[Row, _Entry]]) -> Iterator[Page]:
    for span in _near(chosen):
        found, erased = _opened(ledger, span)
        yield Page(tuple(map(decoded, found)), erased)


def _near(chosen: Sequence[tuple[Row, _Entry]]) -> Iterator[list[tuple[Row, _Entry]]]:
    """Yield entries in spans, to be read in one go where they stand near each other."""
    by_place = {row.seq: (row, entry) for row, entry in chosen}
    for span in _spans(sorted(by_place)):
        yield [by_place[seq] for seq in span]


def _opened(ledger: Ledger, decisions: Sequence[tuple[Row, _Entry]]) -> tuple[list[Content], int]:
    """Return what is in the records of these decisions, and how many of them are erased."""
    start, stop = decisions[0][0].seq, decisions[-1][0].seq + 1
    parts = {seq: part for seq, n, part in ledger.store.parts(start, stop) if n == 0}
    ciphers = ledger.keys.ciphers(list({part.key_id for part in parts.values()}))
    found, erased = list[Content](), 0
    for row, entry in decisions:
        part = parts.get(row.seq)
        cipher = ciphers.get(part.key_id) if part else None
        if part and cipher:
            bound = bound_to(ledger.origin, row.id, 0)
            frame = checked_frame(entry.ct, entry.pc, 0, part, cipher, bound)
            found.append(Content(row.id, row.seq, entry.ts, content_of(frame)))
        else:
            erased += _erased(ledger, row)
    return found, erased


def _erased(ledger: Ledger, row: Row) -> int:
    """Count one erased decision; unreadable without a tombstone, a record was tampered with."""
    if any(each.n == 0 for each in ledger.store.erased(row.seq, row.seq + 1)):
        return 1
    raise IntegrityBroken("a record is unreadable and no tombstone says so", where=row.id.hex())


def _spans(indices: Sequence[int]) -> Iterator[list[int]]:
    """Yield places that stand near enough to each other to be read in one go, ascending."""
    span: list[int] = []
    for index in indices:
        if span and (index - span[-1] > NEAR or index - span[0] >= PAGE):
            yield span
            span = []
        span.append(index)
    if span:
        yield span


def _shuffled(size: int, rng: random.Random) -> Iterator[int]:
    """Yield 0 to size-1 in random order, at no cost for what is not drawn (Fisher and Yates)."""
    moved: dict[int, int] = {}
    for last in range(size - 1, -1, -1):
        drawn = rng.randint(0, last)
        yield moved.get(drawn, drawn)
        moved[drawn] = moved.pop(last, last)
