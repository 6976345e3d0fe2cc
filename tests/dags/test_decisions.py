"""What runs of score_batch, erase_subject and stop_decisions come to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.scenarios import REFERENCE

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


def calls(found: dict[str, Any]) -> list[list[str]]:
    """Return the words of each command that a run called."""
    return [call["words"] for call in found["calls"]]


def test_a_file_is_scored_and_announced(outcomes: dict[str, Any]) -> None:
    """What could not be recorded is tried again, and the batch is announced with its ids."""
    found = outcomes["a file"]
    words = ["score", "--file=may/a.csv", "--format=jsonl"]
    extra = {"batch": "b" * 64, "version": "7", "rows": "9", "out": "/state/scored/b"}
    assert "success" == found["state"]
    assert [words, words] == calls(found)
    assert [{"asset": "decisions", "extra": extra}] == found["events"]


def test_the_same_file_is_announced_once(outcomes: dict[str, Any]) -> None:
    """A batch that was decided before is no news."""
    found = outcomes["the same file"]
    assert ("success", "skipped", []) == (
        found["state"],
        found["tasks"]["publish"],
        found["events"],
    )


def test_a_snapshot_is_scored_beside_a_challenger(outcomes: dict[str, Any]) -> None:
    """The form's snapshot and challenger reach the command, and nothing it does not name."""
    words = ["score", "--snapshot=d1", "--format=parquet", "--challenger=3"]
    assert [words] == calls(outcomes["a snapshot"])


def test_a_file_that_is_not_there_makes_the_run_red(outcomes: dict[str, Any]) -> None:
    """A missing file is not tried again and announces nothing."""
    found = outcomes["no such file"]
    assert ("failed", 1, []) == (found["state"], found["tries"]["score"], found["events"])


def test_what_may_not_be_erased_is_not_asked_about(outcomes: dict[str, Any]) -> None:
    """A legal hold or a floor of the law makes the run red before anybody is asked."""
    found = outcomes["may not be erased"]
    assert ("failed", "upstream_failed") == (found["state"], found["tasks"]["approve"])
    assert [["erase-plan", f"--reference={REFERENCE}"]] == calls(found)


def test_a_closed_request_asks_nobody(outcomes: dict[str, Any]) -> None:
    """A reference that was answered before ends the run in green, and nothing is erased."""
    found = outcomes["erased before"]
    assert ("success", "skipped", 1) == (
        found["state"],
        found["tasks"]["erase"],
        len(found["calls"]),
    )


def test_a_stop_is_carried_out(outcomes: dict[str, Any]) -> None:
    """The action, the reason and the user who triggered the run reach the command."""
    found = outcomes["stopped"]
    words = ["switch", "--action=stop", "--person=dag_test", "--reason=it drifts"]
    assert ("success", [words]) == (found["state"], calls(found))
