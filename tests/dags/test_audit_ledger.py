"""What runs of audit_ledger come to."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


LOOKED_FOR = ("a decision that differs", "a log that was tampered with", "a late answer")


def calls(found: dict[str, Any]) -> list[list[str]]:
    """Return the words of each command that a run called."""
    return [call["words"] for call in found["calls"]]


def test_a_whole_ledger_is_green_and_tells_nobody(outcomes: dict[str, Any]) -> None:
    """The log is verified, the form's number of decisions is replayed, deadlines are looked at."""
    found = outcomes["a whole ledger"]
    assert "success" == found["state"]
    assert [["audit-deadlines"], ["audit-replay", "--sample=50"], ["audit-verify"]] == sorted(
        calls(found)
    )


def test_without_a_ledger_there_is_nothing_to_audit(outcomes: dict[str, Any]) -> None:
    """Before the first decision the nightly run is no fault."""
    assert "success" == outcomes["no ledger"]["state"]


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_a_break_is_told_and_makes_the_run_red(outcomes: dict[str, Any], name: str) -> None:
    """Everything is looked at all the same, once; people are told, and the run stays red."""
    found = outcomes[name]
    assert "failed" == found["state"]
    assert [
        ["audit-alert"],
        ["audit-deadlines"],
        ["audit-replay", "--sample=1000"],
        ["audit-verify"],
    ] == sorted(calls(found))
