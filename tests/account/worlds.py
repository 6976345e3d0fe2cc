"""A small world to answer in: two registered versions, a real ledger, packs and decisions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipelines.decisions.record import Call, Recorder, as_number
from pipelines.layout import State
from pipelines.ledger.log import Ledger
from pipelines.release.policy import Answering, Letters, Policy, Reporting, Retention
from tests.decisions import desks, versions
from tests.ledger.places import SqlitePlace

SUBJECT = "p-marked-7261"
CALL = Call(caller="core", purpose="decision", request_id="request", notice="ask a person")
PACK: Policy = msgspec.structs.replace(
    desks.PACK,
    retention={"decision": Retention(months=25, because="made up")},
    contest=Answering(days=28, because="made up"),
    incident=Reporting(days={"serious": 15, "death": 10}, because="made up"),
    letter=Letters(
        notice={"en": "A notice, by {agency}.", "de": "Ein Hinweis, von {agency}."},
        codes=True,
        because="made up",
    ),
)
DAY = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)


@dataclass
class World:
    """A bench of two versions (1: linear, champion; 2: trees) with its ledger."""

    bench: desks.Bench
    state: State

    @property
    def ledger(self) -> Ledger:
        return self.bench.recorder.ledger

    @property
    def recorder(self) -> Recorder:
        return self.bench.recorder

    def decide(self, person: str = SUBJECT, call: Call = CALL, /, **changes: Any) -> bytes:
        """Let the champion decide about one application and record it; return the id."""
        self.bench.watch.refresh()
        seen = self.bench.watch.seen
        assert seen.loaded is not None, seen.trouble
        data = versions.application(person=person, **changes)
        made = desks.decided(seen.loaded.model, data)
        return as_number(self.recorder.record(data, made, seen.loaded.origin, call).id)


def world(folder: Path) -> World:
    """Make a world in a folder."""
    (folder / "place").mkdir(parents=True)
    place = SqlitePlace(folder / "place")
    return World(desks.Bench(place, folder / "bench"), State(folder / "var"))
