"""The nearest change that lifts a margin to a threshold: what both searches take and give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipelines.account.levers import Lever
from pipelines.model.plan import Value

MOST_CELLS: Final = 4_000
SLACK: Final = 1e-9  # below it a margin may miss the threshold by the order of its sum alone


@dataclass(frozen=True, slots=True)
class Nearest:
    """A change and what is proven of it: no allowed change costs less than `at_least`.

    `changes` is None where none was found; then there is none at all if `at_least` is infinite.
    """

    changes: tuple[tuple[Lever, Value], ...] | None
    at_least: float
    cells: int

    @property
    def cost(self) -> float:
        """What the change costs."""
        return sum(lever.cost(value) for lever, value in self.changes or ())
