"""The main job as a newcomer sees it: two candidates through a real scheduler, one gets through."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines import runs
from pipelines.errors import ClewError, GateRefused, Unavailable
from pipelines.layout import State
from pipelines.records import Check, Verdict
from pipelines.runs.git import Git, run_name
from pipelines.stack import airflow_api, record
from pipelines.stack.airflow_api import APPROVE, Airflow, Run
from pipelines.typed import read_json

DAGS = ("prepare_data", "train_model", "promote_model")
ENGINEER, APPROVER = "engineer", "approver"
PATIENCE = 900.0
LOOK_SECONDS = 1.0
REASON = (
    "The demo's own approval, given by a script: every check passed. In earnest a person reads."
)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one candidate."""

    candidate: str
    run_id: str
    verdict: Verdict
    checks: Mapping[str, Check]
    reports: Path


def play(
    repository: Path, state: State, candidates: Sequence[str], tell: Tell
) -> tuple[Judged, ...]:
    """Take a snapshot, train each candidate in turn, and promote what passes.

    All through the DAGs of the running stack. Raises GateRefused when no candidate passed, and
    Unavailable when a DAG did not end as it must.
    """
    engineer = airflow_api.connect(state, ENGINEER)
    for dag in DAGS:
        engineer.wait_for_dag(dag, PATIENCE)
        engineer.unpause(dag, paused=dag != DAGS[0])
    data = followed(engineer, engineer.trigger("prepare_data"), tell)
    if data.state != "success":
        raise red(engineer, data)
    engineer.unpause("train_model")
    engineer.unpause("promote_model")
    found = []
    for name in candidates:
        tell(f"training the candidate '{name}'")
        trained = followed(engineer, engineer.trigger("train_model", {"candidate": name}), tell)
        found.append(judged(repository, state, name, trained))
        say(found[-1], tell)
        if found[-1].verdict.passed:
            if trained.state != "success":
                raise red(engineer, trained)
            _promote(engineer, state, tell)
    if not any(each.verdict.passed for each in found):
        raise GateRefused("no candidate passed", observed=", ".join(candidates))
    return tuple(found)


def _promote(engineer: Airflow, state: State, tell: Tell) -> None:
    """Follow the promotion that the registered version started; answer its question."""
    approver = airflow_api.connect(state, APPROVER)
    run = started(engineer, "promote_model")
    while not (asked := approver.questions(run.dag, run.run_id)):
        if engineer.run(run.dag, run.run_id).ended:
            raise red(engineer, run)
        time.sleep(LOOK_SECONDS)
    tell(asked[0].subject)
    name = approver.answer(asked[0], APPROVE, REASON)
    tell(f"approved by {name}: {REASON}")
    promoted = followed(engineer, run, tell)
    if promoted.state != "success":
        raise red(engineer, promoted)


def started(api: Airflow, dag: str) -> Run:
    """Wait for the newest run of a DAG that an asset event started."""
    end = time.monotonic() + PATIENCE
    while True:
        found = api.get(f"dags/{dag}/dagRuns?run_type=asset_triggered&order_by=-run_after&limit=1")
        for each in found["dag_runs"]:
            if each["state"] in ("queued", "running"):
                return Run(dag, each["dag_run_id"], each["state"])
        if time.monotonic() > end:
            raise Unavailable("the announced candidate started no run", where=dag)
        time.sleep(LOOK_SECONDS)


def followed(api: Airflow, run: Run, tell: Tell) -> Run:
    """Wait for a run and tell of each task as it ends."""
    told: set[str] = set()
    end = time.monotonic() + PATIENCE
    while True:
        now = api.run(run.dag, run.run_id)
        for task in api.tasks(run.dag, run.run_id):
            if task.name not in told and task.state in ("success", "failed", "skipped"):
                told.add(task.name)
                tell(f"{run.dag:<14} {task.name:<26} {task.state}")
        if now.ended:
            return now
        if time.monotonic() > end:
            raise Unavailable("a run has not ended in time", where=run.dag, observed=now.state)
        time.sleep(LOOK_SECONDS)


def judged(repository: Path, state: State, candidate: str, run: Run) -> Judged:
    """Read a run's verdict and checks from its commit, and keep its reports to look at."""
    name = run_name(f"{run.dag}__{run.run_id}")
    commit = Git(repository).tip(name)
    if commit is None:
        raise Unavailable("the run left no commit", where=run.run_id, hint="see its log in Airflow")
    with runs.opened(repository, state, run_id=name, commit=commit) as context:
        layout = context.layout
        if not layout.verdict.exists():
            raise Unavailable(
                "the run ended without a verdict", where=run.run_id, hint="see its log in Airflow"
            )
        verdict = read_json(layout.verdict, Verdict)
        checks = {each: read_json(layout.checks / f"{each}.json", Check) for each in verdict.checks}
        kept = state.reports / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(layout.root / "reports", kept)
    runs.finish(repository, state, name)
    return Judged(candidate, name, verdict, checks, kept)


def say(found: Judged, tell: Tell) -> None:
    """Tell what became of a candidate, and what blocked it."""
    if found.verdict.passed:
        tell(f"the candidate '{found.candidate}' passed every check that gates")
        return
    tell(f"the candidate '{found.candidate}' is BLOCKED by:")
    for name, check in found.checks.items():
        if check.outcome != "pass" and any(name in why for why in found.verdict.blocked_by):
            tell(f"  {name}")
            tell(f"    observed: {check.observed}")
            tell(f"    expected: {check.expected}")


def red(api: Airflow, run: Run) -> ClewError:
    """Return the error that stands for a run that failed, with the tasks that did."""
    failed = [task.name for task in api.tasks(run.dag, run.run_id) if task.state == "failed"]
    return Unavailable(
        "a run of the demo failed",
        where=f"{run.dag} {run.run_id}",
        observed=", ".join(failed) or run.state,
        hint=f"read the log: {api.address}/dags/{run.dag}/runs/{run.run_id}",
    )


def rows(found: Sequence[Judged], versions: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the closing table: a row a candidate; `versions` by candidate id."""
    return [_row(each, versions.get(each.verdict.candidate_id)) for each in found]


def _row(judged: Judged, version: str | None) -> dict[str, object]:
    row: dict[str, object] = {
        "candidate": judged.candidate,
        "verdict": "passed" if judged.verdict.passed else "BLOCKED",
        "version": version,
    }
    row.update({name: check.outcome for name, check in judged.checks.items()})
    return row


def addresses(running: record.Services, found: Sequence[Judged], state: State) -> dict[str, object]:
    """Return where to look: pages, users, runs, reports."""
    answer: dict[str, object] = {
        "Airflow": running.airflow,
        "MLflow": running.mlflow,
        "decisions": f"{running.decisions}/docs" if running.decisions else "left out",
        "record": running.pages or "left out",
        "watch": running.evidently or "left out",
        "users": f"admin, {ENGINEER}, {APPROVER}; passwords in {state.users}",
    }
    for each in found:
        answer[f"run of {each.candidate}"] = each.run_id
        answer[f"reports of {each.candidate}"] = each.reports / "checks" / "index.html"
    return answer
