"""One task is one command: its exit code, its answer, its end; and the question to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ClewError
from pipelines.layout import State
from tests.conftest import ROOT
from tests.dags.conftest import HERE, airflow_environment, python

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]
RETRIED, GIVEN_UP = "AirflowException", "AirflowFailException"


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory, stand_in: Path) -> dict[str, Any]:
    """Return what the probe found."""
    home = tmp_path_factory.mktemp("probe")
    found: dict[str, Any] = python("probe.py", airflow_environment(home, stand_in, ROOT / "dags"))
    return found


def test_the_error_tree_says_what_is_tried_again(probe: dict[str, Any]) -> None:
    """Exactly the retryable errors, and commands ended by a signal, are tried again."""
    for kind in (ClewError, *ClewError.__subclasses__()):
        if kind.__module__ == "pipelines.errors":
            expected = RETRIED if kind.retryable else GIVEN_UP
            assert expected == probe["failures"][str(kind.exit_code)], kind
    assert (RETRIED, RETRIED) == (probe["failures"]["-9"], probe["failures"]["-15"])
    assert GIVEN_UP == probe["failures"]["99"]


def test_a_failure_says_what_the_command_said(probe: dict[str, Any]) -> None:
    """The exception names the kind of error and carries the command's own lines."""
    assert "GateRefused (exit code 4)\nclew: blocked\n  next: read" == probe["message"]


def test_only_a_json_object_is_an_answer(probe: dict[str, Any]) -> None:
    """The last line counts; what is no JSON object is no answer."""
    assert [{}, {"a": 1}, {}, {}] == probe["answers"]


def test_a_stopped_task_leaves_no_process(probe: dict[str, Any]) -> None:
    """Stopping a task ends its command and what the command started."""
    assert {"ended": True, "code": -15, "child_runs": False} == probe["killed"]


def test_an_answer_needs_a_reason(probe: dict[str, Any]) -> None:
    """Without a reason an answer is refused with what to do; with one it is taken."""
    *refused, taken = probe["approvals"]
    assert all("clear this task, and answer again" in each for each in refused)
    assert "because" == taken


def test_somebody_must_be_named_to_be_asked(probe: dict[str, Any]) -> None:
    """With no approver named nothing is asked, for Airflow would take anybody's answer."""
    assert probe["nobody"].startswith("nobody is named who may approve")
    assert ["pat"] == probe["approvers"]


def test_a_link_needs_its_page(probe: dict[str, Any]) -> None:
    """Without MLflow's address, or before the registration, there is no link and no fault."""
    assert ["", "", "http://p/artifacts/x.html"] == probe["links"]


def failing(airflow_home: Path, scratch: Path, name: str) -> dict[str, Any]:
    """Run a DAG that must fail with the real command line on a scratch clone."""
    environment = airflow_environment(airflow_home, scratch, HERE / "failing")
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'dags'}"
    found: list[dict[str, Any]] = python("runner.py", environment, [{"dag": name}])
    return found[0]


def test_clearing_up_does_not_make_a_run_green(
    airflow_home: Path, scratch: Path, state: State
) -> None:
    """A real run whose check has no result is red, though the last task succeeds."""
    found = failing(airflow_home, scratch, "green_leaf")
    assert "failed" == found["state"]
    assert {"begin": "success", "check": "failed", "finish": "success"} == found["tasks"]
    assert not [path for path in state.worktrees.iterdir() if path.is_dir()]


def test_a_real_unavailable_service_is_tried_again(
    airflow_home: Path, scratch: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command's exit code 6 leads to another try, and then to a red run."""
    monkeypatch.setenv("CLEW_GIT_REMOTE", str(state.home / "nowhere"))
    found = failing(airflow_home, scratch, "unavailable")
    assert ("failed", 2) == (found["state"], found["tries"]["begin"])
