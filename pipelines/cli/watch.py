"""Commands around the watch: compare a window of decisions, record what became of people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, Place, here, open_ledger
from pipelines.errors import BadRequest, GateRefused

if TYPE_CHECKING:
    from pipelines.params import Params
    from pipelines.watch.findings import WatchReport
    from pipelines.watch.run import Watching
    from pipelines.watch.window import Window

SHOWN = 20


@click.command()
@click.option("--window", "name", help="A month, ISO week or day: 2026-10, 2026-W41, 2026-10-05.")
@click.option("--from", "start", help="First day or moment, UTC.")
@click.option("--to", "end", help="The day or moment it ends before, UTC.")
@click.option("--all", "everything", is_flag=True, help="Show what is fine too.")
@click.option("--act", "acts", is_flag=True, help="Draw it, and do what the params ask for.")
@JSON
def watch(
    name: str | None,
    start: str | None,
    end: str | None,
    everything: bool,
    acts: bool,
    as_json: bool,
) -> None:
    """Compare a window of recorded decisions with the champion's baseline; write a report.

    Exit 4 when something alarms: a verdict, not a fault. What the params ask for then stands with
    each finding; it is done with --act alone: the page, a stop, alerts, each once.
    """
    from pipelines.typed import plain
    from pipelines.watch import window

    if (name is None) == (start is None and end is None):
        raise BadRequest("name a window, or its two ends", hint="clew watch --window 2026-10")
    chosen = window.parse(name) if name else window.between(start or "", end or "")
    place = here()
    made = watched(place, chosen)
    if as_json:
        voice.record(plain(made), as_json=True)
    else:
        _tell(made, everything)
    if acts:
        _act(place, chosen.name, made)
    if made.alarms:
        raise GateRefused(
            "the watch alarms",
            where=chosen.name,
            observed=f"{len(made.alarms)} alarms",
            expected="none",
            hint=f"{'done was' if acts else 'with --act is done'} what params asks: {made.action}",
        )


def watched(place: Place, chosen: Window, plan: str = "") -> WatchReport:
    """Watch a window of the version in force and return the report.

    Where a `plan` names parts that were counted, they are taken; a part that is missing, or was
    counted for another version, has the window counted whole.
    """
    from pipelines.release import policy
    from pipelines.watch import run
    from pipelines.watch.parts import Folder
    from pipelines.watch.places import Places

    known = params.read(place.layout.params)
    found = in_force(place, known)
    pack = policy.read(place.layout, known.policy)
    files = Places(place.state, known.model_name).watched
    folder = Folder.of(files, chosen, plan)
    parts = folder.counted(folder.plan(plan), found.version.files_sha256) if plan else ()
    if plan and not parts:
        voice.note("not every part was counted for the version in force: counting the window whole")
    with open_ledger(place.state) as ledger:
        made = run.run(run.Question(found, chosen, known, pack), ledger, files, voice.note, parts)
    if plan:
        folder.forget()
    voice.note(f"report {files.report(chosen.name, made.id)}")
    return made


def in_force(place: Place, known: Params) -> Watching:
    """Return the version in force as it is watched. Raises NotThere, IntegrityBroken."""
    from pipelines.watch import run

    registry = wiring.registry(place.state)(known.model_name)
    return run.in_force(registry, known.decide, place.state.temporary)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@JSON
def outcomes(file: Path, as_json: bool) -> None:
    """Record what became of people decided about, from FILE (CSV, Parquet, JSON Lines).

    Columns: decision_id, the contract's target, observed_at. The same file can be given twice; a
    decision has one outcome, and another one for it is refused.
    """
    voice.record(recorded(here(), file), as_json=as_json)


def recorded(place: Place, file: Path) -> dict[str, int]:
    """Record a file of outcomes and return how many were new, known and of erased decisions."""
    from pipelines import contract
    from pipelines.watch import outcomes as late

    rows = late.rows(file, contract.read(place.layout.contract))
    with open_ledger(place.state) as ledger:
        done = late.record(ledger, rows, lambda count: voice.note(f"{count} rows"))
    return {"recorded": done.recorded, "unchanged": done.unchanged, "erased": done.erased}


def _act(place: Place, window: str, made: WatchReport) -> None:
    """Do as the DAG does: stop first, then draw, then tell; say that a retrain is wanted."""
    from pipelines.cli import watch_deeds as deeds
    from pipelines.watch import act

    if act.asking(made, "stop"):
        voice.note(f"stop: {deeds.stop(place, window, made.id) or 'stopped for it before'}")
    page = deeds.report(place, window, made.id)["page"]
    voice.note(f"page {page}")
    if wanted := act.retrain_wanted(made):
        voice.note(f"retrain wanted: {wanted['reason']}\n  next: clew retrain")
    done = deeds.alert(place, window, made.id, page)
    voice.note(f"{done.sent} alerts sent, {done.before} sent before")


def _tell(made: WatchReport, everything: bool) -> None:
    """Print the findings, the worst first."""
    told = [each for each in made.findings if everything or each.status != "ok"]
    voice.result(
        [
            {"status": each.status, "check": each.check, "action": each.action, "said": each.said}
            for each in (told if everything else told[:SHOWN])
        ],
        as_json=False,
    )
    hidden = len(made.findings) - len(told)
    voice.note(f"{len(made.alarms)} alarms, {hidden} findings are fine; action: {made.action}")
