"""Key influencers: what tells a protected group, and what of it moves the score."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd

from pipelines.release import influence
from pipelines.watch import run
from pipelines.watch.findings import Finding, WatchReport
from tests.release import cases
from tests.watch.world import World, at, found


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


def rises(report: WatchReport, when: str) -> dict[tuple[str, str], Finding]:
    """Return the findings about what rose since then, by attribute and measure."""
    measures = {f"{each}_since_{when}": each for each in ("score", "first_reason")}
    chosen = [each for each in found(report, "influence") if each.measure in measures]
    return {(each.of, measures[each.measure]): each for each in chosen}


def test_an_attribute_that_starts_to_drive_the_score_alarms(world: World) -> None:
    """Under bounds that nothing passes, what rose since the version was registered alarms."""
    world.decide(by_colour(800))
    report = world.watch(max_influence=1.0, max_association=0.999)
    assert {"ok"} == {each.status for each in found(report, "influence", measure="score")}
    risen = rises(report, "registered")
    reason = risen["colour", "first_reason"]
    assert ("alarm", "alert") == (reason.status, reason.action)
    assert (reason.value or 0.0) > 0.8
    assert {"ok"} == {risen["age", each].status for each in ("score", "first_reason")}


def test_carriers_that_gain_share_since_registration_alarm(world: World) -> None:
    """Columns that tell colour now and did not in the test part carry what they did not."""
    world.decide(by_colour(800))
    risen = rises(world.watch(max_influence=1.0), "registered")
    assert "alarm" == risen["colour", "score"].status
    assert (risen["colour", "score"].floor or 1.0) < 0.1


def test_people_like_those_of_the_test_part_raise_nothing(world: World) -> None:
    """Where nothing changed, no rise alarms, neither since registration nor since last month."""
    world.decide(cases.applicants(900, 2), at(10, 9))
    before = world.watch("2026-09")
    world.decide(cases.applicants(900, 3))
    report = world.watch()
    assert {} == rises(before, "former_window")
    for when in ("registered", "former_window"):
        assert {"ok"} == {each.status for each in rises(report, when).values()}
        assert 4 == len(rises(report, when))


def test_an_attribute_that_starts_to_drive_the_score_since_last_month_alarms(world: World) -> None:
    """September is fine, October is not: the rise since September says so."""
    world.decide(cases.applicants(800, 2), at(10, 9))
    world.watch("2026-09")
    world.decide(by_colour(800))
    risen = rises(world.watch(), "former_window")
    assert {"alarm"} == {risen["colour", each].status for each in ("score", "first_reason")}


def test_a_rise_among_a_few_people_is_not_enough_data(world: World) -> None:
    """Fifty people whose reasons tell their group alarm nobody."""
    world.decide(by_colour(50))
    statuses = {each.status for each in rises(world.watch(), "registered").values()}
    assert {"not-enough-data"} == statuses


def test_a_version_from_before_its_figures_were_kept_is_compared_with_none(world: World) -> None:
    """An older baseline has no figures: the fixed bounds are all that is left, and still judged."""
    world.decide(by_colour(800))
    asked = world.question()
    assert asked.watching.baseline is not None
    older = msgspec.structs.replace(asked.watching.baseline, influence=())
    asked = replace(asked, watching=replace(asked.watching, baseline=older))
    report = run.run(asked, world.ledger, world.files, print)
    assert {} == rises(report, "registered")
    assert "alarm" == found(report, "influence", "colour", "score")[0].status


def test_nobody_declined_is_not_enough_data(world: World) -> None:
    """Without a declined person there are no reasons, and nothing is said of them."""
    world.decide(cases.applicants(300, 2, shift=60.0))
    statuses = {each.status for each in found(world.watch(), "influence", measure="first_reason")}
    assert {"not-enough-data"} == statuses
