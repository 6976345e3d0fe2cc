"""Bounds on outcomes and the control chart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.watch import bounds
from pipelines.watch.bounds import Point
from pipelines.watch_params import Bound
from tests.release import cases
from tests.watch.world import World, at, found

APPROVED = Bound(outcome="approve", low=0.4, high=0.7)


def test_an_outcome_outside_its_bound_alarms(world: World) -> None:
    """Overall, per band, group and intersection: what lies outside is named with its interval."""
    world.decide(cases.applicants(1200, 2, shift=15.0))
    everywhere = tuple(
        Bound(outcome="approve", low=0.0, high=0.7, of=of)
        for of in ("overall", "band", "group", "intersection")
    )
    report = world.watch(bounds=everywhere)
    broken = {each.of for each in found(report, "bounds") if each.status == "alarm"}
    assert {"everybody", "colour: blue", "age & colour: old & blue", "score band 5"} <= broken
    assert "score band 1" not in broken


def test_an_outcome_inside_its_bound_is_fine(world: World) -> None:
    """A share between the bounds is no alarm."""
    world.decide(cases.applicants(1200, 2))
    assert ["ok"] == [each.status for each in found(world.watch(bounds=(APPROVED,)), "bounds")]


def test_a_share_that_chance_may_have_put_outside_is_not_enough_data(world: World) -> None:
    """Just above the bound, in few decisions, nothing can be said."""
    world.decide(cases.applicants(120, 2))
    share = found(world.watch(bounds=(APPROVED,)), "bounds")[0].value or 0.0
    near = Bound(outcome="approve", low=0.0, high=share - 0.01)
    assert ["not-enough-data"] == [e.status for e in found(world.watch(bounds=(near,)), "bounds")]


def test_refused_applications_are_bounded_too(world: World) -> None:
    """Half of the requests refused breaks a bound on refusals, and no other share."""
    rows = cases.applicants(600, 2)
    broken = rows.copy()
    broken["income"] = pd.NA
    world.decide(pd.concat([rows, broken]))
    limits = (Bound(outcome="refuse", low=0.0, high=0.1), APPROVED)
    statuses = {e.measure: e.status for e in found(world.watch(bounds=limits), "bounds")}
    assert {"refuse": "alarm", "approve": "ok"} == statuses


def test_the_chart_takes_its_centre_from_former_windows(world: World) -> None:
    """Three months alike, then one with far more approvals: the last one alone is beyond."""
    for month, shift in ((7, 0.0), (8, 0.0), (9, 0.0), (10, 8.0)):
        world.decide(cases.applicants(500, month, shift=shift), at(10, month))
    said = [
        found(world.watch(f"2026-{month:02d}"), "control", measure="approve")[0].status
        for month in (7, 8, 9, 10)
    ]
    assert ["ok", "ok", "ok", "alarm"] == said
    assert 4 == len(world.watch("2026-10").tables["control"])


def test_many_windows_on_one_side_alarm(world: World) -> None:
    """Eight windows in a row a little above the centre alarm, though none is beyond a limit."""
    world.decide(cases.applicants(400, 3))
    report = world.watch()
    now = Point("2026-10", report.tables["control"][-1], 1000)
    now = Point("2026-10", {"approve": 515, "refer": 0}, 1000)
    low = [Point(f"a{n}", {"approve": 480, "refer": 0}, 1000) for n in range(8)]
    high = [Point(f"b{n}", {"approve": 515, "refer": 0}, 1000) for n in range(7)]
    baseline = world.watching.baseline
    assert baseline is not None
    limits = world.question().limits
    assert "alarm" == bounds.control(now, [*low, *high], baseline, limits)[0][0].status
    assert "ok" == bounds.control(now, [*low, *high[1:]], baseline, limits)[0][0].status


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (3, 10), (10, 10)])
def test_the_interval_covers_its_share(part: int, whole: int) -> None:
    """The exact interval holds the share, within 0 and 1."""
    low, high = bounds.clopper_pearson(part, whole, 0.95)
    assert 0.0 <= low <= part / whole <= high <= 1.0


def test_bands_are_of_equal_size_in_the_reference(world: World) -> None:
    """Cut at the test part's own quantiles, its people fall into five bands of a fifth each."""
    assert world.watching.baseline is not None
    scored = world.watching.baseline.scored
    sizes = bounds.bands(scored, scored, 5).sum(axis=1)
    assert np.all(np.abs(sizes - sizes.sum() / 5) < 0.03 * sizes.sum())
