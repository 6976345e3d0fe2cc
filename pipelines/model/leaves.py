"""The leaves of a plan's trees: which columns lead to each, and what each gives them.

The Shapley value of a tree follows from its leaves: where columns A must be the person's and
columns B the member's for a leaf to be reached, each of A gets
value * (|A|-1)! |B|! / (|A|+|B|)! and each of B minus value * |A|! (|B|-1)! / (|A|+|B|)!.
Which A and B a member makes depends only on its bits at the leaf, so equal bits are counted once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipelines.model.plan import Plan

Branch = Any  # a Leaf, or (place, threshold, missing left, bit, Branch left, Branch right)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf: its value, and the columns on the way to it as bits and by their place."""

    value: float
    path: int
    players: tuple[tuple[int, int], ...]


def forest(plan: Plan) -> tuple[Branch, ...]:
    """Return a plan's trees with a bit for every input column that a tree asks."""
    asked = players(plan)
    return tuple(_branch(walk, asked, {}, 0) for walk in plan.walks)


def players(plan: Plan) -> tuple[int, ...]:
    """Return the place among a plan's inputs of what stands behind each transformed column."""
    places = {name: at for at, name in enumerate(plan.inputs)}
    return tuple(places[name] for name in plan.sources)


def leaves(branch: Branch) -> list[Leaf]:
    """Return the leaves of a tree, left first."""
    if isinstance(branch, Leaf):
        return [branch]
    return [*leaves(branch[4]), *leaves(branch[5])]


def satisfied(trees: Sequence[Branch], values: Sequence[float]) -> list[int]:
    """Return for each leaf, tree by tree and left first, which columns of a row speak for it.

    A column's bit is set when every question about it on the way to the leaf is answered so that
    the row goes there.
    """
    found: list[int] = []
    for tree in trees:
        _walk(tree, values, 0, found)
    return found


def _branch(walk: Any, asked: Sequence[int], bits: dict[int, int], path: int) -> Branch:  # noqa: ANN401
    if not isinstance(walk, tuple):
        on_path = tuple((bit, player) for player, bit in bits.items() if path & bit)
        return Leaf(walk, path, on_path)
    place, threshold, missing_left, left, right = walk
    bit = bits.setdefault(asked[place], 1 << len(bits))
    below = path | bit
    return (
        place,
        threshold,
        missing_left,
        bit,
        _branch(left, asked, bits, below),
        _branch(right, asked, bits, below),
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


def shares(
    leaf: Leaf, failed: int, counts: Sequence[tuple[int, int]], size: int
) -> tuple[float, ...]:
    """Return what one leaf gives each of its columns, averaged over the reference's `size` members.

    `failed` are the bits of the columns of the person that speak against the leaf: they must be the
    member's for it to be reached. `counts` tells how many members have which bits.
    """
    speaking: list[tuple[int, float]] = []
    against: list[float] = []
    b = failed.bit_count()
    for other, count in counts:
        if failed & ~other:
            continue
        own, value = leaf.path & ~other, leaf.value * count
        a = own.bit_count()
        if a:
            speaking.append((own, value * weight(a, b)))
        if b:
            against.append(-value * weight(b, a))
    theirs = math.fsum(against) / size
    return tuple(
        theirs if bit & failed else math.fsum([term for own, term in speaking if own & bit]) / size
        for bit, _ in leaf.players
    )


@cache
def weight(own: int, others: int) -> float:
    """Return (own - 1)! others! / (own + others)!."""
    return 1.0 / (own * math.comb(own + others, own))
