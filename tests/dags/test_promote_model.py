"""What a run of promote_model comes to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.scenarios import VERDICT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


def test_a_low_tier_asks_nobody(outcomes: dict[str, Any]) -> None:
    """Where the policy pack asks for no approval the version is promoted and announced."""
    found = outcomes["low tier"]
    assert ("success", "skipped") == (found["state"], found["tasks"]["approve"])
    extra = {"promotion": "p", "version": "7", "verdict_id": VERDICT}
    assert [{"asset": "champion", "extra": extra}] == found["events"]


def test_the_champion_is_not_promoted_again(outcomes: dict[str, Any]) -> None:
    """Nobody is asked about a version that is the champion already."""
    found = outcomes["champion already"]
    assert ("success", []) == (found["state"], found["events"])
    assert {"plan"} == {call["name"] for call in found["calls"]}


def test_what_the_gate_blocked_is_not_asked_about(outcomes: dict[str, Any]) -> None:
    """A version that may not be promoted makes the run red before anybody is asked."""
    found = outcomes["blocked version"]
    assert ("failed", "upstream_failed") == (found["state"], found["tasks"]["approve"])
    assert {"plan"} == {call["name"] for call in found["calls"]}


def test_by_hand_a_version_must_be_named(outcomes: dict[str, Any]) -> None:
    """What promotes takes a version and never the latest."""
    found = outcomes["no version"]
    assert ("failed", []) == (found["state"], found["calls"])
