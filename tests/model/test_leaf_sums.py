"""Adding leaves as whole numbers gives the bits that adding them one by one gives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from pipelines.model import leaf_patterns, leaf_sums, leaf_table, proof, reference, train
from pipelines.model.leaf_sums import LeafSums
from pipelines.model.plan import LEAF, Node, Number, Plan, Row
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.params import Recipe
from pipelines.records import Reference
from tests.model.plain_contributions import contributions
from tests.model.small import CONTRACT, made, people

MEMBERS, SOME = 60, 30


@cache
def deep() -> Plan:
    """Return a forest whose leaves have up to as many columns as there are."""
    recipe = Recipe(
        estimator="hist_gradient_boosting",
        hyperparameters={"max_iter": 8, "max_leaf_nodes": 31, "min_samples_leaf": 2},
        approval_rate=0.7,
        seed=3,
        protected_as_features=True,
    )
    return compile_plan(train.train(recipe, CONTRACT, people()).model)


@cache
def asked() -> tuple[Reference, list[list[str]], list[list[float]]]:
    """Return a reference with values missing, all people, and what is expected for each."""
    plan = deep()
    everybody = list(rows(people(), plan.inputs))
    compared = reference.of_rows(plan, "all", everybody[:MEMBERS])
    expected = [bits(each) for each in contributions(plan, compared, everybody)]
    return compared, expected, [plan.transformed(row) for row in everybody]


def bits(values: Iterable[float]) -> list[str]:
    return [value.hex() for value in values]


def observed(sums: LeafSums, values: Sequence[Sequence[float]]) -> list[list[str]]:
    return [bits(sums.of(each)) for each in values]


def test_every_bit_is_that_of_adding_leaf_by_leaf() -> None:
    """For all people, some with values missing, and asked for a second time too."""
    compared, expected, values = asked()
    sums = LeafSums(deep(), compared)
    assert expected == observed(sums, values)
    assert expected == observed(sums, values)
    assert len({tuple(each) for each in expected}) > len(expected) // 2


def test_every_bit_is_that_of_adding_leaf_by_leaf_on_the_edges() -> None:
    """On and next to every threshold, with nothing known, and with huge and unseen values."""
    found = made("trees")
    sums = LeafSums(found.plan, found.reference)
    edges: list[Row] = [
        row
        for frame in proof.edge_cases(found.plan, people())
        for row in rows(frame, found.plan.inputs)
    ]
    expected = contributions(found.plan, found.reference, edges)
    assert list(map(bits, expected)) == observed(
        sums, [found.plan.transformed(row) for row in edges]
    )
    assert len(edges) > len(found.plan.inputs)


def test_what_does_not_fit_is_added_as_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves of many columns, a coarse grid, a full store, nothing kept: the same bits."""
    compared, expected, values = asked()
    limits = (
        (leaf_patterns, "WIDEST", 3),
        (leaf_patterns, "TOO_HIGH", 4),
        (leaf_table, "FINEST", 50),
        (leaf_table, "MOST_KEPT", 500),
    )
    for module, name, value in limits:
        with monkeypatch.context() as patched:
            patched.setattr(module, name, value)
            sums = LeafSums(deep(), compared)
            assert expected[:SOME] == observed(sums, values[:SOME])
            assert sums._aside


def test_what_is_kept_for_speed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the people who are explained, and no bit depends on it."""
    monkeypatch.setattr(leaf_table, "MOST_KEPT", 500)
    monkeypatch.setattr(leaf_sums, "MOST_ASIDE", 100)
    compared, expected, values = asked()
    sums = LeafSums(deep(), compared)
    assert expected[:SOME] == observed(sums, values[:SOME])
    assert 100 == len(sums._aside)
    assert 0 < sums._table._used <= len(sums._table.high) == len(sums._table.low) < 520


def test_leaves_of_very_different_size_are_added_exactly() -> None:
    """Leaves 2^-200 of others, such as cancel each other, and a tree that asks nothing."""
    numbers = (Number("a"), Number("b"))

    def tree(place: int, left: float, right: float) -> tuple[Node, ...]:
        leaf = {"place": LEAF, "threshold": 0.0, "missing_left": False, "left": 0, "right": 0}
        question = Node(place, 0.5, place == 0, 1, 2, 0.0)
        return (question, Node(**leaf, value=left), Node(**leaf, value=right))  # type: ignore[arg-type]

    alone = (Node(LEAF, 0.0, False, 0, 0, 3.0),)
    for values in ((1.0, 2.0**-200), (0.1, -0.1), (1e300, 1e-300), (0.0, 0.0)):
        trees = (tree(0, *values), tree(1, *values[::-1]), tree(0, *values[::-1]), alone)
        plan = Plan(numbers, (), 0.0, trees=trees)
        members: list[Row] = [{"a": 0.0, "b": 1.0}, {"a": 1.0, "b": None}, {"a": None, "b": 0.0}]
        compared = reference.of_rows(plan, "all", members * 3)
        some = [*members, {"a": math.inf, "b": -math.inf}]
        found = observed(LeafSums(plan, compared), list(map(plan.transformed, some)))
        assert list(map(bits, contributions(plan, compared, some))) == found
    nothing = dataclasses.replace(plan, trees=(alone,))
    compared = reference.of_rows(nothing, "all", members)
    assert [0.0, 0.0] == LeafSums(nothing, compared).of([1.0, 1.0])


def test_threads_that_ask_at_once_get_the_same_bits() -> None:
    """What is worked out by one thread while another asks changes nothing."""
    compared, expected, values = asked()
    sums = LeafSums(deep(), compared)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(observed, sums, values[::step]) for step in (1, -1, 2, -2)]
    assert [expected[::step] for step in (1, -1, 2, -2)] == [each.result() for each in found]
