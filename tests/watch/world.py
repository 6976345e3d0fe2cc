"""A champion with a baseline, a ledger, and decisions at any time in any month."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from pipelines.decisions import readback
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import LoadedModel, Standing, fetch
from pipelines.decisions.record import Call, Origin, decision, draft
from pipelines.layout import Watched
from pipelines.ledger.keys import ordered_id
from pipelines.ledger.log import Ledger
from pipelines.params import DecideParams
from pipelines.params import read as read_params
from pipelines.release import policy, promote
from pipelines.watch import reading, run, window
from pipelines.watch.findings import Finding, WatchReport
from pipelines.watch.profile import WindowProfile
from pipelines.watch.reading import Reading
from pipelines.watch.run import Question, Watching
from pipelines.watch.window import Window
from pipelines.watch_params import WatchParams
from tests.ledger.places import SqlitePlace
from tests.release import cases
from tests.release.versions import Bench

OCTOBER = "2026-10"
START = dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC)
CALL = Call(caller="tests", purpose="decision", request_id="request", notice="ask a person")
ASKED = ("id", "income", "debt", "job", "blue", "years")


def application(row: dict[str, Any]) -> bytes:
    """Return a row of the world's data as an application."""
    fields = {name: row[name] for name in ASKED if name in row and not pd.isna(row[name])}
    return json.dumps(fields, default=float).encode()


def at(day: int, month: int = 10) -> int:
    """Return noon of a day as milliseconds since 1970."""
    return int(dt.datetime(2026, month, day, 12, tzinfo=dt.UTC).timestamp() * 1000)


@dataclass(frozen=True)
class Crowned:
    """A champion: the bench it was made on, its model, and what it is watched against."""

    bench: Bench
    model: LoadedModel
    watching: Watching


def crown(bench: Bench, folder: Path) -> Crowned:
    """Register, approve and promote the bench's candidate."""
    version = bench.registered()
    who = {"person": "Ada", "reason": "better", "approval": bench.approved(version).id}
    promote.run(bench.context, version=version.version, **who)
    model = fetch(bench.registry, version, DecideParams())
    return Crowned(bench, model, run.in_force(bench.registry, DecideParams(), folder / "tmp"))


@dataclass
class World:
    """One champion, and a ledger in a folder."""

    crowned: Crowned
    place: SqlitePlace
    folder: Path

    def __post_init__(self) -> None:
        self.ledger: Ledger = self.place.ledger()
        self.bench, self.model = self.crowned.bench, self.crowned.model
        self.watching = self.crowned.watching
        self.files = Watched(self.folder / "watch")

    @property
    def origin(self) -> Origin:
        """What every record of the champion's decisions names."""
        return Origin(
            version=self.watching.version.version,
            files_sha256=self.watching.version.files_sha256,
            model_sha256=self.watching.version.model_sha256,
            commit="c" * 40,
            environment_id="e" * 64,
            snapshot_id="d" * 64,
            policy=cases.PACK,
            policy_sha256="b" * 64,
            promotion_id="9" * 64,
        )

    def decide(self, frame: pd.DataFrame, when: int | Sequence[int] = at(10)) -> list[bytes]:
        """Decide about every row and record it at that time; return the decisions' ids."""
        drafts = []
        for number, row in enumerate(frame.to_dict("records")):
            data = application({str(key): value for key, value in row.items()})
            made = decide(Standing(self.model), data, "request", Holdout())
            time = when if isinstance(when, int) else when[number]
            kept = decision(data, made, self.origin, CALL, time)
            drafts.append(draft(kept, ordered_id(), time))
        return [each.id for each in self.ledger.record_many(drafts)]

    def question(self, name: str = OCTOBER, **limits: Any) -> Question:
        """Ask about a window under changed limits."""
        limits = {"bootstrap_samples": 100} | limits
        known = self.bench.context.layout
        params = read_params(known.params)
        changed = msgspec.structs.replace(params, watch=WatchParams(**limits))
        pack = policy.read(known, cases.PACK)
        return Question(self.watching, window.parse(name), changed, pack)

    def read(self, asked: Window, size: int = 1) -> Reading:
        """Read a window whole, without labels."""
        pages = readback.between(self.ledger, asked.start, asked.end)
        return reading.read(pages, self.watching.tally(), {}, reading.Sample(size))

    def profile(self, name: str = OCTOBER) -> WindowProfile:
        """Profile a window."""
        return self.read(window.parse(name)).profile

    def watch(self, name: str = OCTOBER, **limits: Any) -> WatchReport:
        """Watch a window."""
        return run.run(self.question(name, **limits), self.ledger, self.files, partial(print))


def found(report: WatchReport, check: str, of: str = "", measure: str = "") -> list[Finding]:
    """Return the findings of a check, of a column or group, by a measure."""
    return [
        each
        for each in report.findings
        if each.check == check and of in ("", each.of) and measure in ("", each.measure)
    ]
