"""The proof compares a plan with its pipeline where they could differ, and one bit is enough."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest

from pipelines.model import plan_compiler as plans
from pipelines.model import proof
from pipelines.model.plan import Plan
from pipelines.model.score import MarginKind
from tests.model.small import made, people

KINDS: tuple[MarginKind, ...] = ("linear", "trees")
HALVES = (people().iloc[:400], people().iloc[400:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_is_proven_on_all_rows_and_edges(kind: MarginKind) -> None:
    """Nothing differs, and the record names both digests and what was compared."""
    found = made(kind)
    record = proof.prove(found.trained.model, kind, "m", HALVES)
    assert (True, 600, 0, "") == (record.proven, record.rows, record.differing, record.because)
    assert ("m", found.plan.sha256) == (record.model_sha256, record.plan_sha256)
    assert record.edge_cases > 100


def _broken(monkeypatch: pytest.MonkeyPatch, change: object) -> None:
    real = plans.compile_plan
    monkeypatch.setattr(proof, "compile_plan", lambda model: change(real(model)))  # type: ignore[operator]


def _next_start(plan: Plan) -> Plan:
    return dataclasses.replace(plan, start=math.nextafter(plan.start, math.inf))


def _strict_thresholds(plan: Plan) -> Plan:
    """Make every question one of less than, which only values on a threshold tell."""
    trees = tuple(
        tuple(
            dataclasses.replace(node, threshold=math.nextafter(node.threshold, -math.inf))
            for node in tree
        )
        for tree in plan.trees
    )
    return dataclasses.replace(plan, trees=trees)


def _missing_right(plan: Plan) -> Plan:
    trees = tuple(
        tuple(dataclasses.replace(node, missing_left=not node.missing_left) for node in tree)
        for tree in plan.trees
    )
    return dataclasses.replace(plan, trees=trees)


def _without_category(plan: Plan) -> Plan:
    """Forget the last known value of a category, or read what is unknown as known."""
    first = plan.categories[0]
    places = dict(list(first.places.items())[1:])
    changed = dataclasses.replace(first, places=places)
    return dataclasses.replace(plan, categories=(changed, *plan.categories[1:]))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("linear", _next_start),
        ("linear", _without_category),
        ("trees", _strict_thresholds),
        ("trees", _missing_right),
        ("trees", _next_start),
    ],
)
def test_one_differing_bit_leaves_the_plan_unproven(
    monkeypatch: pytest.MonkeyPatch, kind: MarginKind, change: object
) -> None:
    """A plan that is a bit off somewhere is not used, and the record says so."""
    _broken(monkeypatch, change)
    record = proof.prove(made(kind).trained.model, kind, "m", HALVES)
    assert not record.proven
    assert record.differing > 0
    assert "another bit" in record.because


def test_values_on_a_threshold_are_among_the_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk that asks less than, not at most, is found out by the edges even if by no row."""
    _broken(monkeypatch, _strict_thresholds)
    plan = proof.compile_plan(made("trees").trained.model)
    edges = proof.edge_cases(made("trees").plan, people())
    model = made("trees").trained.model
    assert sum(proof.differing(plan, model, "trees", frame) for frame in edges) > 0


def test_a_pipeline_without_a_plan_is_said() -> None:
    """No plan is no error: the record names the part that has none."""
    model = copy.deepcopy(made("linear").trained.model)
    model.named_steps["estimator"].coef_[0, 0] = np.nan
    record = proof.prove(model, "linear", "m", HALVES)
    assert (False, None) == (record.proven, record.plan_sha256)
    assert "not finite" in record.because


def test_nothing_compared_is_nothing_proven() -> None:
    """Without rows there is no proof."""
    for frames in ([], [people().iloc[:0]]):
        record = proof.prove(made("linear").trained.model, "linear", "m", frames)
        assert (False, 0) == (record.proven, record.rows)


def test_minus_zero_is_not_zero() -> None:
    """Bits are compared, not values: two zeros of other signs differ."""
    zero, minus = proof.bits(np.array([0.0, -0.0]))
    assert zero != minus
