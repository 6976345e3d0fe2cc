"""Sums over the table of groups, outcomes and labels: for one attribute, or several crossed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipelines.data import cube
from pipelines.data.cube import Cube
from pipelines.data.groups import UNKNOWN
from pipelines.data.sketch import Counts, Floats
from pipelines.model.group_metrics import JOINED, GroupCounts

APPROVE, DECLINE, REFER, REFUSE = range(len(cube.OUTCOMES))
UNFAVOURABLE, FAVOURABLE = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class GroupTable:
    """People by group, outcome and label, and the sum of their chances by group and outcome.

    `names` are sorted; a group that the baseline did not know is part of `unknown`.
    """

    attribute: str
    names: tuple[str, ...]
    counts: Counts
    chances: Floats

    @property
    def decided(self) -> GroupCounts:
        """People whom the model approved or declined, as a table of selection alone."""
        table = np.zeros((len(self.names), 2, 2), dtype=np.int64)
        by_outcome = self.counts.sum(axis=2)
        table[:, 0, 0], table[:, 1, 0] = by_outcome[:, DECLINE], by_outcome[:, APPROVE]
        return GroupCounts(self.names, table)

    @property
    def labelled(self) -> GroupCounts:
        """People approved or declined whose target is known: outcome by target."""
        known = self.counts[:, :, [UNFAVOURABLE, FAVOURABLE]]
        return GroupCounts(self.names, known[:, [DECLINE, APPROVE], :])

    @property
    def crossed(self) -> bool:
        """Whether this is an intersection of several attributes."""
        return JOINED in self.attribute


def tables(found: Cube, most: int) -> list[GroupTable]:
    """Return a table for each attribute and for every crossing of up to `most` of them."""
    places = range(len(found.attributes))
    chosen = [some for size in range(1, most + 1) for some in combinations(places, size)]
    return [table(found, some) for some in chosen]


def table(found: Cube, places: Sequence[int]) -> GroupTable:
    """Return the table of the attributes at these places, crossed."""
    counts: dict[str, Counts] = {}
    chances: dict[str, Floats] = {}
    shape = (len(cube.OUTCOMES), len(cube.LABELS))
    for cell in found.cells:
        name = JOINED.join(_known(cell.groups[place]) for place in places)
        outcome, label = cube.OUTCOMES.index(cell.outcome), cube.LABELS.index(cell.label)
        counts.setdefault(name, np.zeros(shape, dtype=np.int64))[outcome, label] += cell.count
        chances.setdefault(name, np.zeros(shape[0]))[outcome] += cell.chance / cube.CHANCE
    names = tuple(sorted(counts))
    return GroupTable(
        attribute=JOINED.join(found.attributes[place] for place in places),
        names=names,
        counts=np.array([counts[name] for name in names], dtype=np.int64).reshape(-1, *shape),
        chances=np.array([chances[name] for name in names]).reshape(-1, shape[0]),
    )


def everybody(found: Cube) -> Counts:
    """Return all people by outcome and label, shape (outcomes, labels)."""
    counts = np.zeros((len(cube.OUTCOMES), len(cube.LABELS)), dtype=np.int64)
    for cell in found.cells:
        counts[cube.OUTCOMES.index(cell.outcome), cube.LABELS.index(cell.label)] += cell.count
    return counts


def share(part: float, whole: float) -> float | None:
    """Return a share; None of nobody, never 0."""
    return float(part) / float(whole) if whole else None


def _known(group: str) -> str:
    return UNKNOWN if group == cube.NEW else group
