"""Contributions from trees as they were first written: every leaf and every member, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pipelines.model.leaves import Leaf, forest, leaves, satisfied
from pipelines.model.plan import Plan, Row
from pipelines.records import Reference


def contributions(plan: Plan, reference: Reference, asked: Iterable[Row]) -> list[list[float]]:
    """Return for each row the inputs' contributions, in the plan's order."""
    trees = forest(plan)
    every = [leaf for tree in trees for leaf in leaves(tree)]
    found = []
    for row in asked:
        masks = satisfied(trees, plan.transformed(row))
        terms: list[list[float]] = [[] for _ in plan.inputs]
        for leaf, mask, counts in zip(every, masks, reference.leaves, strict=True):
            for player, share in _shares(leaf, mask, counts, reference.size).items():
                terms[player].append(share)
        found.append(list(map(math.fsum, terms)))
    return found


def _shares(
    leaf: Leaf, mask: int, counts: Sequence[tuple[int, int]], size: int
) -> dict[int, float]:
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
    return {player: math.fsum(each) / size for player, each in terms.items()}


def _weight(own: int, others: int) -> float:
    return 1.0 / (own * math.comb(own + others, own))
