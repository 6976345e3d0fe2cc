"""The command `inventory`: every version with its stage, tier, validation, use and watch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, Place, here, open_ledger
from pipelines.typed import plain, read_json

if TYPE_CHECKING:
    from pipelines.release.documents.inventory import Entry, Watched
    from pipelines.watch.findings import WatchReport
    from pipelines.watch.window import Window


@click.command()
@JSON
def inventory(as_json: bool) -> None:
    """List every registered version: stage, tier, last validation, use, last watch, next one due.

    Decisions are those of the last whole period of the watch, counted in the ledger.
    """
    from croniter import croniter

    from pipelines.release.documents.inventory import entries
    from pipelines.watch.late import last_whole

    place, now = here(), dt.datetime.now(dt.UTC)
    settings = params.read(place.layout.params)
    window = last_whole(settings.watch.period, now)
    found = entries(
        wiring.registry(place.state)(settings.model_name),
        window.name,
        _decisions(place, window),
        _watched(place, settings.model_name),
        croniter(settings.schedules.watch_decisions, now).get_next(dt.datetime).isoformat(),
    )
    if not found:
        voice.note(f"{settings.model_name} has no registered version")
    voice.result([plain(e) if as_json else _row(e) for e in found], as_json=as_json)


def _decisions(place: Place, window: Window) -> Mapping[str, int] | None:
    """Count the window's decisions by version; None where nothing was ever decided here."""
    from pipelines.decisions.counted import by_version

    if not place.state.ledger.is_dir():
        return None
    with open_ledger(place.state) as ledger:
        return by_version(ledger, window.start, window.end)


def newest_reports(place: Place, model_name: str) -> dict[str, WatchReport]:
    """Return each version's newest report of the watch, by the end of its window."""
    from pipelines.watch.findings import WatchReport
    from pipelines.watch.places import Places

    files = Places(place.state, model_name).watched
    made = [read_json(path, WatchReport) for path in files.every()]
    return {each.version: each for each in sorted(made, key=lambda each: each.end)}


def _watched(place: Place, model_name: str) -> dict[str, Watched]:
    from pipelines.release.documents.inventory import Watched

    return {
        version: Watched(
            until=each.end, report=each.id, alarms=len(each.alarms), action=each.action
        )
        for version, each in newest_reports(place, model_name).items()
    }


def _row(found: Entry) -> dict[str, object]:
    watch = found.watched
    return {
        "version": found.version,
        "stage": found.stage,
        "since": found.since and found.since[:10],
        "by": found.by,
        "tier": found.tier,
        "verdict": found.verdict,
        "not passed": ", ".join(found.not_passed) or "none",
        f"decisions {found.window}": found.decisions,
        "watched until": watch and watch.until[:10],
        "alarms": watch and watch.alarms,
        "next watch": found.next_watch and found.next_watch[:10],
    }
