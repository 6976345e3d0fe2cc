"""How many declined people a small change of what they can change would approve.

A change's cost is its size in median absolute deviations of the training part, summed over columns;
another category costs 1. Of each column's moves within the budget, in quarters of it, the best
combination is found by dynamic programming over the gains of single columns, and then scored as a
whole. For a linear model, whose gains add up, no other combination of these moves does better;
for trees one may.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.contract import Column
from pipelines.release.checks._probe import NUMERIC, Floats, Probe, is_quantity, typed

STEPS = 4  # of the budget
CATEGORY_COST = 1.0
CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class Move:
    """One column moved for everybody: new values, and how many steps of the budget each costs.

    STEPS + 1 stands for a move that a person cannot make.
    """

    column: str
    becomes: pd.Series
    steps: NDArray[np.int64]


def approved_share(probe: Probe, declined: pd.DataFrame, budget: float) -> float:
    """Return the share of declined people (at least one) who are approved by a change in budget."""
    found = list(moves(probe, declined, budget))
    if not found:
        return 0.0
    before = probe.case.margins(declined)
    asked = pd.concat([declined.assign(**{move.column: move.becomes}) for move in found])
    gains = probe.case.margins(asked).reshape(len(found), -1) - before
    changed = declined.copy()
    for at, people in chosen(found, gains):
        move = found[at]
        changed[move.column] = changed[move.column].mask(people, move.becomes)
    return float((probe.case.outcomes(probe.case.margins(changed)) == 1).mean())


def moves(probe: Probe, people: pd.DataFrame, budget: float) -> Iterator[Move]:
    """Yield the moves of every column that the contract calls actionable, in its direction."""
    for column in probe.columns:
        if column.actionable == "no" or column.role != "feature":
            continue
        yield from (_amounts if is_quantity(column) else _codes)(probe, column, people, budget)


def chosen(found: list[Move], gains: Floats) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the moves of each person's best combination within the budget, with who makes them.

    `gains` has shape (moves, people): what each move alone adds to the margin.
    """
    people = gains.shape[1]
    best = np.zeros((people, STEPS + 1))
    taken: list[tuple[list[int], NDArray[np.int64]]] = []
    for name in dict.fromkeys(move.column for move in found):
        own = [at for at, move in enumerate(found) if move.column == name]
        total, which = best.copy(), np.full((people, STEPS + 1), -1)
        for at in own:
            for left in range(STEPS + 1):
                rest = left - found[at].steps
                reached = best[np.arange(people), np.maximum(rest, 0)] + gains[at]
                better = (rest >= 0) & (reached > total[:, left])
                total[better, left], which[better, left] = reached[better], at
        best = total
        taken.append((own, which))
    left_over = np.full(people, STEPS)
    for own, which in reversed(taken):
        pick = which[np.arange(people), left_over]
        for at in own:
            if (made := pick == at).any():
                yield at, made
        costs = np.array(
            [found[at].steps[person] if at >= 0 else 0 for person, at in enumerate(pick)]
        )
        left_over = left_over - costs


def _amounts(probe: Probe, column: Column, people: pd.DataFrame, budget: float) -> Iterator[Move]:
    known = people[column.name].to_numpy(dtype=np.float64, na_value=np.nan)
    seen = probe.train[column.name].dropna().to_numpy(dtype=np.float64)
    if not len(seen):
        return
    low = max(seen.min(), -np.inf if column.minimum is None else column.minimum)
    high = min(seen.max(), np.inf if column.maximum is None else column.maximum)
    signs = {"increase": (1.0,), "decrease": (-1.0,)}.get(column.actionable, (1.0, -1.0))
    for sign in signs:
        for step in range(1, STEPS + 1):
            size = probe.spread(column) * budget * step / STEPS
            size = float(np.floor(size + CLOSE)) if column.kind == "integer" else size
            end = np.fmax(known, high) if sign > 0 else np.fmin(known, low)
            moved = np.fmin(known + size, end) if sign > 0 else np.fmax(known - size, end)
            moved = np.where(np.isnan(known), np.nan, moved)
            values = pd.Series(moved, index=people.index).astype(people[column.name].dtype)
            yield Move(column.name, values, np.where(np.isnan(known), STEPS + 1, step))


def _codes(probe: Probe, column: Column, people: pd.DataFrame, budget: float) -> Iterator[Move]:
    now = people[column.name]
    missing = now.isna().to_numpy()
    for value in probe.grid(column):
        if column.kind in NUMERIC:
            change = float(value) - now.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[arg-type]
            cost = np.abs(change) / probe.spread(column)
            wrong = {"increase": change <= 0.0, "decrease": change >= 0.0}
            barred = wrong.get(column.actionable, change == 0.0) | missing
        else:
            cost = np.full(len(now), CATEGORY_COST)
            barred = missing | (now == value).to_numpy(dtype=bool, na_value=True)
            barred |= column.actionable != "any"
        steps = np.ceil(np.nan_to_num(cost, nan=np.inf) / budget * STEPS - CLOSE)
        steps = np.where(barred | (steps > STEPS), STEPS + 1, steps).astype(np.int64)
        if (steps <= STEPS).any():
            values = pd.Series([typed(column, value)] * len(now), index=now.index, dtype=now.dtype)
            yield Move(column.name, values, steps)
