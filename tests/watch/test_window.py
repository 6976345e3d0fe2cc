"""Windows: what a person may name, and which window came before."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.errors import BadRequest
from pipelines.watch import window
from pipelines.watch.window import Window


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-10", "2026-10-01", "2026-11-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2026-W53", "2026-12-28", "2027-01-04"),
        ("2026-10-05", "2026-10-05", "2026-10-06"),
    ],
)
def test_a_window_is_named_by_month_week_or_day(text: str, start: str, end: str) -> None:
    """Each name is a stretch of UTC, across the end of a year too."""
    assert window.between(start, end) == window.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026", "2026-13", "2026-W60", "2026-02-30", "october"),
        *("9999-12-31", "9999-12", "9999-W52", "0001-01", "0001-01-01"),
    ],
)
def test_what_is_no_window_is_refused(text: str) -> None:
    """A name that is no month, week or day is a bad request."""
    with pytest.raises(BadRequest):
        window.parse(text)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-10-02", "2026-10-01"),
        ("2026-10-02", "9999-12-31T23:59:59-14:00"),
        ("0001-01-01T00:00:00+14:00", "2026-10-02"),
        ("1970-01-01", "9000-01-01"),
    ],
    ids=["backwards", "after the calendar", "before it", "nothing before it"],
)
def test_two_ends_that_make_no_window_are_refused(start: str, end: str) -> None:
    """The two ends are given in order, and as long a stretch comes before them."""
    with pytest.raises(BadRequest):
        window.between(start, end)


def test_the_month_before_a_month_is_a_whole_month() -> None:
    """Before March stands February; before any other stretch one as long."""
    assert window.parse("2026-02") == window.parse("2026-03").former
    assert window.parse("2026-10-04") == window.parse("2026-10-05").former


def test_summer_time_makes_no_day_longer() -> None:
    """The day on which clocks change has 24 hours, and an offset is converted."""
    day = window.parse("2026-10-25")
    assert dt.timedelta(days=1) == day.end - day.start
    local = window.between("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")
    assert Window(day.start - dt.timedelta(hours=2), day.end - dt.timedelta(hours=1)) == local
