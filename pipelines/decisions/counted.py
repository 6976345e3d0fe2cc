"""How many decisions each version made in a window, from public facts alone: nothing is opened."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Final

from pipelines.decisions.record import DECISION
from pipelines.ledger.entry import read_entry
from pipelines.ledger.log import Ledger

PAGE: Final = 2048


def by_version(ledger: Ledger, start: dt.datetime, end: dt.datetime) -> Counter[str]:
    """Return the decisions made from `start` on and before `end`, by model version.

    The log is read backwards and no further than it has to be: entries stand in the order of
    their sealing, so a whole page made before `start` is the last that is looked at.
    """
    low, high = (int(each.timestamp() * 1000) for each in (start, end))
    found: Counter[str] = Counter()
    stop = ledger.checkpoint()[0].size
    while stop > 0:
        place = max(0, stop - PAGE)
        page = [read_entry(row.entry) for row in ledger.store.rows(place, stop)]
        made = [each for each in page if each["t"] == DECISION and "mv" in each]
        found.update(str(each["mv"]) for each in made if low <= each["ts"] < high)
        if page and max(each["ts"] for each in page) < low:
            break
        stop = place
    return found
