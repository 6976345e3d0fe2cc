"""How much each input column moved a margin away from the reference's: exact Shapley values.

The game: a coalition's columns have the person's values, the others those of a member of the
reference; its worth is the margin, averaged over the reference. One-hot columns play as their
source column. For a linear margin the Shapley value of a column is the sum of its weights times
the person's transformed values less the reference's means. For a tree it follows from its leaves:
where columns A must be the person's and columns B the member's for a leaf to be reached, each of
A gets value * (|A|-1)! |B|! / (|A|+|B|)! and each of B minus value * |A|! (|B|-1)! / (|A|+|B|)!.
Which A and B a member makes depends only on its bits at the leaf, so equal bits are counted once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipelines.errors import IntegrityBroken
from pipelines.model.plan import Plan, Row
from pipelines.records import Reference

Branch = Any  # a Leaf, or (place, threshold, missing left, bit, Branch left, Branch right)
MOST_SEEN = 64  # patterns of bits kept a leaf
Shares = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf: its value, and the columns on the way to it as bits and by their place."""

    value: float
    path: int
    players: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Explainer:
    """Exact contributions of a plan's inputs against a reference.

    `order` is the columns' order in the contract. Nothing here is random, and a row's
    contributions are the same bits alone and among others.
    """

    plan: Plan
    reference: Reference
    order: tuple[str, ...]
    seen: list[dict[int, Shares]] = field(default_factory=list, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.reference.plan_sha256 != self.plan.sha256:
            raise IntegrityBroken(
                "the reference is of another model",
                observed=self.reference.plan_sha256,
                expected=self.plan.sha256,
            )
        self.seen.extend({} for _ in self.reference.leaves)

    @property
    def base(self) -> float:
        """The reference's mean margin: what the contributions of a person start from."""
        return float.fromhex(self.reference.margin)

    def contributions(self, row: Row) -> dict[str, float]:
        """Return each input column's contribution in log-odds, in the contract's order.

        They add up to the row's margin less `base`.
        """
        values = self.plan.transformed(row)
        terms = self._of_trees(values) if self.plan.trees else self._linear(values)
        found = {name: math.fsum(each) for name, each in zip(self.plan.inputs, terms, strict=True)}
        return {name: found[name] for name in self.order}

    def _linear(self, values: Sequence[float]) -> list[list[float]]:
        terms: list[list[float]] = [[] for _ in self.plan.inputs]
        for player, weight, value, mean in zip(
            self._players, self.plan.weights, values, self._means, strict=True
        ):
            terms[player].append(weight * (value - mean))
        return terms

    def _of_trees(self, values: list[float]) -> list[list[float]]:
        terms: list[list[float]] = [[] for _ in self.plan.inputs]
        masks = satisfied(self._forest, values)
        for at, (leaf, mask) in enumerate(zip(self._leaves, masks, strict=True)):
            shares = self.seen[at].get(mask)
            if shares is None:
                shares = _shares(leaf, mask, self.reference.leaves[at], self.reference.size)
                self._keep(at, mask, shares)
            for player, share in shares:
                terms[player].append(share)
        return terms

    def _keep(self, at: int, mask: int, shares: Shares) -> None:
        """Keep what a leaf gives for one pattern of bits, up to a bound on memory."""
        if len(self.seen[at]) < MOST_SEEN:
            self.seen[at][mask] = shares

    @cached_property
    def _means(self) -> tuple[float, ...]:
        return tuple(map(float.fromhex, self.reference.means))

    @cached_property
    def _players(self) -> tuple[int, ...]:
        places = {name: at for at, name in enumerate(self.plan.inputs)}
        return tuple(places[name] for name in self.plan.sources)

    @cached_property
    def _forest(self) -> tuple[Branch, ...]:
        return forest(self.plan)

    @cached_property
    def _leaves(self) -> tuple[Leaf, ...]:
        return tuple(leaf for tree in self._forest for leaf in _leaves(tree))


def forest(plan: Plan) -> tuple[Branch, ...]:
    """Return a plan's trees with a bit for every input column that a tree asks."""
    places = {name: at for at, name in enumerate(plan.inputs)}
    players = [places[name] for name in plan.sources]
    return tuple(_branch(walk, players, {}, 0) for walk in plan.walks)


def satisfied(trees: Sequence[Branch], values: Sequence[float]) -> list[int]:
    """Return for each leaf, tree by tree and left first, which columns of a row speak for it.

    A column's bit is set when every question about it on the way to the leaf is answered so that
    the row goes there.
    """
    found: list[int] = []
    for tree in trees:
        _walk(tree, values, 0, found)
    return found


def _branch(walk: Any, players: Sequence[int], bits: dict[int, int], path: int) -> Branch:  # noqa: ANN401
    if not isinstance(walk, tuple):
        on_path = tuple((bit, player) for player, bit in bits.items() if path & bit)
        return Leaf(walk, path, on_path)
    place, threshold, missing_left, left, right = walk
    bit = bits.setdefault(players[place], 1 << len(bits))
    below = path | bit
    return (
        place,
        threshold,
        missing_left,
        bit,
        _branch(left, players, bits, below),
        _branch(right, players, bits, below),
    )


def _walk(branch: Branch, values: Sequence[float], failed: int, found: list[int]) -> None:
    if branch.__class__ is Leaf:
        found.append(branch.path & ~failed)
        return
    place, threshold, missing_left, bit, left, right = branch
    value = values[place]
    if value <= threshold or (missing_left and value != value):  # noqa: PLR0124 - only NaN differs
        _walk(left, values, failed, found)
        _walk(right, values, failed | bit, found)
    else:
        _walk(left, values, failed | bit, found)
        _walk(right, values, failed, found)


def _leaves(branch: Branch) -> list[Leaf]:
    if isinstance(branch, Leaf):
        return [branch]
    return [*_leaves(branch[4]), *_leaves(branch[5])]


def _shares(leaf: Leaf, mask: int, counts: Sequence[tuple[int, int]], size: int) -> Shares:
    """Return what each column gets of one leaf, averaged over the reference."""
    terms: dict[int, list[float]] = {}
    for other, count in counts:
        if mask | other != leaf.path:
            continue
        own, others = mask & ~other, other & ~mask
        a, b = own.bit_count(), others.bit_count()
        for bit, player in leaf.players:
            if bit & own:
                terms.setdefault(player, []).append(leaf.value * count * _weight(a, b))
            elif bit & others:
                terms.setdefault(player, []).append(-leaf.value * count * _weight(b, a))
    return tuple((player, math.fsum(each) / size) for player, each in terms.items())


def _weight(own: int, others: int) -> float:
    """Return (own - 1)! others! / (own + others)!."""
    return 1.0 / (own * math.comb(own + others, own))


def principal(
    found: Mapping[str, float], barred: frozenset[str], most: int, *, lowering: bool = True
) -> tuple[tuple[str, float], ...]:
    """Return up to `most` columns that lowered (or raised) the margin most, the strongest first.

    Equal contributions keep the contract's order. A column of `barred` (a protected one) is never
    among them.
    """
    sign = 1.0 if lowering else -1.0
    moved = [(name, each) for name, each in found.items() if sign * each < 0 and name not in barred]
    return tuple(sorted(moved, key=lambda item: sign * item[1])[:most])
