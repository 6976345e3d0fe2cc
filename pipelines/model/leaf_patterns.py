"""Which columns of a row speak against which leaf of a forest, for all leaves at once.

A value's rank is how many of the thresholds that its place is compared with lie below it. For every
leaf and every place asked on the way to it, the ranks that lead on are one range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.model.leaves import Leaf, players
from pipelines.model.plan import LEAF, Plan

WIDEST: Final = 10  # columns on the way to a leaf whose patterns a table may tell apart
TOO_HIGH: Final = 1 << 62  # a tree's columns are bits: of no whole number that numpy knows
MISSING: Final = -1  # the rank of a missing value
Cuts = Mapping[int, Sequence[float]]
# By place: the first and the last rank that leads on to a leaf, and whether a missing value does.
Way = Mapping[int, tuple[int, int, bool]]


class Patterns:
    """Tells patterns: of the leaves at `narrow` by numpy, of those with more columns one by one.

    A leaf that no question leads to is neither.
    """

    def __init__(self, plan: Plan, found: Sequence[Leaf]) -> None:
        self._found, self._asked, self._cuts = found, players(plan), _cuts(plan)
        self._ways = [way for walk in plan.walks for way in _ways(walk, self._cuts, {})]
        asked = [at for at, leaf in enumerate(found) if leaf.players]
        self.narrow = [at for at in asked if _is_narrow(found[at])]
        self._wide = [at for at in asked if not _is_narrow(found[at])]
        rows = [row for at in self.narrow for row in self._rows(at)]
        table = np.array(rows, dtype=np.int32).reshape(-1, 5).T.copy()
        self._low, self._high, self._bits = table[1:4]
        self._places, self._stops = table[0].astype(np.intp), table[4] == 0
        lengths = [len(self._ways[at]) for at in self.narrow]
        self._starts = np.cumsum([0, *lengths[:-1]])

    def of(self, values: Sequence[float]) -> tuple[NDArray[np.int32], list[tuple[int, int]]]:
        """Return what speaks against the leaves in a transformed row.

        Of each narrow leaf the columns' orders in its `players` as bits, of any other its position
        and the bits of its `players`.
        """
        ranks = np.zeros(len(values), dtype=np.int32)
        for place, cuts in self._cuts.items():
            value = values[place]
            is_there = value == value  # noqa: PLR0124 - only NaN differs
            ranks[place] = bisect_left(cuts, value) if is_there else MISSING
        wide = [(at, self._against(at, ranks.tolist())) for at in self._wide]
        return self._of_narrow(ranks), wide

    def _of_narrow(self, ranks: NDArray[np.int32]) -> NDArray[np.int32]:
        if not self.narrow:
            return np.zeros(0, dtype=np.int32)
        rank = ranks[self._places]
        against = ((rank < self._low) | (rank > self._high)) & ((rank != MISSING) | self._stops)
        return np.bitwise_or.reduceat(self._bits * against, self._starts)

    def _against(self, at: int, ranks: Sequence[int]) -> int:
        bits = {player: bit for bit, player in self._found[at].players}
        failed = 0
        for place, (low, high, missing) in self._ways[at].items():
            rank = ranks[place]
            if not (missing if rank == MISSING else low <= rank <= high):
                failed |= bits[self._asked[place]]
        return failed

    def _rows(self, at: int) -> Iterator[tuple[int, int, int, int, bool]]:
        orders = {player: order for order, (_, player) in enumerate(self._found[at].players)}
        for place, (low, high, missing) in self._ways[at].items():
            yield place, low, high, 1 << orders[self._asked[place]], missing


def _is_narrow(leaf: Leaf) -> bool:
    return len(leaf.players) <= WIDEST and leaf.path < TOO_HIGH


def _cuts(plan: Plan) -> Cuts:
    """Return, by place, the thresholds that it is compared with, in order."""
    found: dict[int, set[float]] = {}
    for tree in plan.trees:
        for node in tree:
            if node.place != LEAF:
                found.setdefault(node.place, set()).add(node.threshold)
    return {place: sorted(found[place]) for place in sorted(found)}


def _ways(walk: Any, cuts: Cuts, way: Way) -> Iterator[Way]:  # noqa: ANN401
    """Yield the way to each leaf of a tree, left first."""
    if not isinstance(walk, tuple):
        yield way
        return
    place, threshold, missing_left, left, right = walk
    low, high, missing = way.get(place, (0, len(cuts[place]), True))
    cut = bisect_left(cuts[place], threshold)
    to_left = (low, min(high, cut), missing and missing_left)
    to_right = (max(low, cut + 1), high, missing and not missing_left)
    yield from _ways(left, cuts, {**way, place: to_left})
    yield from _ways(right, cuts, {**way, place: to_right})
