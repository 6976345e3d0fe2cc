"""What all leaves of a forest give each column, added exactly.

A column's contribution is the sum of what the leaves give it, rounded once: what math.fsum gives,
in any order. So whole numbers are added where they can be (`leaf_table.py`), and the rest one by
one; no order, thread or kernel changes a bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from pipelines.model.leaf_patterns import Patterns
from pipelines.model.leaf_table import ASIDE, LeafTable
from pipelines.model.leaves import forest, leaves, shares
from pipelines.model.plan import Plan
from pipelines.records import Reference

MOST_ASIDE: Final = 1 << 14  # patterns kept outside the table
Given = tuple[tuple[int, float], ...]  # what a leaf gives, by the place of the input


class LeafSums:
    """Adds what a plan's leaves give each input column; for many threads."""

    def __init__(self, plan: Plan, reference: Reference) -> None:
        self._inputs, self._reference = len(plan.inputs), reference
        self._leaves = [leaf for tree in forest(plan) for leaf in leaves(tree)]
        self._patterns = Patterns(plan, self._leaves)
        self._at = self._patterns.narrow
        narrow = [self._leaves[at] for at in self._at]
        by_player = sorted(
            (player, at, order)
            for at, leaf in enumerate(narrow)
            for order, (_, player) in enumerate(leaf.players)
        )
        columns = np.array(by_player, dtype=np.intp).reshape(-1, 3).T.copy()
        self._of_leaf, self._orders = columns[1:]
        self._players, self._starts = np.unique(columns[0], return_index=True)
        most = int(np.bincount(columns[0], minlength=1).max())
        counts = [reference.leaves[at] for at in self._at]
        self._table = LeafTable(narrow, counts, reference.size, most)
        self._aside: dict[tuple[int, int], Given] = {}

    def of(self, values: Sequence[float]) -> list[float]:
        """Return each input's contribution to the margin of one transformed row."""
        patterns, wide = self._patterns.of(values)
        totals, alone = [0] * self._inputs, [self._given(*each) for each in wide]
        if self._at:
            table = self._table
            where = table.places(patterns)
            for at in np.flatnonzero(where == ASIDE).tolist():
                alone.append(self._given(self._at[at], self._bits(at, int(patterns[at]))))
                where[at] = 0
            pairs = where[self._of_leaf] + self._orders
            high = np.add.reduceat(table.high[pairs], self._starts).tolist()
            low = np.add.reduceat(table.low[pairs], self._starts).tolist()
            for player, upper, lower in zip(self._players.tolist(), high, low, strict=True):
                totals[player] = (upper << table.limb) + lower
        return self._rounded(totals, alone)

    def _rounded(self, totals: Sequence[int], alone: Iterable[Given]) -> list[float]:
        """Round every sum once."""
        one = 1 << self._table.grid
        found = [total / one for total in totals]
        terms: defaultdict[int, list[Fraction]] = defaultdict(list)
        for given in alone:
            for player, share in given:
                terms[player].append(Fraction(share))
        for player, each in terms.items():
            found[player] = float(sum(each, Fraction(totals[player], one)))
        return found

    def _bits(self, at: int, pattern: int) -> int:
        """Return a narrow leaf's pattern as the bits of its players."""
        on_way = enumerate(self._leaves[self._at[at]].players)
        return sum(bit for order, (bit, _) in on_way if pattern >> order & 1)

    def _given(self, place: int, failed: int) -> Given:
        """Return what is added one by one."""
        given = self._aside.get((place, failed))
        if given is None:
            leaf, reference = self._leaves[place], self._reference
            found = shares(leaf, failed, reference.leaves[place], reference.size)
            named = zip(leaf.players, found, strict=True)
            given = tuple((player, share) for (_, player), share in named if share)
            if len(self._aside) < MOST_ASIDE:
                self._aside[place, failed] = given
        return given
