"""Read a window out of the ledger into a profile, and see whether the clock went back meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """A window's profile; how often the clock went back over a minute in it."""

    profile: WindowProfile
    steps_back: int


def read(
    ledger: Ledger, window: Window, tally: WindowTally, labels: Mapping[bytes, Label]
) -> Reading:
    """Count a window's decisions. Raises IntegrityBroken, Unavailable."""
    steps, last = 0, 0
    for page in readback.between(ledger, window.start, window.end):
        tally.erased += page.erased
        if page.decisions:
            tally.add_decisions(page.decisions, labels)
            steps += steps_back(page.decisions, last)
            last = page.decisions[-1].at_ms
    return Reading(tally.profile(), steps)


def steps_back(found: tuple[ReadBack, ...], last: int) -> int:
    """Return how often an entry is more than a minute older than the one sealed before it."""
    times = [last, *(each.at_ms for each in found)]
    return sum(later < earlier - STEP_BACK_MS for earlier, later in pairwise(times))
