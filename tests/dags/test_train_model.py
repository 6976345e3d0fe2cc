"""What a run of train_model comes to, for every outcome of its steps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.scenarios import VERDICT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


def test_a_blocked_candidate_makes_the_run_red(outcomes: dict[str, Any]) -> None:
    """The check that blocked is red, and so is the run, though tasks after it succeeded."""
    found = outcomes["blocked"]
    states = found["tasks"]
    assert "failed" == found["state"]
    assert ("failed", "success") == (states["check.bias"], states["check.performance"])
    assert ("failed", "success", "success") == (
        states["gate"],
        states["register"],
        states["finish"],
    )
    assert ("upstream_failed", "upstream_failed") == (states["passed"], states["publish"])
    assert [] == found["events"]


def test_a_refusal_is_not_tried_again(outcomes: dict[str, Any]) -> None:
    """A verdict is no fault: the gate and the check are asked once."""
    names = [call["name"] for call in outcomes["blocked"]["calls"]]
    assert (1, 1) == (names.count("step gate"), names.count("check bias"))


def test_a_blocked_candidate_is_logged_at_the_gates_commit(outcomes: dict[str, Any]) -> None:
    """What a refusing gate left is handed on, so that the verdict is registered with the rest."""
    words = _words(outcomes["blocked"], "register")
    assert "--commit=after-gate" in words


def test_a_passed_candidate_is_announced_with_its_ids(outcomes: dict[str, Any]) -> None:
    """The event carries version, verdict, run and commit, and nothing else."""
    found = outcomes["passed"]
    assert "success" == found["state"]
    assert {"success"} == set(found["tasks"].values())
    extra = {"version": "7", "verdict_id": VERDICT, "run_id": "r", "commit": "after-gate"}
    assert [{"asset": "candidate", "extra": extra}] == found["events"]


def test_a_dry_run_registers_nothing(outcomes: dict[str, Any]) -> None:
    """A dry run judges, and neither registers nor announces."""
    found = outcomes["passed dry run"]
    assert "success" == found["state"]
    assert ("skipped", "skipped") == (found["tasks"]["register"], found["tasks"]["publish"])
    assert "register" not in [call["name"] for call in found["calls"]]
    assert [] == found["events"]


def test_a_blocked_dry_run_is_red_too(outcomes: dict[str, Any]) -> None:
    """A registration that is skipped does not make a blocked run look green."""
    found = outcomes["blocked dry run"]
    assert "failed" == found["state"]
    assert "upstream_failed" == found["tasks"]["publish"]


def test_a_broken_step_ends_the_run(outcomes: dict[str, Any]) -> None:
    """A bug is not tried again; nothing after it runs but the clearing up."""
    found = outcomes["unavailable, then broken"]
    assert "failed" == found["state"]
    assert ("failed", "upstream_failed") == (found["tasks"]["train"], found["tasks"]["gate"])
    assert ("upstream_failed", "success") == (found["tasks"]["register"], found["tasks"]["finish"])
    assert 1 == [call["name"] for call in found["calls"]].count("step train")


def test_without_a_verdict_nothing_is_registered(outcomes: dict[str, Any]) -> None:
    """A gate that broke leaves no verdict: registering refuses, and the run is red."""
    found = outcomes["no verdict"]
    assert ("failed", "failed") == (found["state"], found["tasks"]["register"])


def test_what_is_unavailable_is_tried_again(outcomes: dict[str, Any]) -> None:
    """A service that does not answer once costs a retry, not the run."""
    found = outcomes["unavailable, then broken"]
    assert "success" == found["tasks"]["split"]
    assert 2 == [call["name"] for call in found["calls"]].count("step split")


def test_a_mistyped_field_is_refused(outcomes: dict[str, Any]) -> None:
    """Airflow takes a field that the form does not have; the first task does not."""
    found = outcomes["mistyped field"]
    assert ("failed", "failed") == (found["state"], found["tasks"]["begin"])
    assert [] == found["calls"]


def test_the_form_reaches_the_run(outcomes: dict[str, Any]) -> None:
    """Candidate and data are handed to the run as they were typed; what was left empty is not."""
    words = _words(outcomes["passed"], "begin")
    assert ["--choice=candidate=fair", "--choice=policy="] == words[3:]
    assert "--data=abc" in _words(outcomes["blocked"], "begin")


def test_without_data_the_newest_snapshot_is_taken(outcomes: dict[str, Any]) -> None:
    """An empty data field means the commit of the snapshot announced last."""
    assert "--data=after-step-snapshot" in _words(outcomes["passed"], "begin")


def test_without_any_snapshot_a_person_is_told(outcomes: dict[str, Any]) -> None:
    """By hand and with no snapshot to train on, the run is red and nothing was begun."""
    found = outcomes["no snapshot yet"]
    assert ("failed", []) == (found["state"], found["calls"])


def test_a_step_gets_ids_and_no_secret(outcomes: dict[str, Any]) -> None:
    """A step's process knows its DAG run, has nothing on stdin and none of Airflow's settings."""
    found = outcomes["passed"]
    for call in found["calls"]:
        assert found["run_id"] == call["airflow_run_id"]
        assert ("", []) == (call["stdin"], call["airflow_settings"])
        assert f"--run-id=train_model__{found['run_id']}" in call["words"]


def test_each_step_starts_from_the_commit_before(outcomes: dict[str, Any]) -> None:
    """Tasks hand on commits: the chain of steps is a chain of commits."""
    steps = [each for each in outcomes["passed"]["calls"] if each["name"].startswith("step ")]
    given = [word for each in steps for word in each["words"] if word.startswith("--commit=")]
    after = ["begin", *("step-" + each["name"].removeprefix("step ") for each in steps[:-1])]
    assert [f"--commit=after-{name}" for name in after] == given


def _words(found: dict[str, Any], name: str) -> list[str]:
    words: list[str] = next(call["words"] for call in found["calls"] if call["name"] == name)
    return words
