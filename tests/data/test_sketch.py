"""Sketches of columns: exact, mergeable in any cut and order, bounded whatever comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.data import sketch
from pipelines.data.sketch import Categories, CategoryAxis, NumberAxis, Numbers, Sketch
from pipelines.errors import BadRequest

AXIS = NumberAxis(edges=(-1.0, 0.0, 2.5, 10.0), centre=1.5, exponent=-9)
NAMES = CategoryAxis(known=("cook", "clerk", sketch.mark("rare")), complete=True)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
TEXTS = st.one_of(st.none(), st.sampled_from(["cook", "clerk", "rare", "", "ünseen"]), st.text())


def of_numbers(values: list[float], axis: NumberAxis = AXIS) -> Numbers:
    """Count numbers."""
    tally = sketch.NumberTally(axis)
    tally.add(np.array(values, dtype=np.float64))
    return tally.sketch()


def of_texts(values: Sequence[str | None], axis: CategoryAxis = NAMES) -> Categories:
    """Count texts."""
    tally = sketch.CategoryTally(axis)
    tally.add(pa.array(list(values), pa.string()))
    return tally.sketch()


def merged(parts: list[Sketch]) -> Sketch:
    """Merge sketches from left to right."""
    return reduce(sketch.merge, parts)


@given(st.lists(st.lists(NUMBERS), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_numbers_merge_to_the_sketch_of_all_rows(parts: list[list[float]], draw: object) -> None:
    """However numbers are cut and ordered, merging gives the very sketch of all of them."""
    whole = of_numbers([each for part in parts for each in part])
    draw.shuffle(parts)  # type: ignore[attr-defined]
    assert whole == merged([of_numbers(part) for part in parts])
    assert whole.canonical() == merged([of_numbers(part[::-1]) for part in parts]).canonical()


@given(st.lists(st.lists(TEXTS), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_texts_merge_to_the_sketch_of_all_rows(parts: list[list[str | None]], draw: object) -> None:
    """However texts are cut and ordered, merging gives the very sketch of all of them."""
    whole = of_texts([each for part in parts for each in part])
    draw.shuffle(parts)  # type: ignore[attr-defined]
    assert whole == merged([of_texts(part) for part in parts])


def test_more_new_values_than_are_kept_still_merge_exactly() -> None:
    """The digests kept of a thousand new values have whole counts, wherever the rows were cut."""
    rng = np.random.default_rng(1)
    values = [f"value {number}" for number in rng.zipf(1.3, 20_000) % 1000]
    whole = of_texts(list(values))
    parts = [of_texts(values[start : start + 777]) for start in range(0, len(values), 777)]
    assert whole == merged(list(parts[::-1]))
    assert sketch.MARKS == len(whole.marks)


def test_a_category_explosion_stays_bounded() -> None:
    """Of values that are all different 64 digests stay, and tell their number within 40 %."""
    found = of_texts([f"person {number}" for number in range(50_000)])
    assert 50_000 == found.new
    assert sketch.MARKS == len(found.marks)
    assert 50_000 == pytest.approx(sketch.different(found), rel=0.4)
    assert len(found.canonical()) < 3000


def test_no_text_of_a_new_value_is_kept() -> None:
    """A value that the reference did not know leaves a digest and a count."""
    assert b"p-marked" not in of_texts(["p-marked-1", "cook"]).canonical()


def test_moments_are_those_of_the_values() -> None:
    """Mean and deviation are numpy's to a millionth of a deviation; counts are numpy's."""
    values = np.random.default_rng(2).normal(1e6, 3.0, 200_001)
    axis = sketch.number_axis(values[::10])
    found = of_numbers(values.tolist(), axis)
    assert values.mean() == pytest.approx(sketch.mean(found, axis), abs=3e-6)
    assert values.std() == pytest.approx(sketch.deviation(found, axis), rel=1e-5)
    expected = np.bincount(np.searchsorted(axis.edges, values), minlength=len(axis.edges) + 1)
    gap = np.abs(np.cumsum(expected) - np.cumsum(found.counts)).max()
    assert gap < len(values) / 1000  # a value that is rounded onto an edge is up to it


def test_whole_numbers_and_few_values_are_binned_exactly() -> None:
    """Of a column with few different values each bin holds exactly the rows of one value."""
    values = np.random.default_rng(3).choice([0.0, 0.1, 1 / 3, 7.0], 5000)
    axis = sketch.number_axis(values)
    expected = [int((values == each).sum()) for each in (0.0, 0.1, 1 / 3, 7.0)]
    assert expected == list(of_numbers(values.tolist(), axis).counts)


def test_an_outlier_in_the_reference_does_not_coarsen_the_bins() -> None:
    """With a value of 1e9 in the sample the bulk still falls into two hundred bins."""
    values = np.append(np.random.default_rng(4).normal(size=10_000), 1e9)
    counts = of_numbers(values.tolist(), sketch.number_axis(values)).counts
    assert 40 < min(counts) < max(counts) < 70


def test_values_far_out_are_summed_exactly_too() -> None:
    """A value at 1e100 takes its part in the mean, and no precision from the other values."""
    found = of_numbers([1e100, 2.0, 3.0])
    assert 1e100 / 3 == pytest.approx(sketch.mean(found, AXIS))
    assert "512" == of_numbers([1e100, 2.5, -1e100]).total
    assert math.isfinite(sketch.deviation(of_numbers([1e308, -1e308]), AXIS))


def test_what_is_no_number_is_counted_apart() -> None:
    """NaN and null are missing, infinities are not finite; neither moves bins or moments."""
    found = of_numbers([math.nan, math.inf, -math.inf, 2.0])
    assert (4, 1, 2, 1) == (found.rows, found.missing, found.not_finite, found.count)
    assert (2.0, 2.0) == (found.minimum, found.maximum)
    nulls = sketch.NumberTally(AXIS)
    nulls.add(pa.array([None, 2], pa.int64()))
    assert 1 == nulls.sketch().missing


def test_a_constant_or_empty_column_has_an_axis() -> None:
    """A column that never varies has one bin; one without values has one bin and no moments."""
    constant = sketch.number_axis(np.full(100, 7.0))
    assert 7.0 == sketch.mean(of_numbers([7.0, 7.0], constant), constant)
    assert 0.0 == sketch.deviation(of_numbers([7.0, 7.0], constant), constant)
    empty = sketch.number_axis(np.array([math.nan]))
    assert math.isnan(sketch.mean(of_numbers([], empty), empty))
    assert (0,) == of_numbers([], empty).counts


def test_few_values_have_a_bin_each() -> None:
    """Up to twenty different numbers are told apart; more are cut at quantiles."""
    assert (0.0, 1.0) == sketch.number_axis(np.array([0.0, 1.0, 2.0, 2.0])).edges
    assert 199 == len(sketch.number_axis(np.random.default_rng(0).normal(size=10_000)).edges)


def test_a_rare_value_of_the_reference_is_known_without_its_text() -> None:
    """A value of fewer than five people stands in the axis as a digest, and is not new."""
    axis = sketch.category_axis({"cook": 10, "astronaut": 1}, complete=True)
    assert b"astronaut" not in axis.canonical()
    assert (1, 1) == of_texts(["cook", "astronaut"], axis).counts


@pytest.mark.parametrize(
    "other", [of_texts(["cook"]), of_numbers([1.0], NumberAxis(edges=(), centre=0.0, exponent=0))]
)
def test_sketches_of_different_columns_do_not_merge(other: Sketch) -> None:
    """Merging along another axis, or with another kind of column, is refused."""
    with pytest.raises(BadRequest):
        sketch.merge(of_numbers([1.0]), other)


def test_booleans_and_dictionaries_are_counted_by_their_texts() -> None:
    """True is counted as `true`, and a dictionary's unused values are not there."""
    axis = CategoryAxis(known=("true", "false"), complete=True)
    tally = sketch.CategoryTally(axis)
    tally.add(pa.array([True, None, False, True]))
    assert (2, 1) == tally.sketch().counts
    coded = pa.array(["b", "a", "b"]).dictionary_encode().slice(0, 1)
    assert [("b", 1)] == list(sketch.counted(coded))


def test_squares_of_more_rows_than_a_machine_word_holds_are_exact() -> None:
    """2^36 values at the farthest counted step have squares of 2^64, which are summed as such."""
    tally = sketch.NumberTally(sketch.on_grid([0.0], 0.0, 0))
    tally.add(np.array([float(sketch.NEAR)]))
    tally.rows <<= 36
    tally._steps <<= 36
    assert (str(1 << 50), str(1 << 64)) == (tally.sketch().total, tally.sketch().squares)
