"""The commands that Airflow's tasks call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipelines.cli.task import begun, task
from pipelines.errors import BadRequest, NotThere
from pipelines.layout import State
from pipelines.runs.git import Git
from tests.conftest import git


@pytest.fixture
def here(scratch: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a scratch clone with a state folder of its own and an empty landing folder."""
    state.landing.mkdir()
    monkeypatch.chdir(scratch)
    return scratch


def answer(*words: str) -> dict[str, Any]:
    """Return the JSON object that a task prints last; raise what it raises."""
    done = CliRunner().invoke(task, list(words), catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_run_goes_on_at_the_code_it_was_begun_at(here: Path) -> None:
    """A task that is cleared after somebody has committed begins the same run, not another."""
    first = answer("begin", "--run-id=d__m:1")
    code = git(here, "rev-parse", "HEAD")
    git(here, "commit", "--allow-empty", "--quiet", "--message", "later")
    assert first == answer("begin", "--run-id=d__m:1")
    assert code == begun(Git(here), "d__m:1", "Code")
    assert begun(Git(here), "another", "Code") is None


def test_why_a_run_was_asked_for_stays_with_it(here: Path) -> None:
    """What the watch asks for stands in the run's first commit, on one line whatever it says."""
    first = answer("begin", "--run-id=r", "--asked=m/1/w: window w:\nClew-Code: evil")
    assert first == answer("begin", "--run-id=r", "--asked=m/1/w: window w:\nClew-Code: evil")
    assert "m/1/w: window w: Clew-Code: evil" == begun(Git(here), "r", "Asked")
    assert git(here, "rev-parse", "HEAD") == begun(Git(here), "r", "Code")
    answer("begin", "--run-id=plain")
    assert begun(Git(here), "plain", "Asked") is None


def test_a_choice_left_empty_is_no_choice(here: Path) -> None:
    """The form hands over empty fields; they choose nothing, and are no other choice later."""
    first = answer("begin", "--run-id=r", "--choice=candidate=", "--choice=policy=")
    assert first == answer("begin", "--run-id=r")
    with pytest.raises(BadRequest):
        answer("begin", "--run-id=r", "--choice=candidate=naive")


def test_only_a_run_that_nobody_asked_for_may_find_nothing(here: Path) -> None:
    """An empty landing folder is told as nothing to do with --if-any, and refused without."""
    commit = answer("begin", "--run-id=r")["commit"]
    words = ("ingest", "--run-id=r", f"--commit={commit}")
    assert {"skipped": "nothing landed"} == answer(*words, "--if-any")
    with pytest.raises(NotThere):
        answer(*words)


def test_a_missing_landing_folder_is_a_fault_on_a_schedule_too(here: Path, state: State) -> None:
    """A source that is not there is not the same as one that holds nothing."""
    state.landing.rmdir()
    commit = answer("begin", "--run-id=r")["commit"]
    with pytest.raises(NotThere):
        answer("ingest", "--run-id=r", f"--commit={commit}", "--if-any")


def test_a_check_without_a_result_is_not_there(here: Path) -> None:
    """A check whose result is missing never shows as passed."""
    commit = answer("begin", "--run-id=r")["commit"]
    with pytest.raises(NotThere):
        answer("check", "bias", "--run-id=r", f"--commit={commit}")


def test_finishing_keeps_the_run(here: Path, state: State) -> None:
    """The worktree goes, the run's reference stays."""
    commit = answer("begin", "--run-id=r")["commit"]
    answer("finish", "--run-id=r")
    assert not (state.worktrees / "r").exists()
    assert commit == git(here, "rev-parse", "refs/clew/runs/r")
