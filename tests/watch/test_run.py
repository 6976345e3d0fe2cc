"""A window of recorded decisions, watched: what is found, and what is said when nothing can be."""

from __future__ import annotations

from tests.release import cases
from tests.watch.world import World, found


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
