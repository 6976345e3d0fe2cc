"""What was done about a window's findings: kept, so that nothing is done or told twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.environments import locked
from pipelines.records import Record
from pipelines.typed import read_json
from pipelines.watch.findings import WatchReport

What = Literal["stop", "alert"]


class Deed(Record, frozen=True):
    """One thing that was done, or failed, about one finding of a window.

    `finding` is the finding's key; `target` the digest of where an alert went, empty for a stop;
    `said` tells what came of it and holds no secret.
    """

    what: What
    finding: str
    version: str
    report_id: str
    target: str
    done: bool
    said: str
    at: str


class Deeds(Record, frozen=True):
    """All that was done about one window, oldest first."""

    deeds: tuple[Deed, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """The deeds of one window, in one file."""

    path: Path

    def all(self) -> tuple[Deed, ...]:
        """Return every deed. Raises IntegrityBroken for a file that holds none."""
        return read_json(self.path, Deeds).deeds if self.path.is_file() else ()

    def did(self, what: What, made: WatchReport, finding: str, target: str = "") -> bool:
        """Tell whether this was done already for the version, in this report or an earlier one."""
        wanted = (what, finding, made.version, target)
        return any((d.what, d.finding, d.version, d.target) == wanted for d in self.all() if d.done)

    def failed(self) -> tuple[Deed, ...]:
        """Return what failed and was not done since."""
        latest = {(d.what, d.finding, d.version, d.target): d for d in self.all()}
        return tuple(each for each in latest.values() if not each.done)

    def note(
        self,
        what: What,
        made: WatchReport,
        finding: str,
        *,
        done: bool,
        said: str,
        target: str = "",
    ) -> None:
        """Add a deed, durably."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        new = Deed(
            what=what,
            finding=finding,
            version=made.version,
            report_id=made.id,
            target=target,
            done=done,
            said=said,
            at=at,
        )
        Deeds(deeds=(*self.all(), new)).write(self.path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from doing the same at the same time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_suffix(".lock")):
            yield
