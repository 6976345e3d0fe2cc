"""Drift of columns: which differences alarm, which do not, and when nothing can be said."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from pipelines.data import sketch
from pipelines.data.sketch import Axis, Sketch
from pipelines.release.checks import _statistics
from pipelines.watch import drift
from pipelines.watch.findings import Finding
from pipelines.watch_params import WatchParams

LIMITS = WatchParams()
RNG = np.random.default_rng


def numbers(values: np.ndarray, axis: Axis) -> Sketch:
    """Count numbers along an axis."""
    tally = sketch.tally(axis)
    tally.add(np.asarray(values, dtype=np.float64))
    return tally.sketch()


def texts(values: list[str | None], axis: Axis) -> Sketch:
    """Count texts along an axis."""
    tally = sketch.tally(axis)
    tally.add(pa.array(values, pa.string()))
    return tally.sketch()


def compared(now: Sketch, then: Sketch, axis: Axis) -> dict[str, Finding]:
    """Compare one column; return its findings by measure."""
    found = drift.of_columns({"x": now}, {"x": then}, {"x": axis}, LIMITS)
    return {each.measure: each for each in found}


def of_numbers(now: np.ndarray, then: np.ndarray) -> dict[str, Finding]:
    """Compare a numeric column."""
    axis = sketch.number_axis(np.asarray(then, dtype=np.float64))
    return compared(numbers(now, axis), numbers(then, axis), axis)


def of_texts(now: list[str | None], then: list[str | None]) -> dict[str, Finding]:
    """Compare a text column."""
    counts: dict[str, int] = {}
    for each in then:
        if each:
            counts[each] = counts.get(each, 0) + 1
    axis = sketch.category_axis(counts, complete=True)
    return compared(texts(now, axis), texts(then, axis), axis)


@pytest.mark.parametrize("draw", ["normal", "lognormal", "uniform"])
def test_the_distance_is_the_exact_one_to_three_digits(draw: str) -> None:
    """Two hundred bins give scipy's Wasserstein distance over the standard deviation."""
    then, now = (getattr(RNG(seed), draw)(size=20_000) for seed in (1, 2))
    now = now * 1.1 + 0.2
    exact = stats.wasserstein_distance(now, then) / then.std()
    assert exact == pytest.approx(of_numbers(now, then)["wasserstein"].value or 0.0, rel=0.02)


def test_jensen_shannon_is_to_base_2() -> None:
    """Two distributions without a common value are at distance 1, which natural logs never give."""
    assert 1.0 == pytest.approx(drift.jensen_shannon([5, 0], [0, 7]))


def test_a_shift_alarms_and_a_like_sample_does_not() -> None:
    """Half a standard deviation alarms by every measure of a number; another draw by none."""
    then = RNG(1).normal(size=5000)
    shifted = of_numbers(RNG(2).normal(0.5, 1.0, 5000), then)
    assert {"alarm"} == {shifted[m].status for m in ("wasserstein", "psi")}
    alike = of_numbers(RNG(3).normal(size=5000), then)
    assert {"ok"} == {each.status for each in alike.values()}


def test_a_significant_difference_below_the_threshold_does_not_alarm() -> None:
    """A shift of 0.03 deviations in 200,000 rows is certain, and too small to matter."""
    found = of_numbers(RNG(1).normal(0.03, 1.0, 200_000), RNG(2).normal(size=200_000))
    assert (found["wasserstein"].p or 0.0) < 1e-6
    assert "ok" == found["wasserstein"].status


def test_chance_above_the_threshold_is_not_enough_data() -> None:
    """With 150 rows chance alone gives more than a tenth: there is no telling, and it says so."""
    found = of_numbers(RNG(1).normal(size=150), RNG(2).normal(size=5000))["wasserstein"]
    assert "not-enough-data" == found.status
    assert (found.floor or 0.0) > (found.bound or 0.0)


def test_one_outlier_hides_nothing() -> None:
    """A shift of one deviation is seen beside a value of 1e6 in either sample."""
    then = np.append(RNG(1).normal(size=5000), 1e6)
    now = np.append(RNG(2).normal(1.0, 1.0, 5000), -1e6)
    assert "alarm" == of_numbers(now, then)["psi"].status


def test_a_column_of_tiny_numbers_is_seen() -> None:
    """Eight deviations of a column with a deviation of 1e-5 are eight, and no 0.08."""
    then = RNG(1).normal(0.0, 1e-5, 5000)
    found = of_numbers(then + 8e-5, then)
    assert 8.0 == pytest.approx(found["wasserstein"].value or 0.0, rel=0.05)
    assert {"alarm"} == {found[m].status for m in ("wasserstein", "psi", "mean")}


def test_missing_values_alarm_by_themselves() -> None:
    """From none to a third missing alarms, though the values that are there are alike."""
    then = RNG(1).normal(size=3000)
    now = RNG(2).normal(size=3000)
    now[:1000] = np.nan
    found = of_numbers(now, then)
    assert ("alarm", "ok") == (found["null_rate"].status, found["wasserstein"].status)


