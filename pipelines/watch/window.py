"""The stretch of time that is watched: a month, an ISO week, a day, or any two moments, in UTC.

UTC has no summer time, so a window is neither an hour short nor counted twice.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pipelines.errors import BadRequest

MONTH: Final = re.compile(r"(\d{4})-(\d{2})")
WEEK: Final = re.compile(r"(\d{4})-W(\d{2})")
DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
DECEMBER: Final = 12


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` on, and before `end`, both in UTC."""

    start: dt.datetime
    end: dt.datetime

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise BadRequest(
                "a window ends after it starts",
                observed=f"{self.start.isoformat()} to {self.end.isoformat()}",
            )

    @property
    def name(self) -> str:
        """The window as it stands in file names and messages."""
        return f"{_short(self.start)}--{_short(self.end)}"

    @property
    def former(self) -> Window:
        """The window before this one: the month before a whole month, else as long a stretch."""
        if self == _month(self.start.year, self.start.month):
            last = self.start - dt.timedelta(days=1)
            return _month(last.year, last.month)
        return Window(self.start - (self.end - self.start), self.start)


def parse(text: str) -> Window:
    """Return the window of ``2026-10``, ``2026-W41`` or ``2026-10-05``. Raises BadRequest."""
    with suppress(ValueError, OverflowError):
        if found := _named(text):
            return _usable(found)
    raise BadRequest("not a window", observed=text, expected="like 2026-10, 2026-W41, 2026-10-05")


def _named(text: str) -> Window | None:
    """Return the window of a name. Raises ValueError, OverflowError for days that there are not."""
    if found := MONTH.fullmatch(text):
        return _month(int(found[1]), int(found[2]))
    if found := WEEK.fullmatch(text):
        first = dt.date.fromisocalendar(int(found[1]), int(found[2]), 1)
        return Window(_midnight(first), _midnight(first + dt.timedelta(days=7)))
    if DAY.fullmatch(text):
        first = dt.date.fromisoformat(text)
        return Window(_midnight(first), _midnight(first + dt.timedelta(days=1)))
    return None


def _usable(window: Window) -> Window:
    """Return a window that has one before it. Raises BadRequest."""
    try:
        window.former  # noqa: B018 - made to see whether it can be
    except OverflowError:
        raise BadRequest("no window comes before this one", observed=window.name) from None
    return window


def between(start: str, end: str) -> Window:
    """Return the window of two days or moments in ISO 8601, read as UTC. Raises BadRequest."""
    return _usable(Window(moment(start), moment(end)))


def moment(text: str) -> dt.datetime:
    """Return a day's first moment, or a moment; without an offset it is UTC."""
    try:
        found = dt.datetime.fromisoformat(text)
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise BadRequest("not a day or a moment", observed=text, expected="ISO 8601") from None


def _month(year: int, month: int) -> Window:
    after = (year + 1, 1) if month == DECEMBER else (year, month + 1)
    return Window(_midnight(dt.date(year, month, 1)), _midnight(dt.date(*after, 1)))


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _short(at: dt.datetime) -> str:
    whole = at.time() == dt.time()
    return f"{at:%Y-%m-%d}" if whole else f"{at:%Y-%m-%dT%H%M%S}"
