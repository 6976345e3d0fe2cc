"""The nearest change for a sum of trees: exact, by best-first search over the cells of thresholds.

Between two thresholds a margin does not change, so of each cell only the value nearest to the
person's counts. Cells are looked at in the order of their cost: the first that is high enough is
the nearest. Trees are first cut down to what the person can still reach. Where a bound over all
that can come of a cell is too low, nothing that comes of it is looked at.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.account.levers import Lever, transformed
from pipelines.account.nearest import MOST_CELLS, SLACK, Nearest
from pipelines.model.plan import Plan, Row, Value, Walk

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """One lever as the trees see it: values by cost (the present one first), and their places."""

    lever: Lever
    values: tuple[Value, ...]
    costs: tuple[float, ...]
    places: tuple[dict[int, float], ...]


def nearest(plan: Plan, row: Row, levers: Sequence[Lever], needed: float) -> Nearest:
    """Return the nearest change of a row that brings its margin to `needed`."""
    base = plan.transformed(row)
    reach = _reach(plan, levers)
    fixed, trees = _cut(plan, base, reach)
    axes = [_axis(plan, lever, trees) for lever in levers]
    axes = [each for each in axes if len(each.values) > 1]
    most = fixed + sum(_highest(tree, base, reach) for tree in trees)
    if most < needed - SLACK:
        return Nearest(None, math.inf, 1)
    return _search(plan, row, base, axes, fixed, trees, needed)


def _search(
    plan: Plan,
    row: Row,
    base: list[float],
    axes: Sequence[Axis],
    fixed: float,
    trees: Sequence[Walk],
    needed: float,
) -> Nearest:
    start = (0,) * len(axes)
    heap: list[tuple[float, tuple[int, ...], int]] = [(0.0, start, 0)]
    cells, cost = 0, 0.0
    while heap and cells < MOST_CELLS:
        cost, cell, last = heapq.heappop(heap)
        cells += 1
        values = _moved(base, axes, cell)
        if fixed + sum(_value(tree, values) for tree in trees) >= needed - SLACK:
            changes = _changes(axes, cell)
            if plan.margin({**row, **{lever.name: value for lever, value in changes}}) >= needed:
                return Nearest(changes, cost, cells)
        ranges = _ranges(axes, cell, last)
        if fixed + sum(_highest(tree, values, ranges) for tree in trees) < needed - SLACK:
            continue
        for place in range(last, len(axes)):
            after = cell[place] + 1
            if after < len(axes[place].values):
                costs = axes[place].costs
                more = cost - costs[after - 1] + costs[after]
                heapq.heappush(heap, (more, (*cell[:place], after, *cell[place + 1 :]), place))
    if not heap:
        return Nearest(None, math.inf, cells)
    instead = _greedy(base, axes, fixed, trees, needed)
    if instead is None:
        return Nearest(None, cost, cells)
    found = _changes(axes, instead)
    margin = plan.margin({**row, **{lever.name: value for lever, value in found}})
    return Nearest(found if margin >= needed else None, cost, cells)


def _greedy(
    base: list[float], axes: Sequence[Axis], fixed: float, trees: Sequence[Walk], needed: float
) -> tuple[int, ...] | None:
    """Return a cell that is high enough, not the nearest: what lifts most for its cost goes first.

    Then every axis goes back as far as it can.
    """

    def height(cell: tuple[int, ...]) -> float:
        values = _moved(base, axes, cell)
        return fixed + sum(_value(tree, values) for tree in trees)

    cell, now = (0,) * len(axes), height((0,) * len(axes))
    while now < needed:
        best, rate = None, 0.0
        for place, axis in enumerate(axes):
            for at in range(cell[place] + 1, len(axis.values)):
                other = (*cell[:place], at, *cell[place + 1 :])
                gained = min(height(other), needed) - now
                found = gained / max(axis.costs[at] - axis.costs[cell[place]], SLACK)
                if found > rate:
                    best, rate = other, found
        if best is None:
            return None
        cell, now = best, height(best)
    for place in sorted(range(len(axes)), key=lambda each: -axes[each].costs[cell[each]]):
        for at in range(cell[place]):
            other = (*cell[:place], at, *cell[place + 1 :])
            if height(other) >= needed:
                cell = other
                break
    return cell


def _changes(axes: Sequence[Axis], cell: Sequence[int]) -> tuple[tuple[Lever, Value], ...]:
    return tuple(
        (axis.lever, axis.values[at]) for axis, at in zip(axes, cell, strict=True) if at > 0
    )


def _moved(base: list[float], axes: Sequence[Axis], cell: Sequence[int]) -> list[float]:
    values = base.copy()
    for axis, at in zip(axes, cell, strict=True):
        if at:
            for place, value in axis.places[at].items():
                values[place] = value
    return values


def _ranges(axes: Sequence[Axis], cell: Sequence[int], last: int) -> dict[int, Interval]:
    """Return the intervals of the places that may still move on from a cell."""
    found: dict[int, Interval] = {}
    for axis, at in zip(axes[last:], cell[last:], strict=True):
        for places in axis.places[at:]:
            for place, value in places.items():
                low, high = found.get(place, (value, value))
                found[place] = (min(low, value), max(high, value))
    return found


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


def _value(node: Walk, values: list[float]) -> float:
    while node.__class__ is tuple:
        node = node[3] if values[node[0]] <= node[1] else node[4]
    return node  # type: ignore[no-any-return]


def _highest(node: Walk, values: list[float], ranges: Mapping[int, Interval]) -> float:
    """Return the highest leaf that a tree has where the places of `ranges` may vary."""
    while node.__class__ is tuple:
        place, threshold, _, left, right = node
        if place in ranges:
            low, high = ranges[place]
            if low <= threshold < high:
                return max(_highest(left, values, ranges), _highest(right, values, ranges))
            node = left if high <= threshold else right
        else:
            node = left if values[place] <= threshold else right
    return node  # type: ignore[no-any-return]


def _axis(plan: Plan, lever: Lever, trees: Sequence[Walk]) -> Axis:
    moves = list(lever.options) if lever.options is not None else _steps(plan, lever, trees)
    moves.sort(key=lambda each: each[1])
    values = (lever.now, *(value for value, _ in moves))
    places = tuple(transformed(plan, lever.name, value) for value in values)
    return Axis(lever, values, (0.0, *(cost for _, cost in moves)), places)


def _steps(plan: Plan, lever: Lever, trees: Sequence[Walk]) -> list[tuple[Value, float]]:
    """Return, for each cell between thresholds, the value of it that is nearest to the present."""
    ((place, now),) = transformed(plan, lever.name, lever.now).items()
    limits = sorted({limit for tree in trees for limit in _limits(tree, place)})
    above = (lever.beyond(limit, up=True) for limit in limits if now <= limit < lever.high)
    below = (lever.beyond(limit, up=False) for limit in limits if lever.low <= limit < now)
    found = {lever.typed(value) for value in (*above, *below) if value is not None}
    return [(value, lever.cost(value)) for value in found]


def _limits(node: Walk, place: int) -> Iterator[float]:
    if node.__class__ is tuple:
        if node[0] == place:
            yield node[1]
        yield from _limits(node[3], place)
        yield from _limits(node[4], place)
