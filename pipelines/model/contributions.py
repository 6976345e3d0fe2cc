"""How much each input column moved a margin away from the reference's: exact Shapley values.

The game: a coalition's columns have the person's values, the others those of a member of the
reference; its worth is the margin, averaged over the reference. One-hot columns play as their
source column. For a linear margin the Shapley value of a column is the sum of its weights times
the person's transformed values less the reference's means. For a tree it is the sum of what its
leaves give the column (`leaves.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pipelines.errors import IntegrityBroken
from pipelines.model.leaves import players
from pipelines.model.plan import Plan, Row
from pipelines.records import Reference

if TYPE_CHECKING:
    from pipelines.model.leaf_sums import LeafSums


@dataclass(frozen=True)
class Explainer:
    """Exact contributions of a plan's inputs against a reference.

    `order` is the columns' order in the contract. Nothing here is random, and a row's
    contributions are the same bits alone and among others.
    """

    plan: Plan
    reference: Reference
    order: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.reference.plan_sha256 != self.plan.sha256:
            raise IntegrityBroken(
                "the reference is of another model",
                observed=self.reference.plan_sha256,
                expected=self.plan.sha256,
            )

    @property
    def base(self) -> float:
        """The reference's mean margin: what the contributions of a person start from."""
        return float.fromhex(self.reference.margin)

    def contributions(self, row: Row) -> dict[str, float]:
        """Return each input column's contribution in log-odds, in the contract's order.

        They add up to the row's margin less `base`.
        """
        values = self.plan.transformed(row)
        made = self._leaf_sums.of(values) if self.plan.trees else self._linear(values)
        found = dict(zip(self.plan.inputs, made, strict=True))
        return {name: found[name] for name in self.order}

    def _linear(self, values: Sequence[float]) -> list[float]:
        terms: list[list[float]] = [[] for _ in self.plan.inputs]
        for player, weight, value, mean in zip(
            self._players, self.plan.weights, values, self._means, strict=True
        ):
            terms[player].append(weight * (value - mean))
        return list(map(math.fsum, terms))

    @cached_property
    def _leaf_sums(self) -> LeafSums:
        # A replay by a kept plan loads numpy for the reasons of trees alone.
        from pipelines.model.leaf_sums import LeafSums

        return LeafSums(self.plan, self.reference)

    @cached_property
    def _means(self) -> tuple[float, ...]:
        return tuple(map(float.fromhex, self.reference.means))

    @cached_property
    def _players(self) -> tuple[int, ...]:
        return players(self.plan)


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
