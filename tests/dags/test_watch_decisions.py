"""What runs of watch_decisions come to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.scenarios import PARTS, REQUEST

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]
OF = ["--window=w", f"--report={'r' * 64}"]


def calls(found: dict[str, Any]) -> dict[str, list[str]]:
    """Return the words of the last call of each command."""
    return {call["name"]: call["words"][1:] for call in found["calls"]}


def test_a_quiet_window_is_watched_and_drawn_and_nothing_else(outcomes: dict[str, Any]) -> None:
    """Without a finding nothing is stopped, announced or told, and the run is green."""
    found = outcomes["a quiet window"]
    skipped = {name for name, state in found["tasks"].items() if state == "skipped"}
    assert ("success", []) == (found["state"], found["events"])
    assert {"outcomes", "count", "stop", "retrain", "alert", "failure"} == skipped
    assert OF == calls(found)["watch-report"]


def test_the_scheduled_window_is_that_before_the_run_was_due(outcomes: dict[str, Any]) -> None:
    """Without a window in the form the command is told when the run was due, and picks it."""
    (word,) = calls(outcomes["a quiet window"])["watch"]
    assert word.startswith("--due=20")


def test_a_large_window_is_counted_in_parts(outcomes: dict[str, Any]) -> None:
    """Each part of the plan is counted by a task of its own, before the watch takes the plan."""
    found = outcomes["a large window"]
    parts = [each["words"] for each in found["calls"] if each["name"] == "watch-part"]
    assert sorted(PARTS) == sorted(parts)
    assert ("success", "success") == (found["state"], found["tasks"]["count"])
    assert f"--plan={'p' * 64}" == calls(found)["watch"][-1]
    names = [each["name"] for each in found["calls"]]
    assert names.index("watch") > max(at for at, name in enumerate(names) if name == "watch-part")


def test_a_part_that_failed_leaves_no_window_unwatched(outcomes: dict[str, Any]) -> None:
    """The watch runs without the part, which it then counts itself; the run is red."""
    found = outcomes["a broken part"]
    assert ("failed", "success") == (found["state"], found["tasks"]["watch"])


def test_each_finding_is_acted_on(outcomes: dict[str, Any]) -> None:
    """An alarm stops deciding, asks for a retrain and is told, with the page to look at."""
    found = outcomes["an alarming window"]
    assert "success" == found["state"]
    assert [{"asset": "retrain_wanted", "extra": REQUEST}] == found["events"]
    assert OF == calls(found)["watch-stop"]
    assert [*OF, "--page=http://page"] == calls(found)["watch-alert"]
    assert "--window=2026-10" == calls(found)["watch"][0]


def test_a_retrain_is_asked_for_once(outcomes: dict[str, Any]) -> None:
    """The same window of the same version asks once, whatever was asked for in between."""
    found = outcomes["the same window again"]
    assert ("success", "skipped", []) == (
        found["state"],
        found["tasks"]["retrain"],
        found["events"],
    )


def test_a_watch_that_failed_is_told_and_red(outcomes: dict[str, Any]) -> None:
    """People hear of a watch that came to nothing, and the run stays red."""
    found = outcomes["a broken watch"]
    assert ("failed", "success") == (found["state"], found["tasks"]["failure"])
    assert ["--window="] == calls(found)["watch-alert"]


def test_a_page_that_failed_hides_no_alarm(outcomes: dict[str, Any]) -> None:
    """Findings are told and acted on though nothing could be drawn; the run is red."""
    found = outcomes["a broken page"]
    done = {name: found["tasks"][name] for name in ("report", "stop", "alert", "failure")}
    assert "failed" == found["state"]
    assert {"report": "failed", "stop": "success", "alert": "success", "failure": "success"} == done


def test_an_alert_that_reached_nobody_is_red(outcomes: dict[str, Any]) -> None:
    """What asks to be told and cannot be makes the run red."""
    found = outcomes["an undelivered alert"]
    assert ("failed", "failed") == (found["state"], found["tasks"]["alert"])


def test_nothing_promoted_is_nothing_to_watch(outcomes: dict[str, Any]) -> None:
    """Before the first promotion the run is green, draws nothing and tells nobody."""
    found = outcomes["nothing promoted"]
    assert ("success", {"outcomes", "watch-parts", "watch"}) == (found["state"], set(calls(found)))
