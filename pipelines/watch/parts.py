"""A large window counted in parts, each by a process of its own, on any machine.

A plan cuts the log at places, so that each part has about as many decisions. What is counted of
the parts adds up to what one pass counts, to the bit. A part is counted into one file, written
whole: a process that is killed leaves none, and its part is counted again.
"""

from __future__ import annotations

import math
import shutil
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Final

from pipelines.decisions import readback
from pipelines.decisions.readback import Fields, Page
from pipelines.decisions.record import DECISION
from pipelines.errors import IntegrityBroken
from pipelines.layout import Watched
from pipelines.ledger.entry import read_entry
from pipelines.ledger.log import Ledger
from pipelines.records import Record
from pipelines.typed import read_json
from pipelines.watch import outcomes, profile, reading
from pipelines.watch.profile import Label, WindowProfile, WindowTally
from pipelines.watch.reading import Reading, Sample
from pipelines.watch.window import Window, between

MOST: Final = 1000  # Airflow maps 1,024 tasks at once
ASKED: Final = 1000


class Part(Record, frozen=True):
    """The entries from place `start` on and before `stop`, with `decisions` of the window.

    `outcomes` are the places of what became of decisions among them, recorded later.
    """

    start: int
    stop: int
    decisions: int
    outcomes: tuple[int, ...]


class Plan(Record, frozen=True):
    """A window, from `start` and before `end`, cut into parts in the order of the log."""

    start: str
    end: str
    parts: tuple[Part, ...]

    @property
    def window(self) -> Window:
        """The window that is cut."""
        return between(self.start, self.end)


class Counted(Record, frozen=True):
    """What was counted of one part of a plan, for one version's files.

    `sample` holds rank and place of sampled decisions, and no value; `first_ms` and `last_ms` are
    the times of the first and the last decision.
    """

    plan_id: str
    part: int
    files_sha256: str
    profile: WindowProfile
    steps_back: int
    first_ms: int
    last_ms: int
    sample: tuple[tuple[int, int], ...]


@dataclass
class _Cut:
    start: int
    stop: int
    decisions: int = 0
    outcomes: list[int] = field(default_factory=list)


def plan(ledger: Ledger, window: Window, rows: int) -> Plan:
    """Cut a window into parts of `rows` decisions, or more where there were too many parts.

    Only what is public of each entry is read. Raises Unavailable.
    """
    cuts, known = list[_Cut](), list[tuple[int, bytes]]()
    low, high = _ends(window)
    for row in ledger.store.rows(0, ledger.checkpoint()[0].size):
        fields = read_entry(row.entry)
        if fields["t"] == DECISION and low <= fields["ts"] < high:
            if not cuts or cuts[-1].decisions == rows:
                cuts.append(_Cut(row.seq, row.seq))
            cuts[-1].decisions += 1
            cuts[-1].stop = row.seq + 1
        elif cuts and (decision := outcomes.of_decision(fields)):
            known.append((row.seq, decision))
    if len(cuts) > MOST:
        return plan(ledger, window, rows * math.ceil(len(cuts) / MOST))
    _share(ledger, cuts, known)
    parts = (
        Part(start=c.start, stop=c.stop, decisions=c.decisions, outcomes=tuple(c.outcomes))
        for c in cuts
    )
    return Plan(start=window.start.isoformat(), end=window.end.isoformat(), parts=tuple(parts))


def _share(ledger: Ledger, cuts: Sequence[_Cut], known: Sequence[tuple[int, bytes]]) -> None:
    """Give each outcome to the part that its decision stands in."""
    starts = [each.start for each in cuts]
    for first in range(0, len(known), ASKED):
        some = known[first : first + ASKED]
        places = ledger.store.seq_of([decision for _, decision in some])
        for own, decision in some:
            at = bisect(starts, places.get(decision, -1)) - 1
            if at >= 0 and places[decision] < cuts[at].stop:
                cuts[at].outcomes.append(own)


def count(
    ledger: Ledger, made: Plan, number: int, files_sha256: str, tally: WindowTally, size: int
) -> Counted:
    """Count one part, for the version with these files; `size` decisions are sampled."""
    part, sample = made.parts[number], Sample(size)
    found = reading.read(_pages(ledger, made, part), tally, _labels(ledger, part), sample)
    return Counted(
        plan_id=made.id,
        part=number,
        files_sha256=files_sha256,
        profile=found.profile,
        steps_back=found.steps_back,
        first_ms=found.first_ms,
        last_ms=found.last_ms,
        sample=tuple((reading.rank(each.id), each.index) for each in found.sample),
    )


def _pages(ledger: Ledger, made: Plan, part: Part) -> Iterator[Page]:
    low, high = _ends(made.window)

    def inside(fields: Fields) -> bool:
        return bool(low <= fields["ts"] < high)

    return readback.at(ledger, range(part.start, part.stop), inside)


def _labels(ledger: Ledger, part: Part) -> dict[bytes, Label]:
    if not part.outcomes:
        return {}
    rows = ledger.store.rows(part.start, part.stop)
    made = {row.id: int(read_entry(row.entry)["ts"]) for row in rows}
    entries = [ledger.row(place) for place in part.outcomes]
    known = {row.id: outcomes.of_decision(read_entry(row.entry)) for row in entries}
    return outcomes.labels_of(ledger, known, made)


def joined(ledger: Ledger, found: Sequence[Counted], size: int) -> Reading:
    """Return what one pass over all the parts reads; the sample is read again from the ledger."""
    times = [(each.first_ms, each.last_ms) for each in found]
    between_parts = sum(reading.steps_back([one[1], two[0]]) for one, two in pairwise(times))
    ranked = sorted(each for one in found for each in one.sample)[:size]
    pages = readback.at(ledger, [place for _, place in ranked])
    return Reading(
        reduce(profile.merge, [each.profile for each in found]),
        sum(each.steps_back for each in found) + between_parts,
        tuple(each for page in pages for each in page.decisions),
        times[0][0],
        times[-1][1],
    )


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one plan, beside the reports of its window."""

    path: Path

    @classmethod
    def of(cls, files: Watched, window: Window, number: str) -> Folder:
        """Return where the plan with this id stands."""
        return cls(files.window(window.name) / f"parts-{number[:16]}")

    def keep(self, made: Plan) -> None:
        """Write the plan."""
        made.write(self.path / "plan.json")

    def plan(self, number: str) -> Plan:
        """Return the plan. Raises NotThere, IntegrityBroken when it is another one."""
        found = read_json(self.path / "plan.json", Plan)
        if found.id != number:
            raise IntegrityBroken(
                "a plan of parts is not the one it is named as", observed=found.id, expected=number
            )
        return found

    def part(self, number: int) -> Path:
        """Return the file of one part."""
        return self.path / f"{number}.json"

    def counted(self, made: Plan, files_sha256: str) -> tuple[Counted, ...]:
        """Return every part's counts; none where one is missing or counts for another version."""
        paths = [self.part(number) for number in range(len(made.parts))]
        if not all(path.is_file() for path in paths):
            return ()
        found = tuple(read_json(path, Counted) for path in paths)
        wanted = [(made.id, number, files_sha256) for number in range(len(paths))]
        whole = [(each.plan_id, each.part, each.files_sha256) for each in found] == wanted
        return found if whole else ()

    def forget(self) -> None:
        """Remove what the window's report has by now."""
        shutil.rmtree(self.path, ignore_errors=True)


def _ends(window: Window) -> tuple[int, int]:
    return int(window.start.timestamp() * 1000), int(window.end.timestamp() * 1000)
