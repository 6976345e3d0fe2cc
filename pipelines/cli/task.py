"""One task of a run, as Airflow calls it: a commit id in, a commit id out, as JSON.

The last line on stdout is one JSON object. ``skipped`` in it is the reason why there was nothing
to do. A refusal that leaves a result (validate, gate) is told with the commit that holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from pipelines import params, run_step, runs
from pipelines.cli.options import Group, Place, here
from pipelines.cli.run import data_commit, replace_source
from pipelines.cli.task_audit import audit_alert, audit_deadlines, audit_replay, audit_verify
from pipelines.cli.task_decide import score, switch
from pipelines.cli.task_erase import erase, erase_plan
from pipelines.cli.task_release import approve, plan, promote
from pipelines.cli.task_watch import (
    outcomes,
    watch,
    watch_alert,
    watch_part,
    watch_parts,
    watch_report,
    watch_stop,
)
from pipelines.cli.voice import tell
from pipelines.errors import BadRequest, DataRefused, GateRefused
from pipelines.records import Check, Snapshot, Verdict
from pipelines.runs.git import Git, run_name
from pipelines.typed import read_json

RUN = click.option("--run-id", required=True)
COMMIT = click.option("--commit", required=True)


@click.group(cls=Group)
def task() -> None:
    """Do one task of a run; what it prints is a JSON object."""


WATCH = (outcomes, watch_parts, watch_part, watch, watch_report, watch_stop, watch_alert)
AUDIT = (audit_verify, audit_replay, audit_deadlines, audit_alert)
for each in (plan, approve, promote, score, switch, erase_plan, erase, *WATCH, *AUDIT):
    task.add_command(each)


def _of_run(function: Callable[..., Any]) -> Callable[..., Any]:
    return RUN(COMMIT(function))


@task.command()
@RUN
@click.option("--code", help="Commit of code and parameters; default: the run's own, or HEAD.")
@click.option("--data", help="Commit or run id whose data is taken over.")
@click.option("--choice", multiple=True, help="candidate=NAME or policy=NAME; empty: no choice.")
@click.option("--asked", help="Why something asked for this run; it stays with the run.")
def begin(
    run_id: str, code: str | None, data: str | None, choice: tuple[str, ...], asked: str | None
) -> None:
    """Begin a run at a pinned commit; a run begun before goes on with the code it was begun at."""
    place = here()
    pinned = data_commit(place, data) if data else None
    choices = {key: value for key, value in map(_pair, choice) if value}
    commit = runs.begin(
        place.root,
        place.state,
        run_id=run_id,
        code=code or begun(Git(place.root), run_id, "Code") or "HEAD",
        data=pinned,
        choices=choices,
        asked=asked,
    )
    tell(run=run_name(run_id), commit=commit, data=pinned)


def begun(git: Git, run_id: str, key: str) -> str | None:
    """Return what a run's beginning says under `key`; None where it does not, or is yet to come."""
    name = run_name(run_id)
    tip = git.tip(name)
    if tip is None:
        return None
    told = f"--format=%(trailers:key=Clew-{key},valueonly,separator=)"
    return git("log", "-1", told, "--grep", f"^Clew-Run: {name}$", tip) or None


@task.command()
@_of_run
@click.option("--location", help="A folder or s3:// prefix instead of the one in params.yaml.")
@click.option("--if-any", is_flag=True, help="When nothing landed, say so and leave it at that.")
def ingest(run_id: str, commit: str, location: str | None, if_any: bool) -> None:
    """Bring landed data in and pin it."""
    from pipelines.data.sources import NothingLanded

    place = here()
    source = params.read(place.layout.params).data.source
    if location:
        kind = "s3" if location.startswith("s3://") else "files"
        source = replace_source(source, kind, location)
    try:
        result = runs.ingest(place.root, place.state, run_id=run_id, commit=commit, source=source)
    except NothingLanded as nothing:
        if not if_any:
            raise
        tell(skipped=nothing.what)
    else:
        tell(commit=result.commit, cached=result.cached)


@task.command()
@click.argument("name")
@_of_run
def step(name: str, run_id: str, commit: str) -> None:
    """Do one file step."""
    place = here()
    try:
        result = runs.step(place.root, place.state, run_id=run_id, commit=commit, name=name)
    except (DataRefused, GateRefused):
        tell(commit=_left(place, run_id, commit, name), refused=True)
        raise
    tell(commit=result.commit, cached=result.cached)


def _left(place: Place, run_id: str, commit: str, name: str) -> str:
    """Return the commit that holds what a step left that refuses what comes after it."""
    git = Git(place.root)
    tip = git.tip(run_name(run_id))
    return (git.step_after(commit, tip, name) if tip else None) or commit


@task.command()
@click.argument("name")
@_of_run
def check(name: str, run_id: str, commit: str) -> None:
    """Show one check's stored result; exit 4 when it blocks under the run's policy pack."""
    from pipelines.release import policy

    place = here()
    with runs.opened(
        place.root, place.state, run_id=run_id, commit=commit, only=("checks",)
    ) as context:
        layout = context.layout
        found = read_json(layout.checks / f"{name}.json", Check)
        pack = policy.read(layout, params.read(layout.params).policy)
    rule = pack.checks.get(name)
    tell(check=name, outcome=found.outcome, gates=rule.gates if rule else True)
    if rule is None or rule.blocks(found.outcome):
        raise GateRefused(
            f"the check {name} blocks: {found.outcome}",
            where=pack.name,
            observed=found.observed,
            expected=found.expected,
            hint=f"clew gate {run_name(run_id)}",
        )


@task.command()
@_of_run
def snapshot(run_id: str, commit: str) -> None:
    """Show the snapshot that a run pinned."""
    place = here()
    with runs.opened(
        place.root, place.state, run_id=run_id, commit=commit, only=("snapshot",)
    ) as context:
        found = read_json(context.layout.snapshot_record, Snapshot)
    tell(snapshot=found.id, commit=commit, rows=found.rows, refused=found.refused)


@task.command()
@_of_run
def register(run_id: str, commit: str) -> None:
    """Register the run's candidate; a blocked one is logged without a version."""
    place = here()
    with runs.opened(place.root, place.state, run_id=run_id, commit=commit) as context:
        asked = begun(Git(place.root), run_id, "Asked")
        own = replace(context, run=replace(context.run, asked=asked)) if context.run else context
        version = run_step.run("register", own)
        verdict = read_json(context.layout.verdict, Verdict)
        model_name = params.read(context.layout.params).model_name
    tell(
        run=run_name(run_id),
        version=version.version if version else None,
        model_name=model_name,
        verdict=verdict.id,
        passed=verdict.passed,
        policy=verdict.policy,
    )


@task.command()
@RUN
def finish(run_id: str) -> None:
    """Remove the run's worktree; its commits and data stay."""
    place = here()
    runs.finish(place.root, place.state, run_id)
    tell(run=run_name(run_id))


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise BadRequest("not a choice", observed=text, expected="key=value")
    return key, value
