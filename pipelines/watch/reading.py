"""Count decisions as they were read back, and see whether the clock went back meanwhile."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from pipelines.decisions.readback import Page, ReadBack
from pipelines.watch.profile import Label, WindowProfile, WindowTally

STEP_BACK_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A window's profile; how often the clock went back over a minute in it; and a sample.

    `first_ms` and `last_ms` are the times of the first and the last decision in the log's order (0
    without any). The sample is of decisions, whose values are persons': it is never written.
    """

    profile: WindowProfile
    steps_back: int
    sample: tuple[ReadBack, ...] = ()
    first_ms: int = 0
    last_ms: int = 0


@dataclass
class Sample:
    """Keeps the decisions whose hashed ids are least: the same ones however they come."""

    size: int
    _kept: list[tuple[int, int, ReadBack]] = field(default_factory=list)

    def add(self, found: Iterable[ReadBack]) -> None:
        """Offer decisions."""
        for each in found:
            item = (-rank(each.id), each.index, each)
            if len(self._kept) < self.size:
                heapq.heappush(self._kept, item)
            elif item > self._kept[0]:
                heapq.heapreplace(self._kept, item)

    def taken(self) -> tuple[ReadBack, ...]:
        """Return the sample, in the order of the log."""
        return tuple(each for _, _, each in sorted(self._kept, key=lambda item: item[1]))


def rank(number: bytes) -> int:
    """Return where a decision's id stands in the order that samples are taken in."""
    return int.from_bytes(hashlib.sha256(number).digest()[:8])


def read(
    pages: Iterable[Page], tally: WindowTally, labels: Mapping[bytes, Label], sample: Sample
) -> Reading:
    """Count decisions, in one pass. Raises IntegrityBroken, Unavailable."""
    steps, first, last = 0, 0, 0
    for page in pages:
        tally.erased += page.erased
        if page.decisions:
            tally.add_decisions(page.decisions, labels)
            sample.add(page.decisions)
            times = [each.at_ms for each in page.decisions]
            steps += steps_back([last, *times])
            first, last = first or times[0], times[-1]
    return Reading(tally.profile(), steps, sample.taken(), first, last)


def steps_back(times: Iterable[int]) -> int:
    """Return how often an entry is more than a minute older than the one sealed before it."""
    return sum(later < earlier - STEP_BACK_MS for earlier, later in pairwise(times))
