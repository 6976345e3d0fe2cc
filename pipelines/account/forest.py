"""A sum of trees as what one person can still reach of it: leaves as boxes of their values."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.account.levers import Lever, transformed
from pipelines.account.nearest import SLACK
from pipelines.model.plan import Plan, Row, Value, Walk, number

Interval = tuple[float, float]
Span = tuple[int, int]  # from one place among an axis' values to another, both of them in it
Cell = tuple[int, ...]  # a place among each axis' values
Doubles = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One lever as the trees see it: its values in an order in which cost rises away from now.

    `places` are what each value fills of the transformed row.
    """

    lever: Lever
    values: tuple[Value, ...]
    costs: tuple[float, ...]
    places: tuple[dict[int, float], ...]
    now: int


@dataclass(frozen=True, slots=True)
class Forest:
    """The leaves that a person can reach, tree by tree, each with the values that lead to it.

    `low` and `high`, shape (axes, leaves), are the ends of each axis' interval; `starts` is where
    each tree begins, `owner` each leaf's tree, `fixed` what all other trees give. A row of `table`
    holds a tree's leaves, the best first, filled up with the number after the last leaf.
    """

    axes: tuple[Axis, ...]
    fixed: float
    leaves: Doubles
    low: Places
    high: Places
    starts: Places
    owner: Places
    table: Places
    costs: tuple[Doubles, ...]

    def best(self, reachable: NDArray[np.bool_]) -> Doubles:
        """Return each tree's best leaf among the reachable ones, shape (..., trees)."""
        worth = np.where(reachable, self.leaves, -np.inf)
        return np.asarray(np.maximum.reduceat(worth, self.starts, axis=-1))

    def least(self, spent: Doubles, needed: float) -> float:
        """Return the least budget within which every tree by itself can give its part of `needed`.

        `spent` is each leaf's cost. Infinite where no budget is enough.
        """
        cheapest = np.minimum.accumulate(np.append(spent, np.inf)[self.table], axis=1)
        # A leaf counts where it costs less than every better one of its tree.
        front = np.isfinite(cheapest)
        front[:, 1:] &= cheapest[:, 1:] < cheapest[:, :-1]
        tree, place = front.nonzero()
        costs, worth = cheapest[tree, place], self.leaves[self.table[tree, place]]
        last = np.append(tree[1:] != tree[:-1], True)
        gain = np.where(last, 0.0, worth - np.append(worth[1:], 0.0))
        order = costs.argsort()
        given = self.fixed + worth[last].sum() + gain[order].cumsum()
        first = int(given.searchsorted(needed - SLACK))
        if first == len(given):
            return math.inf
        return float(max(costs[last].max(), costs[order[first]]))

    def cost(self, axis: int, low: int, high: int) -> Doubles:
        """Return what each leaf costs on one axis between two values; infinite where it is not."""
        first, last = np.maximum(self.low[axis], low), np.minimum(self.high[axis], high)
        costs = self.costs[axis][np.minimum(np.maximum(self.axes[axis].now, first), last)]
        return np.asarray(np.where(first <= last, costs, np.inf))

    def holds(self, cell: Cell) -> NDArray[np.bool_]:
        """Return which leaves a cell reaches: one of each tree."""
        at = np.array(cell)[:, None]
        return np.asarray(((self.low <= at) & (at <= self.high)).all(axis=0))

    def margin(self, cell: Cell) -> float:
        """Return the margin of a cell, but for the order of its sum."""
        return float(self.fixed + self.leaves[self.holds(cell)].sum())

    def price(self, cell: Cell) -> float:
        """Return what a cell costs."""
        return sum(axis.costs[at] for axis, at in zip(self.axes, cell, strict=True))


def reachable(plan: Plan, row: Row, levers: Sequence[Lever]) -> Forest | None:
    """Return the leaves that a row can reach by its levers; None where they change nothing."""
    base = plan.transformed(row)
    fixed, trees = _cut(plan, base, _reach(plan, levers))
    limits = thresholds(trees)
    axes = tuple(axis_of(plan, lever, limits) for lever in levers)
    return _forest(axes, fixed, trees)


def _reach(plan: Plan, levers: Sequence[Lever]) -> dict[int, Interval]:
    found: dict[int, Interval] = {}
    for lever in levers:
        values = [lever.now, *(value for value, _ in lever.options or ())]
        if lever.options is None:
            values += [lever.low, lever.high]
        for value in values:
            for place, at in transformed(plan, lever.name, value).items():
                low, high = found.get(place, (at, at))
                found[place] = (min(low, at), max(high, at))
    return found


def _cut(plan: Plan, base: list[float], reach: Mapping[int, Interval]) -> tuple[float, list[Walk]]:
    """Return the sum of the trees that cannot change, and the others without dead branches."""
    cut = [_cut_tree(tree, base, reach) for tree in plan.walks]
    fixed = plan.start + math.fsum(tree for tree in cut if tree.__class__ is not tuple)
    return fixed, [tree for tree in cut if tree.__class__ is tuple]


def _cut_tree(node: Walk, base: list[float], reach: Mapping[int, Interval]) -> Walk:
    if node.__class__ is not tuple:
        return node
    place, threshold, missing_left, left, right = node
    if place not in reach:
        value = base[place]
        to_left = value <= threshold or (missing_left and value != value)  # noqa: PLR0124 - NaN
        return _cut_tree(left if to_left else right, base, reach)
    low, high = reach[place]
    if high <= threshold:
        return _cut_tree(left, base, reach)
    if low > threshold:
        return _cut_tree(right, base, reach)
    both = (_cut_tree(left, base, reach), _cut_tree(right, base, reach))
    return both[0] if both[0] == both[1] else (place, threshold, missing_left, *both)


