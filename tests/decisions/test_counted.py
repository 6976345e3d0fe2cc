"""Counting decisions by version: public facts alone, of the window alone, through every page."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from pipelines.decisions import counted
from pipelines.decisions.record import DECISION
from pipelines.ledger.entry import Draft
from tests.ledger.places import SqlitePlace

START = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def at(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize("page", [2, 3, 100])
def test_decisions_of_the_window_are_counted_by_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """What was made before or at the end, and what is no decision, does not count.

    One that was made before the window and sealed late ends no reading.
    """
    monkeypatch.setattr(counted, "PAGE", page)
    place = SqlitePlace(tmp_path)
    ledger = place.ledger()
    day = dt.timedelta(days=1)
    for kind, version, moment in (
        (DECISION, "1", START - day),
        (DECISION, "1", START),
        (DECISION, "1", START + day),
        ("note", "1", START + day),
        (DECISION, "2", END - day),
        (DECISION, "1", START - 2 * day),
        (DECISION, "2", END),
        (DECISION, "2", END),
    ):
        ledger.record(Draft(kind, {"mv": version}, time_ms=at(moment)))
    assert Counter({"1": 2, "2": 1}) == counted.by_version(ledger, START, END)
    assert Counter() == counted.by_version(ledger, END + day, END + 2 * day)
    place.close()
