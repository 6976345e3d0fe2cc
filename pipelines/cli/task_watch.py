"""The tasks of the watch: watch a window, draw it, stop, tell people; each once, however often."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.canonical import sha256_file
from pipelines.cli import voice
from pipelines.cli.options import Place, here, open_ledger
from pipelines.cli.voice import tell
from pipelines.cli.watch import recorded, watched
from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.typed import read_json

if TYPE_CHECKING:
    from pipelines.ports import AlertTarget
    from pipelines.watch.findings import Finding, WatchReport
    from pipelines.watch.places import Places

WINDOW = click.option("--window", required=True)
REPORT = click.option("--report", "number", required=True)


@click.command()
def outcomes() -> None:
    """Record the files of outcomes that landed; a recorded one is set aside."""
    from pipelines.watch import places

    place = here()
    folder = places.outcomes(place.state)
    files = sorted(each for each in folder.glob("*") if each.is_file()) if folder.is_dir() else []
    if not files:
        tell(skipped="no file of outcomes landed")
        return
    aside = folder / "recorded"
    counts = {"recorded": 0, "unchanged": 0, "erased": 0}
    for file in files:
        done = recorded(place, file)
        counts = {name: count + done[name] for name, count in counts.items()}
        aside.mkdir(exist_ok=True)
        file.replace(aside / f"{sha256_file(file)[:8]}-{file.name}")
    tell(files=len(files), **counts)


@click.command()
@click.option("--window", default="", help="Empty: the last whole period that had ended when due.")
@click.option("--due", required=True, help="When this run was due, in ISO 8601.")
def watch(window: str, due: str) -> None:
    """Watch a window; what it found stands in its report, and is no failure of the task."""
    from pipelines.release import champion
    from pipelines.watch import act, late

    place = here()
    known = params.read(place.layout.params)
    registry = wiring.registry(place.state)(known.model_name)
    with registry.lock():
        if champion.current(registry) is None:
            tell(skipped="no version was promoted: there is nothing to watch")
            return
    moment = dt.datetime.fromisoformat(due)
    chosen = late.named(window) if window else late.last_whole(known.watch.period, moment)
    made = watched(place, chosen)
    tell(
        window=chosen.name,
        report=made.id,
        version=made.version,
        decisions=made.decisions,
        alarms=len(made.alarms),
        action=made.action,
        stop=len(act.asking(made, "stop")) or None,
        retrain=act.retrain_wanted(made),
    )


@click.command()
@WINDOW
@REPORT
def watch_report(window: str, number: str) -> None:
    """Draw a report, keep it with the version in MLflow, and put it into Evidently's workspace."""
    from pipelines.watch import page

    place = here()
    made, files = _made(place, window, number)
    known = params.read(place.layout.params)
    registry = wiring.registry(place.state)(known.model_name)
    besides = _besides(place, files, window)
    tell(**page.run(made, files, registry, wiring.watch_log(place.state), known.watch, besides))


@click.command()
@WINDOW
@REPORT
def watch_stop(window: str, number: str) -> None:
    """Stop deciding where a finding asks for it that did not before."""
    from pipelines.decisions.service.stop import StopSwitch
    from pipelines.watch import act

    place = here()
    made, files = _made(place, window, number)
    with open_ledger(place.state) as ledger:
        why = act.stop(made, files.journal(made), StopSwitch(place.state.stop_switch), ledger)
    tell(stopped=bool(why), reason=why, **({} if why else {"skipped": "stopped for it before"}))


@click.command()
@click.option("--window", default="")
@click.option("--report", "number", default="", help="Empty: the watch made none.")
@click.option("--page", default="", help="Where the report can be read.")
def watch_alert(window: str, number: str, page: str) -> None:
    """Tell people of every finding that asks for something, or that the watch failed."""
    from pipelines.watch import alerts

    place = here()
    targets = wiring.alert_targets(place.state)
    if not number:
        _failed(targets, window or "the one that was due")
        return
    made, files = _made(place, window, number)
    link = page or str(files.watched.report(window, number))
    besides = _besides(place, files, window)
    done = alerts.deliver(made, files.journal(made), targets, link, besides)
    if not (done.sent or done.before):
        tell(skipped="nothing to tell")
        return
    tell(sent=done.sent, before=done.before)


def _failed(targets: tuple[AlertTarget, ...], window: str) -> None:
    """Tell everybody that the watch failed. Raises Unavailable where nobody is named."""
    from pipelines.watch import alerts

    if not targets:
        raise Unavailable("the watch failed, and nobody is named to be told", where=window)
    text = alerts.failure("The watch did not come to an end: see its log.", window, "")
    for each in targets:
        each.send(text.title, text.body)
    tell(sent=len(targets))


def _made(place: Place, window: str, number: str) -> tuple[WatchReport, Places]:
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


def _besides(place: Place, files: Places, window: str) -> tuple[Finding, ...]:
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
