"""The tasks of the watch: watch a window, draw it, stop, tell people; each once, however often."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.canonical import sha256_file
from pipelines.cli import watch_deeds as deeds
from pipelines.cli.options import Place, here, open_ledger
from pipelines.cli.voice import tell
from pipelines.cli.watch import in_force, recorded, watched
from pipelines.errors import NotThere

if TYPE_CHECKING:
    from pipelines.params import Params
    from pipelines.ports import AlertTarget
    from pipelines.watch.window import Window

CHOSEN = click.option(
    "--window", default="", help="Empty: the last whole period that had ended when due."
)
DUE = click.option("--due", required=True, help="When this run was due, in ISO 8601.")
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
@CHOSEN
@DUE
def watch_parts(window: str, due: str) -> None:
    """Cut a large window into parts; a window of one part is left to the watch."""
    from pipelines.watch import parts
    from pipelines.watch.places import Places

    place = here()
    known = params.read(place.layout.params)
    chosen = _chosen(place, known, window, due)
    if chosen is None:
        tell(plan="", parts=[])
        return
    with open_ledger(place.state) as ledger:
        made = parts.plan(ledger, chosen, known.watch.rows_per_part)
    if len(made.parts) <= 1:
        tell(plan="", parts=[])
        return
    files = Places(place.state, known.model_name).watched
    parts.Folder.of(files, chosen, made.id).keep(made)
    about = ["watch-part", f"--window={made.start}/{made.end}", f"--plan={made.id}"]
    tell(plan=made.id, parts=[[*about, f"--part={n}"] for n in range(len(made.parts))])


@click.command()
@WINDOW
@click.option("--plan", required=True)
@click.option("--part", "number", type=int, required=True)
def watch_part(window: str, plan: str, number: int) -> None:
    """Count one part of a window for the version in force."""
    from pipelines.watch import late, parts, run
    from pipelines.watch.places import Places

    place = here()
    known = params.read(place.layout.params)
    files = Places(place.state, known.model_name).watched
    folder = parts.Folder.of(files, late.named(window), plan)
    made, found = folder.plan(plan), in_force(place, known)
    size = run.sample_size(known.watch)
    with open_ledger(place.state) as ledger:
        counted = parts.count(ledger, made, number, found.version.files_sha256, found.tally(), size)
    counted.write(folder.part(number))
    tell(part=number, decisions=counted.profile.decisions)


@click.command()
@CHOSEN
@DUE
@click.option("--plan", default="", help="Of parts that were counted; empty: there are none.")
def watch(window: str, due: str, plan: str) -> None:
    """Watch a window; what it found stands in its report, and is no failure of the task."""
    from pipelines.release import champion
    from pipelines.watch import act

    place = here()
    known = params.read(place.layout.params)
    chosen = _chosen(place, known, window, due)
    if chosen is None:
        tell(skipped="nothing was recorded before the window ended")
        return
    registry = wiring.registry(place.state)(known.model_name)
    with registry.lock():
        if champion.current(registry) is None:
            tell(skipped="no version was promoted: there is nothing to watch")
            return
    made = watched(place, chosen, plan)
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


def _chosen(place: Place, known: Params, window: str, due: str) -> Window | None:
    """Return the window that is asked for, else the one that was due.

    None where one that is due ended before anything was recorded.
    """
    from pipelines.watch import late

    if window:
        return late.named(window)
    chosen = late.last_whole(known.watch.period, dt.datetime.fromisoformat(due))
    return chosen if late.recorded(chosen, wiring.recorded_since(place.state)) else None


@click.command()
@WINDOW
@REPORT
def watch_report(window: str, number: str) -> None:
    """Draw a report, keep it with the version in MLflow, and put it into Evidently's workspace."""
    tell(**deeds.report(here(), window, number))


@click.command()
@WINDOW
@REPORT
def watch_stop(window: str, number: str) -> None:
    """Stop deciding where a finding asks for it that did not before."""
    why = deeds.stop(here(), window, number)
    tell(stopped=bool(why), reason=why, **({} if why else {"skipped": "stopped for it before"}))


@click.command()
@click.option("--window", default="")
@click.option("--report", "number", default="", help="Empty: the watch made none.")
@click.option("--page", default="", help="Where the report can be read.")
def watch_alert(window: str, number: str, page: str) -> None:
    """Tell people of every finding that asks for something, or that the watch failed."""
    place = here()
    if not number:
        _failed(wiring.alert_targets(place.state), window or "the one that was due")
        return
    done = deeds.alert(place, window, number, page)
    if done.sent or done.before:
        tell(sent=done.sent, before=done.before)
    else:
        tell(skipped="nothing to tell")


def _failed(targets: tuple[AlertTarget, ...], window: str) -> None:
    """Tell everybody that the watch failed. Raises NotThere where nobody is named."""
    from pipelines.watch import alerts

    if not targets:
        raise NotThere("the watch failed, and nobody is named to be told", where=window)
    text = alerts.failure("The watch did not come to an end: see its log.", window, "")
    for each in targets:
        each.send(text.title, text.body)
    tell(sent=len(targets))
