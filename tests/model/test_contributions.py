"""Contributions are exact Shapley values: against brute force, to the last decimal that counts."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping

import msgspec
import pytest

from pipelines.errors import IntegrityBroken
from pipelines.model import reference
from pipelines.model.contributions import Explainer, principal
from pipelines.model.plan import Plan, Row
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from tests.model.small import made, people

KINDS: tuple[MarginKind, ...] = ("linear", "trees")
PEOPLE = 40


def explainer(kind: MarginKind, population: str = "above_cutoff") -> Explainer:
    found = made(kind, population=population)
    return Explainer(found.plan, found.reference, found.features)


def by_brute_force(plan: Plan, row: Row, members: list[Row]) -> Mapping[str, float]:
    """Return Shapley values by their definition: every coalition of columns, every member."""
    names = plan.inputs
    worth = {}
    for size in range(len(names) + 1):
        for coalition in itertools.combinations(names, size):
            own = {name: row[name] for name in coalition}
            margins = [plan.margin({**member, **own}) for member in members]
            worth[frozenset(coalition)] = math.fsum(margins) / len(members)
    found = {}
    for name in names:
        terms = []
        for coalition, value in worth.items():
            if name not in coalition:
                rest = len(names) - len(coalition) - 1
                weight = math.factorial(len(coalition)) * math.factorial(rest)
                gain = worth[coalition | {name}] - value
                terms.append(gain * weight / math.factorial(len(names)))
        found[name] = math.fsum(terms)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_are_shapley_values(kind: MarginKind) -> None:
    """They equal the definition's over all coalitions, one-hot columns playing as one."""
    found = made(kind)
    members = list(rows(people().iloc[5:9], found.plan.inputs))
    explained = Explainer(found.plan, reference.of_rows(found.plan, "all", members), found.features)
    for row in rows(people().iloc[[0, 77, 301]], found.plan.inputs):
        expected = by_brute_force(found.plan, row, members)
        observed = explained.contributions(row)
        assert expected == pytest.approx(observed, abs=1e-12)
        assert any(abs(value) > 0.01 for value in observed.values())


@pytest.mark.parametrize("population", ["above_cutoff", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_contributions_add_up_to_the_margin(kind: MarginKind, population: str) -> None:
    """With the reference's mean margin they sum to the person's margin, to 1e-12."""
    explained = explainer(kind, population)
    for row in rows(people().iloc[:PEOPLE], explained.plan.inputs):
        total = math.fsum(explained.contributions(row).values())
        assert abs(explained.plan.margin(row) - explained.base - total) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_are_the_same_bits_each_time(kind: MarginKind) -> None:
    """Neither the order of the people nor what was asked before changes a bit."""
    first, again = explainer(kind), explainer(kind)
    asked = list(rows(people().iloc[:PEOPLE], first.plan.inputs))
    forward = [first.contributions(row) for row in asked]
    backward = [again.contributions(row) for row in reversed(asked)][::-1]
    assert forward == backward
    assert forward == [first.contributions(row) for row in asked]
    assert list(made(kind).features) == list(forward[0])


def test_a_member_of_a_reference_of_its_like_has_no_reasons() -> None:
    """Compared with people who are like them in everything, nothing sets anybody apart."""
    found = made("trees")
    row = next(iter(rows(people(), found.plan.inputs)))
    same = Explainer(found.plan, reference.of_rows(found.plan, "all", [row] * 12), found.features)
    assert {0.0} == set(same.contributions(row).values())


def test_a_reference_of_another_model_is_refused() -> None:
    """A reference is bound to the digest of the plan that it was made for."""
    found = made("linear")
    other = msgspec.structs.replace(found.reference, plan_sha256=made("trees").plan.sha256)
    with pytest.raises(IntegrityBroken):
        Explainer(found.plan, other, found.features)
    moved = dataclasses.replace(found.plan, start=math.nextafter(found.plan.start, 9.0))
    with pytest.raises(IntegrityBroken):
        Explainer(moved, found.reference, found.features)


def test_principal_columns_are_the_strongest_that_count_against() -> None:
    """The lowest contributions come first, equal ones in the contract's order, four at most."""
    found = {"a": -0.1, "b": -0.4, "c": 0.3, "d": -0.1, "e": -0.2, "f": 0.0, "g": -0.05}
    assert ["b", "e", "a", "d"] == [name for name, _ in principal(found, frozenset(), 4)]
    assert ["c"] == [name for name, _ in principal(found, frozenset(), 4, lowering=False)]
    assert ["e", "a"] == [name for name, _ in principal(found, frozenset({"b"}), 2)]
    assert () == principal({"a": 0.0, "b": 1.0}, frozenset(), 4)
