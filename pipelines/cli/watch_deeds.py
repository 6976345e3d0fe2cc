"""What is done about a stored report of the watch: for the command and for Airflow's tasks."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import Place, open_ledger
from pipelines.errors import IntegrityBroken
from pipelines.typed import read_json

if TYPE_CHECKING:
    from pipelines.watch.alerts import Delivery
    from pipelines.watch.findings import Finding, WatchReport
    from pipelines.watch.places import Places


def report(place: Place, window: str, number: str) -> dict[str, str]:
    """Draw a report, keep it with the version, show it in the workspace; return where it is."""
    from pipelines.watch import page

    made, files = stored(place, window, number)
    known = params.read(place.layout.params)
    registry = wiring.registry(place.state)(known.model_name)
    besides = of_the_watch(place, files, window)
    return page.run(made, files, registry, wiring.watch_log(place.state), known.watch, besides)


def stop(place: Place, window: str, number: str) -> str:
    """Stop deciding where a finding asks for it that did not before; return why, or nothing."""
    from pipelines.decisions.service.stop import StopSwitch
    from pipelines.watch import act

    made, files = stored(place, window, number)
    with open_ledger(place.state) as ledger:
        return act.stop(made, files.journal(made), StopSwitch(place.state.stop_switch), ledger)


def alert(place: Place, window: str, number: str, page: str) -> Delivery:
    """Tell people of every finding that asks for something, and what came of it."""
    from pipelines.watch import alerts

    made, files = stored(place, window, number)
    link = page or str(files.watched.report(window, number))
    besides = of_the_watch(place, files, window)
    targets = wiring.alert_targets(place.state)
    known = params.read(place.layout.params)
    many = known.watch.alerts.digest_from
    return alerts.deliver(made, files.journal(made), targets, link, besides, many)


def stored(place: Place, window: str, number: str) -> tuple[WatchReport, Places]:
    """Return a stored report and where its files are. Raises NotThere, IntegrityBroken."""
    from pipelines.watch.findings import WatchReport
    from pipelines.watch.places import Places

    files = Places(place.state, params.read(place.layout.params).model_name)
    made = read_json(files.watched.report(window, number), WatchReport)
    if made.id != number:
        raise IntegrityBroken(
            "a stored report is not the one it is named as",
            where=window,
            observed=made.id,
            expected=number,
        )
    return made, files


def of_the_watch(place: Place, files: Places, window: str) -> tuple[Finding, ...]:
    """Return what is to be said of the watch itself: windows not watched, alerts not delivered."""
    from pipelines.watch import alerts, late

    known = params.read(place.layout.params)
    since = wiring.recorded_since(place.state)
    missed = late.missed(known, files.watched, dt.datetime.now(dt.UTC), since)
    others = (each for each in files.journals() if each[0] != window)
    found = (*missed, *alerts.undelivered(others))
    for each in found:
        voice.note(each.said)
    return found
