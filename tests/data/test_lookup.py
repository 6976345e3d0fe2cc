"""A bin that is looked up is the bin that a search of the edges finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.data import sketch
from pipelines.data.lookup import BinLookup
from pipelines.data.sketch import NumberAxis

ANY = st.floats(allow_nan=True, allow_infinity=True)
NEAR = st.floats(-20.0, 20.0)


def searched(axis: NumberAxis, numbers: np.ndarray) -> list[int]:
    found: list[int] = np.searchsorted(np.array(axis.edges), numbers, side="left").tolist()
    return found


@given(
    hnp.arrays(np.float64, st.integers(0, 30), elements=NEAR),
    st.floats(-5.0, 5.0),
    st.integers(-14, 3),
    hnp.arrays(np.float64, st.integers(0, 40), elements=NEAR | ANY),
)
def test_a_looked_up_bin_is_the_searched_one(
    edges: np.ndarray, centre: float, exponent: int, numbers: np.ndarray
) -> None:
    """On, next to and far from the edges, of infinities and of missing numbers."""
    axis = sketch.on_grid(edges.tolist(), centre, exponent)
    at = np.array(axis.edges)
    asked = np.concatenate([numbers, at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)])
    assert searched(axis, asked) == BinLookup(axis).of(asked).tolist()


def test_most_numbers_need_no_search() -> None:
    """Along the axis of a sample few numbers are on the step of an edge, and none is misplaced."""
    numbers = np.random.default_rng(3).normal(3.0, 2.0, 20_000)
    axis = sketch.number_axis(numbers)
    lookup = BinLookup(axis)
    assert searched(axis, numbers) == lookup.of(numbers).tolist()
    assert len(axis.edges) >= (~lookup._sure).sum() - 2 > 100
