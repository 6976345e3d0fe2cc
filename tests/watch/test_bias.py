"""Bias in production, by every definition, group and intersection."""

from __future__ import annotations

import msgspec
import pandas as pd

from pipelines.watch import bias
from pipelines.watch.findings import Finding, WatchReport
from tests.release import cases
from tests.watch.world import World, found


def rows(report: WatchReport, table: str, **wanted: str) -> list[dict[str, object]]:
    """Return rows of a table by their fields."""
    return [
        row
        for row in report.tables[table]
        if all(row[name] == value for name, value in wanted.items())
    ]


def of_selection(report: WatchReport) -> list[Finding]:
    """Return the findings about selection rates."""
    return found(report, "bias", measure="selection_rate")


def test_a_disparity_of_decisions_alarms_and_names_the_group(world: World) -> None:
    """Blue people with lower incomes are selected less: the ratio is below four fifths."""
    world.decide(cases.applicants(1500, 2, disparity=12.0))
    alarmed = [each for each in of_selection(world.watch()) if each.status == "alarm"]
    assert ["colour: blue"] == [each.of for each in alarmed]
    assert (alarmed[0].value or 1.0) < 0.8


def test_no_disparity_is_fine_and_the_pack_says_which_attributes_count(world: World) -> None:
    """Only the pack's attribute is judged; every other one and the intersections are shown."""
    world.decide(cases.applicants(1500, 2))
    report = world.watch()
    assert [("colour", "ok")] == [(e.of.split(":")[0], e.status) for e in of_selection(report)]
    assert {"colour", "age", "age & colour"} == {r["attribute"] for r in report.tables["bias"]}


def test_every_definition_stands_side_by_side(world: World) -> None:
    """Without labels selection is measured and the others estimated; the former rate is beside."""
    world.decide(cases.applicants(1500, 2, disparity=12.0))
    row = rows(world.watch(), "groups", attribute="colour", group="blue")[0]
    assert None is row["true_positive_rate"]
    for name in ("selection_rate", "true_positive_rate_estimated", "selection_rate_former"):
        assert 0.0 < float(str(row[name])) < 1.0, name


def test_one_group_only_is_not_enough_data(world: World) -> None:
    """With green people alone there is nobody to compare with, and the report says so."""
    people = cases.applicants(1200, 2)
    world.decide(people[people["blue"] == 0])
    said = found(world.watch(), "bias", "colour")
    assert [("groups", "not-enough-data")] == [(each.measure, each.status) for each in said]


def test_people_of_unknown_group_are_counted_and_not_compared(world: World) -> None:
    """Who does not tell a group stands in the tables as unknown."""
    people = cases.applicants(1000, 2)
    people.loc[:99, "blue"] = pd.NA
    world.decide(people)
    report = world.watch()
    assert [100] == [row["applicants"] for row in rows(report, "ll144_summary", group="unknown")]
    assert not [e for e in of_selection(report) if "unknown" in e.of]


def test_the_summary_leaves_out_small_categories_and_counts_them(world: World) -> None:
    """A category under two per cent has its numbers and no impact ratio; the best has ratio 1."""
    people = cases.applicants(1500, 2)
    blue = people["blue"] == 1
    few = pd.concat([people[~blue], people[blue].head(10)])
    world.decide(few)
    summary = {row["group"]: row for row in rows(world.watch(), "ll144_summary", category="colour")}
    assert (True, None, 10) == tuple(
        summary["blue"][key] for key in ("left_out_under_2_percent", "impact_ratio", "applicants")
    )
    assert 1.0 == summary["green"]["impact_ratio"]


def test_a_pack_that_says_nothing_of_bias_is_an_error(world: World) -> None:
    """Bias that is not judged is never "no bias"."""
    world.decide(cases.applicants(200, 2))
    asked = world.question()
    silent = msgspec.structs.replace(asked.policy, checks={})
    profile = world.profile()
    assert ["error"] == [e.status for e in bias.findings(profile, silent, asked.limits)[0]]
