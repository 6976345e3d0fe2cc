"""The nearest change for a sum of trees: exact, by best-first search over boxes of values.

Between two thresholds a margin does not change, so of each cell only the value nearest to the
person's counts. A box holds an interval of such values for every column; its cheapest corner is
the one nearest to the person. What a box can cost at least follows from its leaves: within a budget
each tree may give the best leaf that can be reached for so much, and the least budget at which the
sum of these is high enough is a bound, for no change can do better than every tree by itself.
Boxes are taken in the order of this bound. One whose cheapest corner is high enough for just the
bound is the nearest; any other is cut in two where the trees' best leaves ask for it most.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.account.forest import Axis, Cell, Doubles, Forest, reachable
from pipelines.account.levers import Lever
from pipelines.account.nearest import MOST_CELLS, SLACK, Nearest
from pipelines.model.plan import Plan, Row, Value


@dataclass(frozen=True, slots=True)
class Box:
    """An interval of values on every axis, and what each leaf costs in it."""

    low: Cell
    high: Cell
    spent: Doubles

    def corner(self, axes: Sequence[Axis]) -> Cell:
        """Return the box's cheapest cell."""
        ends = zip(axes, self.low, self.high, strict=True)
        return tuple(min(max(axis.now, low), high) for axis, low, high in ends)

    def cut(self, forest: Forest, axis: int, at: int, *, up: bool) -> Iterator[Box]:
        """Yield the box without what is from `at` on (`up`; else until `at`), and that part."""
        low, high = self.low[axis], self.high[axis]
        halves = [(low, at - 1), (at, high)] if up else [(at + 1, high), (low, at)]
        former = forest.cost(axis, low, high)
        others = self.spent - np.where(np.isfinite(former), former, 0.0)
        for first, last in halves:
            spent = others + forest.cost(axis, first, last)
            yield Box(_put(self.low, axis, first), _put(self.high, axis, last), spent)


def nearest(plan: Plan, row: Row, levers: Sequence[Lever], needed: float) -> Nearest:
    """Return the nearest change of a row that brings its margin to `needed`."""
    forest = reachable(plan, row, levers)
    if forest is None:
        return Nearest(None, math.inf, 1)
    return _Search(plan, row, forest, needed).run()


class _Search:
    """One search: the boxes that are left, by what they cost at least."""

    def __init__(self, plan: Plan, row: Row, forest: Forest, needed: float) -> None:
        self.plan, self.row, self.forest, self.needed = plan, row, forest, needed
        self.heap: list[tuple[float, int, Box]] = []
        self.pushed = 0

    def run(self) -> Nearest:
        forest, cells = self.forest, 0
        high = tuple(len(axis.values) - 1 for axis in forest.axes)
        ends = enumerate(high)
        spent = np.sum([forest.cost(axis, 0, last) for axis, last in ends], axis=0)
        self._push(0.0, Box((0,) * len(high), high, spent))
        while self.heap and cells < MOST_CELLS:
            least, _, box = heapq.heappop(self.heap)
            cells += 1
            corner = box.corner(forest.axes)
            enough = forest.margin(corner) >= self.needed - SLACK and self._approved(corner)
            if enough and forest.price(corner) <= least + SLACK:
                return Nearest(self._changes(corner), forest.price(corner), cells)
            if enough:
                # Nothing of this box is nearer than its corner: it waits for its turn at its price.
                low = high = corner
                self._put_back(forest.price(corner), Box(low, high, box.spent))
                continue
            for half in self._halves(box, corner, least):
                self._push(least, half)
        if not self.heap:
            return Nearest(None, math.inf, cells)
        return self._unproven(self.heap[0][0], cells)

    def _halves(self, box: Box, corner: Cell, least: float) -> Iterator[Box]:
        """Yield a box cut in two where the best leaves within `least` ask to leave its corner."""
        forest, at = self.forest, np.array(corner)[:, None]
        within = box.spent <= least + SLACK
        best = forest.best(within)
        gains = best - forest.best(forest.holds(corner))
        wanted = within & (forest.leaves == best[forest.owner]) & (gains > 0.0)[forest.owner]
        leaves = wanted.nonzero()[0]
        gain = gains[forest.owner[leaves]]
        above = np.maximum(forest.low[:, leaves], np.array(box.low)[:, None])
        below = np.minimum(forest.high[:, leaves], np.array(box.high)[:, None])
        asked = np.concatenate([(above > at) @ gain, (below < at) @ gain])
        if asked.max() > 0.0:
            side, axis = divmod(int(asked.argmax()), len(above))
            ends = (above, below)[side][axis]
            far = (ends < corner[axis]) if side else (ends > corner[axis])
            weights = np.bincount(ends[far], gain[far])
            yield from box.cut(forest, axis, int(weights.argmax()), up=not side)
            return
        for axis, (low, high) in enumerate(zip(box.low, box.high, strict=True)):
            if low < high:
                up = corner[axis] < high
                yield from box.cut(forest, axis, corner[axis] + (1 if up else -1), up=up)
                return

    def _push(self, least: float, box: Box) -> None:
        """Keep a box for later with the least it can cost, unless nothing of it is high enough."""
        found = self.forest.least(box.spent, self.needed)
        if found < math.inf:
            self._put_back(max(least, found), box)

    def _put_back(self, least: float, box: Box) -> None:
        self.pushed += 1
        heapq.heappush(self.heap, (least, self.pushed, box))

    def _unproven(self, least: float, cells: int) -> Nearest:
        found = _greedy(self.forest, self.needed)
        if found is None or not self._approved(found):
            return Nearest(None, least, cells)
        return Nearest(self._changes(found), least, cells)

    def _approved(self, cell: Cell) -> bool:
        """Say whether the plan itself, in its own order, gives enough."""
        changed = {lever.name: value for lever, value in self._changes(cell)}
        return self.plan.margin({**self.row, **changed}) >= self.needed

    def _changes(self, cell: Cell) -> tuple[tuple[Lever, Value], ...]:
        pairs = zip(self.forest.axes, cell, strict=True)
        return tuple((axis.lever, axis.values[at]) for axis, at in pairs if at != axis.now)


def _greedy(forest: Forest, needed: float) -> Cell | None:
    """Return a cell that is high enough, not the nearest: what lifts most for its cost goes first.

    Then every axis goes back as far as it can.
    """
    cell = tuple(axis.now for axis in forest.axes)
    height = forest.margin(cell)
    while height < needed:
        best, rate = None, 0.0
        for place, axis in enumerate(forest.axes):
            for at in range(len(axis.values)):
                more = axis.costs[at] - axis.costs[cell[place]]
                if more > 0.0:
                    other = _put(cell, place, at)
                    found = (min(forest.margin(other), needed) - height) / more
                    best, rate = (other, found) if found > rate else (best, rate)
        if best is None:
            return None
        cell, height = best, forest.margin(best)
    for place in sorted(range(len(cell)), key=lambda each: -forest.axes[each].costs[cell[each]]):
        axis = forest.axes[place]
        for at in sorted(range(len(axis.values)), key=axis.costs.__getitem__):
            if axis.costs[at] >= axis.costs[cell[place]]:
                break
            if forest.margin(_put(cell, place, at)) >= needed:
                cell = _put(cell, place, at)
                break
    return cell


def _put(cell: Cell, place: int, at: int) -> Cell:
    return (*cell[:place], at, *cell[place + 1 :])
