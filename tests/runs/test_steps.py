"""Real steps of a run: done once, kept when they refuse, resumed after a kill."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from pipelines import runs
from pipelines.errors import DataRefused
from pipelines.layout import State
from tests.conftest import ROOT, git

STEP = [sys.executable, "-m", "pipelines.cli", "task", "step", "validate"]
LAND = ROOT / "examples" / "boston_mortgages" / "land.py"


@pytest.fixture
def landed(state: State) -> Path:
    """Land the default data and return the file."""
    file: Path = runpy.run_path(str(LAND))["main"](state.landing)
    return file


def ingested(scratch: Path, state: State, run_id: str) -> str:
    """Begin a run and bring the landed data in; return the commit."""
    first = runs.begin(scratch, state, run_id=run_id)
    return runs.ingest(scratch, state, run_id=run_id, commit=first).commit


def steps_of(scratch: Path, run_id: str) -> list[str]:
    """Return the steps that left a commit in a run, newest first."""
    lines = git(scratch, "log", "--format=%B", f"refs/clew/runs/{run_id}").splitlines()
    return [line.split()[1] for line in lines if line.startswith("Clew-Step:")]


def test_a_step_is_done_once(scratch: Path, state: State, landed: Path) -> None:
    """Asked for again at the same commit, by a task that is tried again, it adds nothing."""
    commit = ingested(scratch, state, "r1")
    again = runs.ingest(scratch, state, run_id="r1", commit=git(scratch, "rev-parse", f"{commit}^"))
    first = runs.step(scratch, state, run_id="r1", commit=commit, name="validate")
    second = runs.step(scratch, state, run_id="r1", commit=commit, name="validate")
    assert (commit, True) == (again.commit, again.cached)
    assert (first.commit, False, True) == (second.commit, first.cached, second.cached)
    assert ["validate", "ingest"] == steps_of(scratch, "r1")


def test_unchanged_data_are_not_worked_on_again(scratch: Path, state: State, landed: Path) -> None:
    """Another run on the same bytes takes the outputs over; DVC ran nothing."""
    for name in ("r1", "r2"):
        commit = ingested(scratch, state, name)
        result = runs.step(scratch, state, run_id=name, commit=commit, name="validate")
    assert result.cached
    locks = [git(scratch, "show", f"refs/clew/runs/{name}:dvc.lock") for name in ("r1", "r2")]
    assert locks[0] == locks[1]


def test_refused_data_are_kept_before_the_run_stops(
    scratch: Path, state: State, landed: Path
) -> None:
    """Over the threshold the step refuses; the refused rows are versioned and come back."""
    lines = landed.read_text().splitlines()
    landed.write_text("\n".join([*lines[:1900], *(line + "x" for line in lines[1900:])]) + "\n")
    commit = ingested(scratch, state, "r1")
    with pytest.raises(DataRefused):
        runs.step(scratch, state, run_id="r1", commit=commit, name="validate")
    runs.finish(scratch, state, "r1")
    tip = git(scratch, "rev-parse", "refs/clew/runs/r1")
    with runs.opened(scratch, state, run_id="r1", commit=tip) as context:
        refused = pd.read_parquet(context.layout.refused / "refused.parquet")
    assert 90 <= len(refused)
    assert ["validate", "ingest"] == steps_of(scratch, "r1")


def test_a_killed_step_is_done_by_the_next_try(scratch: Path, state: State, landed: Path) -> None:
    """A worker killed in the middle leaves the run where it was; the next try adds one commit."""
    commit = ingested(scratch, state, "r1")
    process = subprocess.Popen(
        [*STEP, "--run-id", "r1", "--commit", commit],
        cwd=scratch,
        env=os.environ | {"PYTHONPATH": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    mark = state.worktrees / "r1" / ".dvc" / "tmp" / "validate.ran"
    while not mark.exists():
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert commit == git(scratch, "rev-parse", "refs/clew/runs/r1")
    result = runs.step(scratch, state, run_id="r1", commit=commit, name="validate")
    assert not result.cached
    assert ["validate", "ingest"] == steps_of(scratch, "r1")


def test_two_runs_go_side_by_side(scratch: Path, state: State, landed: Path) -> None:
    """Two processes that work for two runs at once end as each would alone."""
    commits = {name: ingested(scratch, state, name) for name in ("r1", "r2")}
    processes = [
        subprocess.Popen(
            [*STEP, "--run-id", name, "--commit", commit],
            cwd=scratch,
            env=os.environ | {"PYTHONPATH": str(scratch)},
            stdout=subprocess.DEVNULL,
        )
        for name, commit in commits.items()
    ]
    assert [0, 0] == [process.wait() for process in processes]
    locks = {git(scratch, "show", f"refs/clew/runs/{name}:dvc.lock") for name in commits}
    assert 1 == len(locks)