def thresholds(trees: Sequence[Walk]) -> dict[int, set[float]]:
    """Return the thresholds at each place."""
    found: dict[int, set[float]] = {}
    left = list(trees)
    while left:
        node = left.pop()
        if node.__class__ is tuple:
            found.setdefault(node[0], set()).add(node[1])
            left += node[3:]
    return found


def axis_of(plan: Plan, lever: Lever, limits: Mapping[int, set[float]]) -> Axis:
    """Return a lever with every value that can count between these thresholds."""
    moves = list(lever.options) if lever.options is not None else _steps(plan, lever, limits)
    moves.sort(key=lambda each: each[1])
    found = [(lever.now, 0.0), *moves]
    places = _places(plan, lever, [value for value, _ in found])
    order = list(range(len(found)))
    if all(len(each) == 1 for each in places):
        order.sort(key=lambda at: next(iter(places[at].values())))
    return Axis(
        lever=lever,
        values=tuple(found[at][0] for at in order),
        costs=tuple(found[at][1] for at in order),
        places=tuple(places[at] for at in order),
        now=order.index(0),
    )


def _places(plan: Plan, lever: Lever, values: Sequence[Value]) -> list[dict[int, float]]:
    """Return what each value of a lever fills of the transformed row."""
    if any(each.name == lever.name for each in plan.numbers):
        (place,) = transformed(plan, lever.name, lever.now)
        return [{place: number(value)} for value in values]
    return [transformed(plan, lever.name, value) for value in values]


def _steps(plan: Plan, lever: Lever, limits: Mapping[int, set[float]]) -> list[tuple[Value, float]]:
    """Return, for each cell between thresholds, the value of it that is nearest to the present."""
    ((place, now),) = transformed(plan, lever.name, lever.now).items()
    known = limits.get(place, set())
    above = (lever.beyond(limit, up=True) for limit in known if now <= limit < lever.high)
    below = (lever.beyond(limit, up=False) for limit in known if lever.low <= limit < now)
    found = {lever.typed(value) for value in (*above, *below) if value is not None}
    return [(value, lever.cost(value)) for value in found]


def _forest(axes: tuple[Axis, ...], fixed: float, trees: Sequence[Walk]) -> Forest | None:
    """Return the leaves of the trees as intervals of the axes; None where nothing can change.

    A leaf that values lead to which do not stand together counts once for each run of them.
    """
    found, starts = _Leaves(axes), []
    for tree in trees:
        starts.append(len(found.values))
        found.add(tree, {})
    if not found.values:
        return None
    last = np.array([[len(axis.values) - 1] for axis in axes], dtype=np.int64)
    high = np.repeat(last, len(found.values), axis=1)
    low = np.zeros_like(high)
    leaf, axis, low_end, high_end = np.array(found.ends, dtype=np.int64).reshape(-1, 4).T
    low[axis, leaf], high[axis, leaf] = low_end, high_end
    leaves, sizes = np.array(found.values), np.diff([*starts, len(found.values)])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    table = np.full((len(sizes), sizes.max()), len(leaves))
    best = np.lexsort((-leaves, owner))
    table[owner, np.arange(len(leaves)) - np.repeat(starts, sizes)] = best
    return Forest(
        axes=axes,
        fixed=fixed,
        leaves=leaves,
        low=low,
        high=high,
        starts=np.array(starts, dtype=np.int64),
        owner=owner,
        table=table,
        costs=tuple(np.array(axis.costs) for axis in axes),
    )


@dataclass
class _Leaves:
    """What leaves are gathered in: values, and the ends of the axes that lead to each.

    `ends` holds leaf, axis, first and last value, one after the other; an axis that a leaf does
    not ask about stands in none.
    """

    axes: tuple[Axis, ...]
    values: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._owner = {place: at for at, axis in enumerate(self.axes) for place in axis.places[0]}
        self._runs: dict[tuple[int, float, int, int], list[list[Span]]] = {}

    def add(self, node: Walk, box: dict[int, Span]) -> None:
        """Gather the leaves below a node that the values in `box` (by axis) lead to."""
        if node.__class__ is not tuple:
            for axis, (first, last) in box.items():
                self.ends += (len(self.values), axis, first, last)
            self.values.append(node)
            return
        place, threshold, _, *ways = node
        at = self._owner[place]
        low, high = box.get(at) or (0, len(self.axes[at].values) - 1)
        asked = (place, threshold, low, high)
        if asked not in self._runs:
            self._runs[asked] = [
                list(_runs(self.axes[at], *asked, left=left)) for left in (True, False)
            ]
        for way, runs in zip(ways, self._runs[asked], strict=True):
            for run in runs:
                self.add(way, {**box, at: run})


def _runs(
    axis: Axis, place: int, threshold: float, low: int, high: int, *, left: bool
) -> Iterator[Span]:
    """Yield the runs of an axis' values between two of them that a question sends one way."""
    if len(axis.places[0]) == 1:
        split = bisect_right(axis.places, threshold, key=lambda each: each[place])
        first, last = (low, min(high, split - 1)) if left else (max(low, split), high)
        if first <= last:
            yield first, last
        return
    start = None
    for at in range(low, high + 2):
        goes = at <= high and (axis.places[at][place] <= threshold) == left
        if goes and start is None:
            start = at
        elif not goes and start is not None:
            yield start, at - 1
            start = None
