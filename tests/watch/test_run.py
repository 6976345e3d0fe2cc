"""A window of recorded decisions, watched: what is found, and what is said when nothing can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.errors import IntegrityBroken
from pipelines.watch import run
from pipelines.watch_params import Bound
from tests.release import cases
from tests.watch.world import World, at, found


def test_a_window_like_the_training_data_alarms_nothing(world: World) -> None:
    """Decisions about people like those of the training data raise no alarm about data or score."""
    world.decide(cases.applicants(1500, 2))
    report = world.watch()
    assert [] == [each.said for each in report.alarms]
    assert 1500 == report.decisions


def test_a_shifted_column_asks_for_a_retrain(world: World) -> None:
    """A column that moved by a standard deviation alarms, and so does the score it moves."""
    world.decide(cases.applicants(1500, 2, shift=10.0))
    report = world.watch()
    assert {"alarm"} == {each.status for each in found(report, "drift", "income")}
    assert {"ok"} == {each.status for each in found(report, "drift", "debt")}
    assert {"alarm"} == {each.status for each in found(report, "score")}
    assert "retrain" == report.action


def test_an_empty_window_alarms(world: World) -> None:
    """A month without a decision is an alarm of its own, and no column of it is called fine."""
    report = world.watch("2026-09")
    assert ["alarm"] == [each.status for each in found(report, "window", "decisions")]
    assert {"error"} == {each.status for each in found(report, "columns")}
    assert [] == [each.said for each in found(report, "drift") if each.status == "ok"]


def test_a_window_of_one_decision_judges_nothing(world: World) -> None:
    """One decision, however odd, alarms no drift, no bound and no bias."""
    world.decide(cases.applicants(1, 2, shift=500.0))
    report = world.watch(bounds=(Bound(outcome="approve", low=0.0, high=0.1),))
    assert [] == [each.said for each in report.alarms]
    assert "not-enough-data" == found(report, "window", "decisions")[0].status


def test_a_version_without_a_baseline_is_an_error(world: World) -> None:
    """A version from before baselines were kept is not watched, and the report says so."""
    asked = world.question()
    older = replace(asked.watching, baseline=None, baseline_sha256=None)
    report = run.run(replace(asked, watching=older), world.ledger, world.files, print)
    assert [("error", "alert")] == [(each.status, each.action) for each in report.findings]


def test_a_column_that_no_application_has_is_an_error(world: World) -> None:
    """When a client stops sending a column that may be missing, its values are all missing."""
    world.decide(cases.applicants(600, 2).drop(columns=["debt", "years"]))
    report = world.watch()
    gone = {
        each.of for each in found(report, "missing", measure="null_rate") if each.status == "alarm"
    }
    assert {"debt", "years"} == gone


def test_a_clock_that_went_back_alarms(world: World) -> None:
    """Decisions sealed after later ones may stand in the wrong window: the report says so."""
    people = cases.applicants(150, 2)
    world.decide(people, [at(20)] * 100 + [at(5)] * 50)
    said = found(world.watch(), "window", "clock")
    assert [("alarm", 1.0)] == [(each.status, each.value) for each in said]


def test_decisions_outside_the_window_do_not_count(world: World) -> None:
    """Both ends are kept: the first moment belongs to a window, the last to the next."""
    start, end = 1790812800000, 1793491200000  # October 2026, UTC
    people = cases.applicants(4, 2)
    world.decide(people, [start - 1, start, end - 1, end])
    assert 2 == world.watch().decisions


def test_the_same_decisions_give_the_same_report(world: World) -> None:
    """Watching a window again writes the same report; one more decision makes it another."""
    world.decide(cases.applicants(300, 2))
    first = world.watch()
    assert first.id == world.watch().id
    world.decide(cases.applicants(1, 9))
    assert first.id != world.watch().id


def test_a_window_is_compared_with_the_one_before(world: World) -> None:
    """A shift from September to October is found between the two profiles as well."""
    world.decide(cases.applicants(800, 2), at(10, 9))
    world.watch("2026-09")
    world.decide(cases.applicants(800, 3, shift=10.0), at(10, 10))
    moved = [each.of for each in found(world.watch(), "former") if each.status == "alarm"]
    assert {"income"} == set(moved)


def test_a_former_profile_that_was_changed_is_an_alarm(world: World) -> None:
    """A stored profile that is not the one its report names is not compared with."""
    world.decide(cases.applicants(200, 2), at(10, 9))
    before = world.watch("2026-09")
    path = world.files.profile("2026-09-01--2026-10-01", before.profile_id or "")
    path.write_text(path.read_text().replace('"decisions":200', '"decisions":201'))
    with pytest.raises(IntegrityBroken):
        world.watch()


def test_no_value_of_a_person_stands_in_a_report(world: World) -> None:
    """Marked values of an application stand neither in the report nor in what is stored of it."""
    people = cases.applicants(200, 2)
    people.loc[3, "job"] = "p-marked-job"
    people.loc[4, "id"] = "p-marked-id"
    world.decide(people)
    world.watch()
    stored = b"".join(path.read_bytes() for path in world.files.folder.rglob("*.json"))
    assert b"p-marked" not in stored
