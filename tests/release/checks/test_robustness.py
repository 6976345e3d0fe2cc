"""Robustness: extreme people get finite margins, and evasion is found as cheap as it is."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from pipelines.layout import State
from pipelines.model.plan import Plan
from pipelines.release.checks import _evasion, _probe, robustness
from pipelines.release.checks._case import Case
from pipelines.release.checks._evasion import STEPS, Move
from pipelines.release.checks.robustness import Thresholds
from tests.release import cases

LIMITS = Thresholds(evasion_budget=0.5, max_evasion_share=0.3, min_people=30)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("robustness")
    return cases.make(folder / "repo", State(folder / "var"))


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("forest")
    return cases.changed(folder, cases.LINEAR, cases.FOREST)


def acting(world: cases.World, **actionable: str) -> Case:
    """Return the case under a contract in which people can act on these columns."""
    case = world.case
    columns = tuple(
        msgspec.structs.replace(column, actionable=actionable.get(column.name, "no"))
        for column in case.contract.columns
    )
    names = ("layout", "state", "params", "candidate", "split", "champion")
    own: dict[str, Any] = {name: getattr(case, name) for name in names}
    return Case(**own, contract=msgspec.structs.replace(case.contract, columns=columns))


def outcome(found: Any, name: str) -> str:
    return next(line.outcome for line in found.lines if line.name == name)


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_extreme_people_get_finite_margins(
    kind: str, world: cases.World, forest: cases.World
) -> None:
    """Edges, values beyond them, missing ones, all at once: a number comes out, alone too."""
    case = {"linear": world, "trees": forest}[kind].case
    found = robustness.judge(case, LIMITS)
    assert {"pass"} == {line.outcome for line in found.lines if line.name != "evasion"}
    assert 5 == len(found.lines)


def test_a_margin_that_is_no_number_fails(
    world: cases.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One extreme value without a finite margin blocks."""
    real = _probe.Probe.of

    def broken(probe: Any, coded: Any) -> Any:
        return np.where(np.abs(coded).max(axis=1) > 1e6, np.nan, real(probe, coded))

    monkeypatch.setattr(_probe.Probe, "of", broken)
    found = robustness.judge(world.case, LIMITS)
    assert "fail" == outcome(found, "values beyond what is documented")
    assert "fail" == outcome(found, "people extreme in every column at once")


