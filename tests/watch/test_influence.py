"""Key influencers: what tells a protected group, and what of it moves the score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipelines.watch import influence
from tests.release import cases
from tests.watch.world import World, found


def test_an_association_is_one_where_it_is_whole_and_none_where_there_is_none() -> None:
    """Cramer's V is 1 where a reason tells the group, and about 0 where chance deals."""
    assert 1.0 == influence.association(np.array([[50, 0], [0, 50]]))
    draws = np.random.default_rng(1).integers(0, 2, (2, 500))
    table = np.bincount(draws[0] * 2 + draws[1], minlength=4).reshape(2, 2)
    assert influence.association(table) < 0.1
    assert 0.0 == influence.association(np.array([[7, 3]]))


def test_reasons_that_do_not_tell_the_group_alarm_nothing(world: World) -> None:
    """Where colour has nothing to do with income, neither reasons nor score tell it."""
    world.decide(cases.applicants(1500, 2))
    report = world.watch()
    assert {"alarm"} & {each.status for each in found(report, "influence")} == set()
    assert {"age", "colour"} == {row["attribute"] for row in report.tables["first_reasons"]}


def by_colour(rows: int) -> pd.DataFrame:
    """Return people whose debts and income tell their colour."""
    people = cases.applicants(rows, 2)
    blue = people["blue"] == 1
    people["debt"] = np.where(blue, 60.0, 2.0)
    people["income"] = np.where(blue, 52.0, 38.0)
    return people


def test_first_reasons_that_tell_the_group_alarm(world: World) -> None:
    """When blue people are declined for debts and green ones for income, reasons tell colour."""
    world.decide(by_colour(800))
    found_first = found(world.watch(), "influence", "colour", "first_reason")[0]
    assert "alarm" == found_first.status
    assert (found_first.value or 0.0) > 0.9


def test_columns_that_tell_the_group_and_move_the_score_alarm(world: World) -> None:
    """A column that has become a stand-in for the group is named, with its share of the score."""
    world.decide(by_colour(800))
    report = world.watch()
    score = found(report, "influence", "colour", "score")[0]
    assert "alarm" == score.status
    carriers = {
        row["column"]
        for row in report.tables["influence"]
        if row["attribute"] == "colour" and row["tells_the_group"]
    }
    assert {"debt", "income"} == carriers
    assert {"ok"} == {each.status for each in found(report, "influence", "age", "score")}


def test_nobody_declined_is_not_enough_data(world: World) -> None:
    """Without a declined person there are no reasons, and nothing is said of them."""
    world.decide(cases.applicants(300, 2, shift=60.0))
    statuses = {each.status for each in found(world.watch(), "influence", measure="first_reason")}
    assert {"not-enough-data"} == statuses
