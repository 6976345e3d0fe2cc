"""Which bin of an axis a number is in: looked up by its step on the axis's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.data.sketch import NEAR, Codes, Floats, NumberAxis


@dataclass
class BinLookup:
    """Tells bins as searching the edges does, of most numbers without a search.

    Steps are in the order of the numbers. So where no edge lies on a number's step, as many edges
    are below it as have a lower step; only numbers on the step of an edge are compared with edges.
    """

    axis: NumberAxis

    def __post_init__(self) -> None:
        self._edges = np.array(self.axis.edges, dtype=np.float64)
        self._scale = 2.0**-self.axis.exponent
        of_edges = self._steps(self._edges)
        steps = np.arange(-NEAR - 1, NEAR + 2)
        self._bins = np.searchsorted(of_edges, steps, side="left")
        self._sure = np.ones(len(steps), dtype=bool)
        self._sure[[0, -1, *(of_edges.astype(np.int64) + NEAR + 1)]] = False

    def of(self, numbers: Floats) -> Codes:
        """Return how many edges are below each number; of a missing one, all of them."""
        steps = self._steps(numbers)
        steps += NEAR + 1
        places = steps.astype(np.int64)
        found = self._bins[places]
        asked = np.flatnonzero(~self._sure[places])
        found[asked] = np.searchsorted(self._edges, numbers[asked], side="left")
        return found

    def _steps(self, numbers: Floats) -> Floats:
        """Return steps from the centre, those far out and missing ones as one step too far."""
        with np.errstate(over="ignore", invalid="ignore"):
            steps = numbers - self.axis.centre
            steps *= self._scale
        np.rint(steps, out=steps)
        np.fmin(steps, NEAR + 1.0, out=steps)
        return np.fmax(steps, -NEAR - 1.0, out=steps)
