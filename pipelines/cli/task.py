"""One task of a run, as Airflow calls it: a commit id in, a commit id out, as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import click

from pipelines import run_step, runs
from pipelines.cli.options import here
from pipelines.cli.run import data_commit, replace_source
from pipelines.errors import BadRequest, GateRefused
from pipelines.records import Check, Snapshot, Verdict
from pipelines.typed import plain, read_json

RUN = click.option("--run-id", required=True)
COMMIT = click.option("--commit", required=True)
AIRFLOW = click.option("--airflow-run-id", help="The DAG run this task belongs to.")


@click.group()
def task() -> None:
    """Do one task of a run; what it prints is a JSON object."""


def _of_run(function: Callable[..., Any]) -> Callable[..., Any]:
    return RUN(COMMIT(AIRFLOW(function)))


@task.command()
@RUN
@click.option("--code", default="HEAD")
@click.option("--data", help="Commit or run id whose data is taken over.")
@click.option("--choice", multiple=True, help="candidate=NAME or policy=NAME")
def begin(run_id: str, code: str, data: str | None, choice: tuple[str, ...]) -> None:
    """Begin a run at a pinned commit."""
    place = here()
    pinned = data_commit(place, data) if data else None
    choices = dict(_pair(each) for each in choice)
    commit = runs.begin(
        place.root, place.state, run_id=run_id, code=code, data=pinned, choices=choices
    )
    _tell(commit=commit, data=pinned)


@task.command()
@_of_run
@click.option("--location", help="A folder or s3:// prefix instead of the one in params.yaml.")
def ingest(run_id: str, commit: str, airflow_run_id: str | None, location: str | None) -> None:
    """Bring landed data in and pin it."""
    from pipelines import params

    _belongs(airflow_run_id)
    place = here()
    source = params.read(place.layout.params).data.source
    if location:
        kind = "s3" if location.startswith("s3://") else "files"
        source = replace_source(source, kind, location)
    result = runs.ingest(place.root, place.state, run_id=run_id, commit=commit, source=source)
    _tell(commit=result.commit, cached=result.cached)


@task.command()
@click.argument("name")
@_of_run
def step(name: str, run_id: str, commit: str, airflow_run_id: str | None) -> None:
    """Do one file step."""
    _belongs(airflow_run_id)
    place = here()
    result = runs.step(place.root, place.state, run_id=run_id, commit=commit, name=name)
    _tell(commit=result.commit, cached=result.cached)


@task.command()
@click.argument("name")
@_of_run
def check(name: str, run_id: str, commit: str, airflow_run_id: str | None) -> None:
    """Show one check's stored result; exit 4 when it did not pass."""
    _belongs(airflow_run_id)
    place = here()
    with runs.opened(place.root, place.state, run_id=run_id, commit=commit) as context:
        found = read_json(context.layout.checks / f"{name}.json", Check)
    _tell(check=name, outcome=found.outcome, observed=found.observed, expected=found.expected)
    if found.outcome in ("fail", "error"):
        raise GateRefused(
            f"the check {name} did not pass: {found.outcome}",
            observed=found.observed,
            expected=found.expected,
            hint=f"clew gate {run_id}",
        )


@task.command()
@_of_run
def snapshot(run_id: str, commit: str, airflow_run_id: str | None) -> None:
    """Show the snapshot that a run pinned."""
    _belongs(airflow_run_id)
    place = here()
    with runs.opened(place.root, place.state, run_id=run_id, commit=commit) as context:
        found = read_json(context.layout.snapshot_record, Snapshot)
    _tell(snapshot=found.id, commit=commit, rows=found.rows, refused=found.refused)


@task.command()
@_of_run
def register(run_id: str, commit: str, airflow_run_id: str | None) -> None:
    """Register the run's candidate; a blocked one is logged without a version."""
    _belongs(airflow_run_id)
    place = here()
    with runs.opened(place.root, place.state, run_id=run_id, commit=commit) as context:
        version = run_step.run("register", context)
        verdict = read_json(context.layout.verdict, Verdict)
    _tell(
        version=version.version if version else None,
        model_name=version.model_name if version else None,
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
    _tell(run=run_id)


def _belongs(airflow_run_id: str | None) -> None:
    if airflow_run_id:
        os.environ["CLEW_AIRFLOW_RUN_ID"] = airflow_run_id


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise BadRequest("not a choice", observed=text, expected="key=value")
    return key, value


def _tell(**answer: object) -> None:
    click.echo(json.dumps(plain(answer), ensure_ascii=False))
