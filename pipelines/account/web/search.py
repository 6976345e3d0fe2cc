"""Find decisions: by a stretch of time out of the log's public facts, or by whom they are about.

A list by time says nothing of anybody, so it is no look at a record. That somebody asked for a
person's decisions is recorded before the list is given.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipelines.decisions import readback
from pipelines.decisions.record import DECISION, LOOK
from pipelines.errors import BadRequest
from pipelines.ledger.entry import Body, Draft, read_entry
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import Row

SHOWN: Final = 50
PAGE: Final = 512
# Entries stand in the order of their sealing; a clock put back or a long batch disturbs that less.
SLACK_MS: Final = 3_600_000
DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Found:
    """One decision in a list: its id, its place in the log, when, and by which version."""

    id: str
    index: int
    at: dt.datetime
    version: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, from `start` on and before `end`, both in UTC."""

    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """Decisions of a stretch of time, newest first, and before which place there may be more."""

    decisions: tuple[Found, ...]
    older: int | None


def span(start: str, end: str, today: dt.date) -> Span:
    """Return the stretch that two days name, both included; empty ones: the last seven days.

    Raises BadRequest for what is no day, or ends before it starts.
    """
    last = _day(end) if end else today
    try:
        first = _day(start) if start else last - 6 * DAY
        stop = dt.datetime.combine(last + DAY, dt.time(), dt.UTC)
    except OverflowError:
        raise BadRequest("a day at the end of the calendar", where="to") from None
    if last < first:
        raise BadRequest("the search ends before it starts", where="to")
    return Span(dt.datetime.combine(first, dt.time(), dt.UTC), stop)


def by_time(ledger: Ledger, asked: Span, before: int | None = None) -> Listed:
    """Return up to `SHOWN` decisions of a stretch, newest first, below the place `before`."""
    size = ledger.checkpoint()[0].size
    low, high = (int(each.timestamp() * 1000) for each in (asked.start, asked.end))
    first = _first_after(ledger, low - SLACK_MS, size)
    last = _first_after(ledger, high + SLACK_MS, size)
    stop = last if before is None else min(before, last)
    found: list[Found] = []
    for row in _backwards(ledger, first, stop):
        fields = read_entry(row.entry)
        if fields["t"] == DECISION and low <= fields["ts"] < high:
            if len(found) == SHOWN:
                return Listed(tuple(found), found[-1].index)
            found.append(_found(row, fields))
    return Listed(tuple(found), None)


def by_subject(ledger: Ledger, subject: str, caller: str, request_id: str) -> Listed:
    """Return the decisions about a person that can still be read, newest first.

    That they were asked for is recorded first. Raises Unavailable.
    """
    numbers = readback.of_subject(ledger, subject)
    if numbers:
        told = {"caller": caller, "request_id": request_id, "found": len(numbers)}
        content = msgspec.json.encode(told, order="sorted")
        ledger.record(Draft(LOOK, {}, (Body(subject, LOOK, content),)))
    rows = (ledger.row(place) for place in ledger.store.seq_of(numbers).values())
    found = [_found(row, read_entry(row.entry)) for row in rows]
    return Listed(tuple(sorted(found, key=lambda each: each.index, reverse=True)), None)


def _found(row: Row, fields: dict[str, Any]) -> Found:
    at = dt.datetime.fromtimestamp(fields["ts"] / 1000, dt.UTC)
    return Found(row.id.hex(), row.seq, at, str(fields["mv"]))


def _first_after(ledger: Ledger, time_ms: int, size: int) -> int:
    """Return the first place whose entry is not older than a time, in log order (bisection)."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if read_entry(ledger.row(middle).entry)["ts"] < time_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _backwards(ledger: Ledger, first: int, stop: int) -> Iterator[Row]:
    for end in range(stop, first, -PAGE):
        yield from reversed(list(ledger.store.rows(max(first, end - PAGE), end)))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadRequest("not a day", expected="like 2026-11-22") from None
