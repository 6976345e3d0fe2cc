"""The nearest change for a linear margin: exact but for the last number's step on its grid.

Of numbers, what lifts the margin most for its cost goes first, as far as it may, and the last one
only as far as needed: that is the optimum of the continuous knapsack. Every combination of the
columns with single values is tried around it, but for those that a bound shows to cost too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.account.levers import Lever, transformed
from pipelines.account.nearest import MOST_CELLS, SLACK, Nearest
from pipelines.model.plan import Plan, Row, Value, number


@dataclass(frozen=True, slots=True)
class Slope:
    """A number: how much a unit lifts the margin, how far it may go, and the lift for its cost."""

    lever: Lever
    lift: float
    bound: float

    @property
    def ratio(self) -> float:
        return abs(self.lift) * self.lever.spread

    @property
    def most(self) -> float:
        return self.lift * (self.bound - number(self.lever.now))


@dataclass(frozen=True, slots=True)
class Choice:
    """A column of single values: (value, lift, cost) of those that lift the margin."""

    lever: Lever
    options: tuple[tuple[Value, float, float], ...]

    @property
    def ratio(self) -> float:
        return max(lift / max(cost, SLACK) for _, lift, cost in self.options)


class Search:
    """One search: the best so far, and how many combinations were looked at."""

    def __init__(self, slopes: Sequence[Slope], choices: Sequence[Choice]) -> None:
        self.slopes = sorted(slopes, key=lambda each: -each.ratio)
        self.choices = sorted(choices, key=lambda each: -each.ratio)
        self.best: tuple[tuple[Lever, Value], ...] | None = None
        self.cost, self.cells = math.inf, 0

    def run(
        self,
        deficit: float,
        at: int = 0,
        spent: float = 0.0,
        taken: tuple[tuple[Lever, Value], ...] = (),
    ) -> None:
        """Try every choice from place `at` on, then fill the rest with numbers."""
        self.cells += 1
        if self.cells > MOST_CELLS or spent + self._bound(deficit, at) >= self.cost:
            return
        if deficit <= 0 or at == len(self.choices):
            self._fill(deficit, spent, taken)
            return
        choice = self.choices[at]
        for value, lift, cost in choice.options:
            self.run(deficit - lift, at + 1, spent + cost, (*taken, (choice.lever, value)))
        self.run(deficit, at + 1, spent, taken)

    def _bound(self, deficit: float, at: int) -> float:
        """Return the least that lifting by `deficit` could cost with everything at its best."""
        ratios = [each.ratio for each in self.slopes[:1]]
        ratios += [each.ratio for each in self.choices[at : at + 1]]
        if deficit <= 0:
            return 0.0
        return deficit / max(ratios) if ratios else math.inf

    def _fill(self, deficit: float, spent: float, taken: tuple[tuple[Lever, Value], ...]) -> None:
        filled: list[tuple[Lever, Value]] = list(taken)
        for slope in self.slopes:
            if deficit <= 0:
                break
            lift = min(deficit, slope.most)
            deficit -= lift
            spent += lift / slope.ratio
            whole = lift == slope.most
            target = slope.bound if whole else number(slope.lever.now) + lift / slope.lift
            filled.append((slope.lever, target))
        if deficit <= 0 and spent < self.cost:
            self.best, self.cost = tuple(filled), spent


def nearest(plan: Plan, row: Row, levers: Sequence[Lever], needed: float) -> Nearest:
    """Return the nearest change of a row that brings its margin to `needed`."""
    slopes, choices = [], []
    for lever in levers:
        if lever.options is None:
            ((place, _),) = transformed(plan, lever.name, lever.now).items()
            lift = plan.weights[place] / plan.numbers[place].scale
            bound = lever.high if lift > 0 else lever.low
            if lift * (bound - number(lever.now)) > 0:
                slopes.append(Slope(lever, lift, bound))
        elif options := _lifting(plan, lever):
            choices.append(Choice(lever, options))
    search = Search(slopes, choices)
    search.run(needed - plan.margin(row))
    capped = search.cells > MOST_CELLS
    if search.best is None:
        return Nearest(None, 0.0 if capped else math.inf, search.cells)
    changes = _on_grid(search.best, slopes)
    return Nearest(changes, 0.0 if capped else search.cost, search.cells)


def _lifting(plan: Plan, lever: Lever) -> tuple[tuple[Value, float, float], ...]:
    now = _sum(plan, lever, lever.now)
    found = ((value, _sum(plan, lever, value) - now, cost) for value, cost in lever.options or ())
    return tuple(each for each in found if each[1] > 0)


def _sum(plan: Plan, lever: Lever, value: Value) -> float:
    places = transformed(plan, lever.name, value)
    return sum(plan.weights[place] * each for place, each in places.items())


def _on_grid(
    best: Sequence[tuple[Lever, Value]], slopes: Sequence[Slope]
) -> tuple[tuple[Lever, Value], ...]:
    """Move the one number that stands between two steps on to the next, away from where it was."""
    bounds = {each.lever.name: each for each in slopes}
    found: list[tuple[Lever, Value]] = []
    for lever, value in best:
        slope = bounds.get(lever.name)
        if slope is None or value == slope.bound:
            found.append((lever, value if slope is None else lever.typed(number(value))))
            continue
        up = slope.lift > 0
        stepped = lever.beyond(number(value), up=up)
        found.append((lever, lever.typed(slope.bound if stepped is None else stepped)))
    return tuple(found)