def test_a_column_with_nothing_but_missing_values_is_not_enough_data() -> None:
    """Without a value there is no distance; that all are missing alarms."""
    found = of_numbers(np.full(3000, np.nan), RNG(1).normal(size=3000))
    assert ("alarm", "not-enough-data") == (
        found["null_rate"].status,
        found["wasserstein"].status,
    )


def test_a_constant_that_moves_alarms_and_one_that_stays_does_not() -> None:
    """A column that never varied has no distance: another value is an alarm, the same is fine."""
    assert "alarm" == of_numbers(np.full(500, 8.0), np.full(500, 7.0))["wasserstein"].status
    assert "ok" == of_numbers(np.full(500, 7.0), np.full(500, 7.0))["wasserstein"].status


def test_the_mean_alarms_beyond_its_deviations() -> None:
    """The plain rule: a mean 1.2 deviations away is outside, one 0.8 away is inside."""
    then = RNG(1).normal(size=5000)
    assert "alarm" == of_numbers(then + 1.2, then)["mean"].status
    assert "ok" == of_numbers(then + 0.8, then)["mean"].status


def test_categories_alarm_on_other_shares() -> None:
    """Shares that moved by twenty points alarm; another draw from the same shares does not."""
    then = list(RNG(1).choice(["a", "b", "c"], 4000, p=[0.5, 0.3, 0.2]))
    moved = of_texts(list(RNG(2).choice(["a", "b", "c"], 4000, p=[0.3, 0.3, 0.4])), then)
    assert "alarm" == moved["jensen_shannon"].status
    alike = of_texts(list(RNG(3).choice(["a", "b", "c"], 4000, p=[0.5, 0.3, 0.2])), then)
    assert {"ok"} == {each.status for each in alike.values()}


def test_a_new_value_alarms_by_its_share() -> None:
    """One new value in 4,000 rows is no alarm; in a twentieth of them it is."""
    then: list[str | None] = ["a", "b"] * 2000
    assert "ok" == of_texts([*then[:-1], "new"], then)["new_values"].status
    assert "alarm" == of_texts([*then[:-200], *["new"] * 200], then)["new_values"].status


def test_a_column_that_is_gone_is_an_error() -> None:
    """A column that no decision has any more is named, and is never "no drift"."""
    axis = sketch.number_axis(RNG(1).normal(size=100))
    found = compared(numbers(np.empty(0), axis), numbers(RNG(1).normal(size=100), axis), axis)
    assert ["error"] == [each.status for each in found.values()]


def test_one_row_alarms_nothing() -> None:
    """A window of one row is not enough data for any question, however odd the row."""
    found = of_numbers(np.array([1e9]), RNG(1).normal(size=5000))
    assert {"not-enough-data"} == {each.status for each in found.values()}
    assert {"not-enough-data"} == {
        each.status for each in of_texts(["new"], ["a", "b"] * 1000).values()
    }


def test_windows_without_drift_alarm_no_more_often_than_is_stated() -> None:
    """Of 200 windows drawn from the reference at most one in twenty has any alarm at all."""
    rng, alarmed = RNG(7), 0
    then = {"x": rng.normal(size=3000), "y": rng.pareto(1.5, 3000), "z": rng.integers(0, 2, 3000)}
    axes = {name: sketch.number_axis(np.asarray(each, float)) for name, each in then.items()}
    reference = {name: numbers(each, axes[name]) for name, each in then.items()}
    for _ in range(200):
        rows = rng.integers(0, 3000, 800)
        now = {name: numbers(each[rows], axes[name]) for name, each in then.items()}
        found = drift.of_columns(now, reference, axes, LIMITS)
        alarmed += any(each.status == "alarm" for each in found)
    assert alarmed <= 10


def test_the_floor_holds_for_numbers_categories_and_shares() -> None:
    """What chance alone gives stays below the stated floor in at least 93 of 100 draws."""
    rng, below = RNG(8), {"wasserstein": 0, "psi": 0, "jensen_shannon": 0}
    then = rng.normal(size=2000)
    words = list(rng.choice(list("abcde"), 2000))
    for _ in range(100):
        found = of_numbers(rng.normal(size=500), then)
        found |= {
            "jensen_shannon": of_texts(list(rng.choice(list("abcde"), 500)), words)[
                "jensen_shannon"
            ]
        }
        for name in below:
            each = found[name]
            below[name] += (each.value or 0.0) <= (each.floor or math.nan)
    assert min(below.values()) >= 93


@pytest.mark.parametrize(
    ("first", "second"),
    [([5, 9], [7, 2]), ([5, 9, 0], [7, 2, 30]), ([0, 4], [0, 9]), ([0, 0], [3, 4]), ([3], [4])],
)
def test_the_chi_square_p_is_the_gates_own(first: list[int], second: list[int]) -> None:
    """The quick form gives what the gate's check gives, with few values and with more."""
    assert _statistics.chi_square_p(first, second) == pytest.approx(
        drift.chi_square_p(first, second)
    )
