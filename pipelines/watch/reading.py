"""Read a window out of the ledger into a profile, and see whether the clock went back meanwhile."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from pipelines.decisions import readback
from pipelines.decisions.readback import ReadBack
from pipelines.ledger.log import Ledger
from pipelines.watch.profile import Label, WindowProfile, WindowTally
from pipelines.watch.window import Window

STEP_BACK_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A window's profile; how often the clock went back over a minute in it; and a sample.

    The sample is of decisions, whose values are persons': it is never written anywhere.
    """

    profile: WindowProfile
    steps_back: int
    sample: tuple[ReadBack, ...] = ()


@dataclass
class Sample:
    """Keeps the decisions whose hashed ids are least: the same ones however they come."""

    size: int
    _kept: list[tuple[int, int, ReadBack]] = field(default_factory=list)

    def add(self, found: Iterable[ReadBack]) -> None:
        """Offer decisions."""
        for each in found:
            rank = int.from_bytes(hashlib.sha256(each.id).digest()[:8])
            item = (-rank, each.index, each)
            if len(self._kept) < self.size:
                heapq.heappush(self._kept, item)
            elif item > self._kept[0]:
                heapq.heapreplace(self._kept, item)

    def taken(self) -> tuple[ReadBack, ...]:
        """Return the sample, in the order of the log."""
        return tuple(each for _, _, each in sorted(self._kept, key=lambda item: item[1]))


def read(
    ledger: Ledger,
    window: Window,
    tally: WindowTally,
    labels: Mapping[bytes, Label],
    sample: Sample,
) -> Reading:
    """Count a window's decisions, in one pass. Raises IntegrityBroken, Unavailable."""
    steps, last = 0, 0
    for page in readback.between(ledger, window.start, window.end):
        tally.erased += page.erased
        if page.decisions:
            tally.add_decisions(page.decisions, labels)
            sample.add(page.decisions)
            steps += steps_back(page.decisions, last)
            last = page.decisions[-1].at_ms
    return Reading(tally.profile(), steps, sample.taken())


def steps_back(found: tuple[ReadBack, ...], last: int) -> int:
    """Return how often an entry is more than a minute older than the one sealed before it."""
    times = [last, *(each.at_ms for each in found)]
    return sum(later < earlier - STEP_BACK_MS for earlier, later in pairwise(times))
