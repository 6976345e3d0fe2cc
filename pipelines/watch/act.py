"""Act on what was found, as the params say for each check: stop deciding, ask for a retrain.

Each is done once for a finding, version and window: a watch that is run again, or after a person
resumed deciding, stops nothing a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipelines.decisions.service.stop import StopSwitch
from pipelines.decisions.service.stop import stop as throw
from pipelines.ledger.log import Ledger
from pipelines.watch.deeds import Journal
from pipelines.watch.findings import Finding, WatchReport
from pipelines.watch.places import window_of
from pipelines.watch_params import Action

WHO: Final = "watch_decisions"
NAMED: Final = 3  # findings in a reason; the report has them all


def asking(made: WatchReport, action: Action) -> tuple[Finding, ...]:
    """Return the findings that ask for this action."""
    return tuple(each for each in made.alarms if each.action == action)


def reason(made: WatchReport, found: Iterable[Finding]) -> str:
    """Return why something is done, in a line: the window, and the findings that ask for it."""
    keys = [each.key for each in found]
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"window {window_of(made).name}: {', '.join(keys[:NAMED])}{more}"


def retrain_wanted(made: WatchReport) -> dict[str, str]:
    """Return the request for a retrain, one a window and version; empty where none is wanted.

    Its `request` is the same whenever the same window of the same version asks.
    """
    found = asking(made, "retrain")
    if not found:
        return {}
    window = window_of(made).name
    return {
        "request": f"{made.model_name}/{made.version}/{window}",
        "window": window,
        "version": made.version,
        "reason": reason(made, found),
        "report": made.id,
    }


def stop(made: WatchReport, journal: Journal, switch: StopSwitch, ledger: Ledger) -> str:
    """Stop deciding where a finding asks for it that did not before; return why, empty if not.

    Raises Unavailable when the stop could not be recorded: deciding is stopped all the same.
    """
    with journal.alone():
        new = [f for f in asking(made, "stop") if not journal.did("stop", made, f.key)]
        if not new:
            return ""
        why = reason(made, new)
        number = throw(switch, ledger, WHO, why)
        for each in new:
            journal.note("stop", made, each.key, done=True, said=f"recorded as {number}")
        return why
