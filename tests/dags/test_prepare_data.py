"""What a run of prepare_data comes to."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


def test_new_data_is_announced(outcomes: dict[str, Any]) -> None:
    """The event carries the snapshot's id, its commit and its run."""
    extra = {"commit": "after-step-snapshot", "run_id": "r", "snapshot_id": "one"}
    assert "success" == outcomes["new data"]["state"]
    assert [{"asset": "snapshot", "extra": extra}] == outcomes["new data"]["events"]


def test_the_same_data_again_is_unchanged(outcomes: dict[str, Any]) -> None:
    """The same snapshot is not announced a second time, so nothing trains on it again."""
    found = outcomes["the same data"]
    assert ("success", "skipped", []) == (
        found["state"],
        found["tasks"]["publish"],
        found["events"],
    )


def test_another_place_may_be_named(outcomes: dict[str, Any]) -> None:
    """The form's location is handed on, and other data is another snapshot."""
    found = outcomes["other data"]
    ingest = next(call for call in found["calls"] if call["name"] == "ingest")
    assert "--location=/elsewhere" in ingest["words"]
    assert "two" == found["events"][0]["extra"]["snapshot_id"]


def test_by_hand_an_empty_landing_is_asked_about(outcomes: dict[str, Any]) -> None:
    """Only a run that nobody asked for may find nothing and leave it at that."""
    ingest = next(c for c in outcomes["new data"]["calls"] if c["name"] == "ingest")
    assert "--if-any" not in ingest["words"]


def test_nothing_landed_is_no_fault(outcomes: dict[str, Any]) -> None:
    """When the command says that nothing landed, all that follows is skipped and nothing is red."""
    found = outcomes["nothing landed"]
    assert ("success", []) == (found["state"], found["events"])
    assert "skipped" == found["tasks"]["validate"]
    assert "success" == found["tasks"]["finish"]


def test_refused_data_is_red_and_not_announced(outcomes: dict[str, Any]) -> None:
    """Data that broke the contract ends the run; it is asked once and nothing is announced."""
    found = outcomes["refused data"]
    assert ("failed", []) == (found["state"], found["events"])
    assert "upstream_failed" == found["tasks"]["snapshot"]
    assert 1 == [call["name"] for call in found["calls"]].count("step validate")
