"""A plan: the fitted pipeline as plain numbers, so that one row costs microseconds.

It does what the pipeline does, in the same order of operations: fill, scale, encode, and then the
products added from the first column to the last, or the leaves of the trees in turn. It needs no
data frame and no BLAS. `plan_compiler.py` makes it, `proof.py` shows that it gives the
pipeline's bits.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.canonical import sha256_json

Value = str | int | float | bool | dt.date | dt.datetime | None
Row = Mapping[str, Value]
NAN = math.nan
EPOCH = dt.date(1970, 1, 1).toordinal()
EPOCH_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NANOSECONDS_A_DAY = 86_400_000_000_000.0
LEAF = -1
Walk = Any  # a leaf's value, or (place, threshold, missing left, Walk left, Walk right)


@dataclass(frozen=True, slots=True)
class Number:
    """An input that stays a number; a plan of trees neither fills nor scales it."""

    name: str
    fill: float = NAN
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Category:
    """An input that becomes one indicator for each known value, from the place `first` on.

    `places` leads from a value (None: missing) to its indicator; a value without one is unknown.
    """

    name: str
    text: bool
    first: int
    width: int
    places: Mapping[Value, int]


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a tree. Left if the value is at most `threshold`; `place` LEAF: `value` counts."""

    place: int
    threshold: float
    missing_left: bool
    left: int
    right: int
    value: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled pipeline: inputs, and either `weights` of a linear margin or `trees`.

    The transformed row holds the numbers first, then every category's indicators.
    """

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    start: float
    weights: tuple[float, ...] = ()
    trees: tuple[tuple[Node, ...], ...] = ()
    walks: tuple[Walk, ...] = field(init=False, repr=False, compare=False, default=())
    _products: tuple[tuple[str, float, float, float, float], ...] = field(
        init=False, repr=False, compare=False, default=()
    )
    _gains: tuple[tuple[str, bool, Mapping[Value, float]], ...] = field(
        init=False, repr=False, compare=False, default=()
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "walks", tuple(_walk(tree, tree[0]) for tree in self.trees))
        if self.trees:
            return
        weights = self.weights
        products = [
            (each.name, each.fill, each.mean, each.scale, weight)
            for each, weight in zip(self.numbers, weights, strict=False)
        ]
        gains = [
            (each.name, each.text, {value: weights[at] for value, at in each.places.items()})
            for each in self.categories
        ]
        object.__setattr__(self, "_products", tuple(products))
        object.__setattr__(self, "_gains", tuple(gains))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that are read, in the order of the transformed row."""
        return (*(each.name for each in self.numbers), *(each.name for each in self.categories))

    @property
    def width(self) -> int:
        return len(self.numbers) + sum(each.width for each in self.categories)

    @property
    def sources(self) -> tuple[str, ...]:
        """The input column behind each place of the transformed row."""
        wide = [name for each in self.categories for name in [each.name] * each.width]
        return (*(each.name for each in self.numbers), *wide)

    @property
    def texts(self) -> dict[str, frozenset[str]]:
        """The known values of each text input; another one the model has never seen."""
        return {
            each.name: frozenset(value for value in each.places if isinstance(value, str))
            for each in self.categories
            if each.text
        }

    @property
    def sha256(self) -> str:
        """SHA-256 over every number of the plan, bit for bit."""
        return sha256_json(
            {
                "numbers": [[n.name, *_hexes((n.fill, n.mean, n.scale))] for n in self.numbers],
                "categories": [_plain(each) for each in self.categories],
                "start": self.start.hex(),
                "weights": _hexes(self.weights),
                "trees": [[_node(node) for node in tree] for tree in self.trees],
            }
        )

    def transformed(self, row: Row) -> list[float]:
        """Return the estimator's inputs for one row of typed values, length `width`."""
        found = [0.0] * self.width
        for place, each in enumerate(self.numbers):
            value = number(row[each.name])
            filled = each.fill if value != value else value  # noqa: PLR0124 - only NaN differs
            found[place] = filled if self.trees else (filled - each.mean) / each.scale
        for category in self.categories:
            at = category.places.get(_key(category, row[category.name]))
            if at is not None:
                found[at] = 1.0
        return found

    def margin(self, row: Row) -> float:
        """Return the margin in log-odds of one row: contract-typed values by name, None missing."""
        return self._of_trees(self.transformed(row)) if self.trees else self._linear(row)

    def _linear(self, row: Row) -> float:
        total = 0.0
        for name, fill, mean, scale, weight in self._products:
            value = row[name]
            if value.__class__ is not float:
                value = fill if value is None else number(value)
            total += (value - mean) / scale * weight
        for name, text, gains in self._gains:
            value = row[name]
            gain = gains.get(value if text or value is None else number(value))
            if gain is not None:
                total += gain
        return total + self.start

    def _of_trees(self, values: list[float]) -> float:
        total = self.start
        for node in self.walks:
            while node.__class__ is tuple:
                place, threshold, missing_left, left, right = node
                value = values[place]
                # A comparison with NaN is false, so a missing value needs its own question.
                to_left = value <= threshold or (missing_left and value != value)  # noqa: PLR0124
                node = left if to_left else right  # noqa: PLW2901
            total += node
        return total


def _walk(tree: tuple[Node, ...], node: Node) -> Walk:
    if node.place == LEAF:
        return node.value
    left, right = _walk(tree, tree[node.left]), _walk(tree, tree[node.right])
    return (node.place, node.threshold, node.missing_left, left, right)


def number(value: Value) -> float:
    """Return a typed value as the model reads it: dates as days since 1970-01-01, None as NaN."""
    if value.__class__ is int:
        return float(value)
    if value is None:
        return NAN
    if isinstance(value, dt.datetime):
        since = value - EPOCH_TIME
        microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        # The data frame counts nanoseconds and divides two doubles; so does this.
        return float(microseconds * 1000) / NANOSECONDS_A_DAY
    if isinstance(value, dt.date):
        return float(value.toordinal() - EPOCH)
    return float(value)


def _key(category: Category, value: Value) -> Value:
    if value is None or category.text:
        return value
    return number(value)


def _hexes(values: Iterable[float]) -> list[str]:
    return [value.hex() for value in values]


def _plain(each: Category) -> list[object]:
    places = [[_text(value), at] for value, at in each.places.items()]
    return [each.name, each.text, each.first, places]


def _text(value: Value) -> str | None:
    return value.hex() if isinstance(value, float) else None if value is None else str(value)


def _node(node: Node) -> list[object]:
    return [
        node.place,
        node.threshold.hex(),
        node.missing_left,
        node.left,
        node.right,
        node.value.hex(),
    ]
