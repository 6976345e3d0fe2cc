"""A watch that did not run: which windows were due, and which of them nobody watched."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import msgspec
import pytest

from pipelines import params
from pipelines.errors import BadRequest
from pipelines.layout import Watched
from pipelines.params import Params
from pipelines.watch import late
from pipelines.watch.window import parse
from tests.conftest import ROOT
from tests.watch import pages


def known(cron: str = "0 5 1 * *", period: str = "month", hours: float = 6.0) -> Params:
    """Return the repository's params with this schedule."""
    found = params.read(ROOT / "params.yaml")
    schedules = msgspec.structs.replace(found.schedules, watch_decisions=cron)
    watch = msgspec.structs.replace(found.watch, period=period, late_hours=hours)
    return msgspec.structs.replace(found, schedules=schedules, watch=watch)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def ms(text: str) -> int:
    return int(at(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("period", "moment", "expected"),
    [
        ("month", "2026-11-01T00:00", "2026-10"),
        ("month", "2026-10-31T23:59:59", "2026-09"),
        ("month", "2026-01-15T00:00", "2025-12"),
        ("week", "2027-01-04T00:00", "2026-W53"),
        ("week", "2027-01-03T23:59", "2026-W52"),
        ("day", "2026-03-01T12:00", "2026-02-28"),
    ],
)
def test_the_last_whole_period(period: str, moment: str, expected: str) -> None:
    """A period counts once it has ended, across the ends of months, weeks and years."""
    assert parse(expected) == late.last_whole(period, at(moment))


def test_a_window_is_due_when_its_grace_is_over() -> None:
    """At the cron's time the former window is still the last that must be there."""
    assert parse("2026-09") == late.due(known(), at("2026-11-01T10:59"))
    assert parse("2026-10") == late.due(known(), at("2026-11-01T11:01"))
    assert parse("2026-10-30") == late.due(known("0 1 * * *", "day"), at("2026-11-01T06:59"))


def test_a_cron_that_is_none_is_refused() -> None:
    """A mistyped schedule is refused with where it stands, never taken for nothing due."""
    with pytest.raises(BadRequest, match="cron"):
        late.due(known("every month"), at("2026-11-02T00:00"))


def watched(files: Watched, name: str, when: str) -> None:
    """Leave a report of a window, written at that time."""
    path = files.newest(parse(name).name)
    pages.report_of().write(path)
    os.utime(path, (at(when).timestamp(),) * 2)


def test_each_window_that_was_missed_is_named(tmp_path: Path) -> None:
    """Windows since the first record are looked at, not the last alone, with the command to run."""
    files, now = Watched(tmp_path), at("2026-11-02T00:00")
    watched(files, "2026-09", "2026-10-01T05:00")
    found = late.missed(known(), files, now, ms("2026-07-15T00:00"))
    names = ["2026-10", "2026-08", "2026-07"]
    assert [f"clew watch --window {name}" for name in names] == [
        each.said.partition(": ")[2] for each in found
    ]
    assert {("error", "alert")} == {(each.status, each.action) for each in found}
    for name in names:
        watched(files, name, "2026-11-02T00:00")
    assert () == late.missed(known(), files, now, ms("2026-07-15T00:00"))


def test_a_window_watched_before_its_end_was_not_watched(tmp_path: Path) -> None:
    """A look in the middle of the month is not the watch of the month."""
    files = Watched(tmp_path)
    watched(files, "2026-10", "2026-10-20T00:00")
    found = late.missed(known(), files, at("2026-11-02T00:00"), ms("2026-10-01T00:00"))
    assert ["not-watched/2026-10-01--2026-11-01/in time"] == [each.key for each in found]


def test_nothing_is_missed_before_the_first_record(tmp_path: Path) -> None:
    """Without a ledger, or before it began, there was nothing to watch."""
    files, now = Watched(tmp_path), at("2026-11-02T00:00")
    assert () == late.missed(known(), files, now, None)
    assert () == late.missed(known(), files, now, ms("2026-11-01T00:00"))


def test_no_more_than_a_year_is_named(tmp_path: Path) -> None:
    """An old ledger that was never watched names its last windows, not hundreds."""
    found = late.missed(known(), Watched(tmp_path), at("2026-11-02T00:00"), ms("2015-01-01T00:00"))
    assert late.BACK == len(found)


@pytest.mark.parametrize(
    "text", ["2026-10", "2026-10-01/2026-11-01", "2026-10-01T00:00Z/2026-11-01"]
)
def test_a_window_by_name_or_by_its_ends(text: str) -> None:
    """The form takes a name or two moments, and both mean the same window."""
    assert parse("2026-10") == late.named(text)