def test_a_plan_that_differs_alone_fails(
    world: cases.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that a decision scores and the row of a table are one and the same."""
    real = Plan.margin
    monkeypatch.setattr(Plan, "margin", lambda plan, row: real(plan, row) * 1.001)
    assert "fail" == outcome(robustness.judge(world.case, LIMITS), "extreme people asked alone")


def test_an_error_on_an_extreme_value_is_not_swallowed(
    world: cases.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What raises is the outcome `error`, which blocks."""

    def broken(plan: Plan, row: Any) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(Plan, "margin", broken)
    with pytest.raises(ZeroDivisionError):
        robustness.judge(world.case, LIMITS)


def test_edges_are_those_of_the_contract(world: cases.World) -> None:
    """A documented range, else what admission lets in; missing only where it may be."""
    probe = _probe.make(world.case)
    column = cases.CONTRACT.column("income")
    assert (-(2.0**53), 2.0**53) == robustness.edges(column, probe)
    ranged = msgspec.structs.replace(column, minimum=1.0, maximum=9.0, required=False)
    assert (1.0, 9.0, None) == robustness.edges(ranged, probe)
    coded = msgspec.structs.replace(column, kind="integer", allowed=(3, 1))
    assert (1, 3) == robustness.edges(coded, probe)
    assert ("baker", "smith", "tailor") == robustness.edges(cases.CONTRACT.column("job"), probe)


def test_a_grid_stays_small_and_in_order(world: cases.World) -> None:
    """Many texts are cut to the most frequent, many codes and dates to some evenly spaced."""
    probe = _probe.make(world.case)
    texts = [f"t{number:03}" for number in range(100)]
    train = pd.DataFrame(
        {
            "job": pd.Series([*texts, *texts[:40]], dtype="string"),
            "day": pd.date_range("2020-01-01", periods=140),
            "none": pd.Series([None] * 140, dtype="Float64"),
        }
    )
    probe = dataclasses.replace(probe, train=train)
    column = msgspec.structs.replace(cases.CONTRACT.column("debt"), name="none")
    assert (None,) == probe.grid(column)
    job = probe.grid(cases.CONTRACT.column("job"))
    assert (32, sorted(job)) == (len(job), list(job))
    assert set(job) <= set(texts[:40])
    day = probe.grid(msgspec.structs.replace(column, name="day", kind="date"))
    assert (32, sorted(day)) == (len(day), list(day))
    assert (day[0], day[-1]) <= (train["day"].min(), train["day"].max())
    codes = msgspec.structs.replace(column, kind="integer", allowed=tuple(range(64, 0, -1)))
    assert tuple(range(1, 64, 2)) == probe.grid(codes)


def test_who_cannot_act_cannot_evade(world: cases.World) -> None:
    """Without an actionable column nobody is approved by a change."""
    found = robustness.judge(world.case, LIMITS)
    assert 0.0 == found.evidence["evasion_share"]
    assert found.evidence["declined"] > 100


def test_evasion_in_one_column_is_what_its_weight_gives(world: cases.World) -> None:
    """A linear model approves just those who lie within the weight times the change."""
    case = acting(world, income="increase")
    probe = _probe.make(case)
    margins = case.margins(probe.people)
    declined = probe.people[case.outcomes(margins) < 0]
    size = probe.spread(case.contract.column("income"))
    richer = declined.assign(income=declined["income"] + 0.5 * size)
    expected = float((case.outcomes(case.margins(richer)) == 1).mean())
    assert expected > 0.0
    assert expected == _evasion.approved_share(probe, declined, 0.5)
    assert 0.0 == _evasion.approved_share(
        _probe.make(acting(world, income="decrease")), declined, 0.5
    )


def test_evasion_grows_with_budget_and_columns(world: cases.World) -> None:
    """More to change, or more change, approves no fewer."""
    one, two = (
        _probe.make(acting(world, **each))
        for each in ({"income": "any"}, {"income": "any", "debt": "decrease", "job": "any"})
    )
    declined = one.people[one.case.outcomes(one.margins) < 0]
    shares = [_evasion.approved_share(one, declined, each) for each in (0.25, 0.5, 1.0, 2.0)]
    assert sorted(shares) == shares
    assert len(set(shares)) > 2
    assert _evasion.approved_share(two, declined, 1.0) >= shares[2]


def test_a_category_costs_one(world: cases.World) -> None:
    """Under a budget of one no other category can be had."""
    probe = _probe.make(acting(world, job="any"))
    declined = probe.people[probe.case.outcomes(probe.margins) < 0]
    assert [] == list(_evasion.moves(probe, declined, 0.9))
    found = list(_evasion.moves(probe, declined, 1.0))
    assert ["job"] * 3 == [move.column for move in found]
    for move in found:
        same = (declined["job"] == move.becomes).to_numpy(dtype=bool)
        assert {STEPS + 1} == set(move.steps[same])
        assert {STEPS} == set(move.steps[~same])


def test_the_best_combination_is_found(world: cases.World) -> None:
    """Against every combination of moves tried one by one, for gains and costs at random."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        columns = ["a", "a", "b", "b", "b", "c"]
        steps = rng.integers(1, STEPS + 2, (len(columns), 3))
        gains = rng.normal(0.0, 1.0, steps.shape)
        empty = pd.Series(dtype="float64")
        found = [Move(name, empty, own) for name, own in zip(columns, steps, strict=True)]
        reached, spent = np.zeros(3), np.zeros(3)
        for at, people in _evasion.chosen(found, gains):
            reached += np.where(people, gains[at], 0.0)
            spent += np.where(people, steps[at], 0)
        assert (spent <= STEPS).all()
        assert [_best(columns, steps[:, who], gains[:, who]) for who in range(3)] == pytest.approx(
            reached.tolist()
        )


def _best(columns: list[str], steps: Any, gains: Any) -> float:
    best = 0.0
    for size in range(1, 4):
        for combination in itertools.combinations(range(len(columns)), size):
            different = len({columns[at] for at in combination}) == size
            if different and sum(steps[at] for at in combination) <= STEPS:
                best = max(best, float(sum(gains[at] for at in combination)))
    return best


def test_nobody_leaves_the_range_of_the_data(world: cases.World) -> None:
    """A change ends where training's people and the contract end, and a missing value stays so."""
    probe = _probe.make(acting(world, income="increase", debt="any"))
    declined = probe.people[probe.case.outcomes(probe.margins) < 0]
    for move in _evasion.moves(probe, declined, 100.0):
        seen = probe.train[move.column].astype("float64")
        own = declined[move.column].astype("float64")
        assert move.becomes.max() <= max(seen.max(), own.max())
        assert move.becomes.min() >= min(seen.min(), own.min())
        assert own.isna().tolist() == move.becomes.isna().tolist()
        assert {STEPS + 1} >= set(move.steps[own.isna()])


@pytest.mark.parametrize(
    ("share", "declined", "expected"),
    [(0.3, 30, "pass"), (0.31, 30, "fail"), (0.9, 29, "not-enough-data")],
)
def test_the_share_is_judged(share: float, declined: int, expected: str) -> None:
    """At the bound passes, above it fails, and of few people nothing is said."""
    assert expected == robustness._evasion(share, declined, LIMITS).outcome


def test_nobody_declined_is_not_enough_to_say(world: cases.World) -> None:
    """A candidate that approves everybody has nobody who could evade."""
    case = world.case
    low = msgspec.structs.replace(case.candidate, threshold=(-1e9).hex())
    names = ("layout", "state", "contract", "params", "split", "champion")
    own: dict[str, Any] = {name: getattr(case, name) for name in names}
    found = robustness.judge(Case(**own, candidate=low), LIMITS)
    assert "not-enough-data" == found.outcome
    assert found.evidence["evasion_share"] is None
