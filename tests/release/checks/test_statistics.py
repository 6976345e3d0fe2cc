"""Statistics of the checks, against independent implementations."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import roc_auc_score

from pipelines.release.checks import _statistics as statistics
from pipelines.release.checks._case import within

PROBABILITIES = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0.0, 1.0))


def scored(rows: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets and two scores of the same rows, with ties."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, rows)
    first = np.round(target + rng.normal(0.0, noise, rows), 1)
    second = np.round(target + rng.normal(0.0, 1.5 * noise, rows), 1)
    return target, first, second


@given(PROBABILITIES)
def test_holm_is_between_the_p_values_and_bonferroni(p: np.ndarray) -> None:
    """Holm's adjusted p-values keep the order, and lie between the raw ones and Bonferroni's."""
    adjusted = statistics.holm(p)
    assert (p <= adjusted).all()
    assert (adjusted <= np.minimum(p * len(p), 1.0) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0.0).all()


def test_holm_by_hand() -> None:
    """Holm's example worked by hand: 3 x .01, 2 x .02, then never less than before."""
    assert [0.03, 0.04, 0.04] == pytest.approx(statistics.holm([0.01, 0.02, 0.03]).tolist())


def test_undefined_p_values_are_no_part_of_the_family() -> None:
    """A comparison that could not be made stays undefined and costs the others nothing."""
    found = statistics.holm([0.01, float("nan")])
    assert 0.01 == found[0]
    assert np.isnan(found[1])
    assert np.isnan(statistics.benjamini_hochberg([0.2, float("nan")])[1])


@pytest.mark.parametrize("seed", range(5))
def test_the_auc_is_scikit_learns(seed: int) -> None:
    """ROC AUC with ties is scikit-learn's, by ranks and by DeLong's placement values."""
    target, first, _ = scored(300, seed)
    expected = roc_auc_score(target, first)
    assert expected == pytest.approx(statistics.roc_auc(target, first))
    assert expected == pytest.approx(statistics.delong(target, first)[0][0])


def test_the_paired_interval_is_the_bootstraps() -> None:
    """DeLong's standard error of a paired difference is that of a bootstrap over rows."""
    target, first, second = scored(600, 3)
    _, covariance = statistics.delong(target, np.vstack([first, second]))
    expected = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1])
    rng, drawn = np.random.default_rng(5), []
    for _ in range(1500):
        rows = rng.integers(0, len(target), len(target))
        aucs = [statistics.roc_auc(target[rows], each[rows]) for each in (first, second)]
        drawn.append(aucs[0] - aucs[1])
    assert np.std(drawn) == pytest.approx(expected, rel=0.1)


def test_one_class_has_no_auc() -> None:
    """Without both classes the area is undefined, never 0 or 1."""
    assert np.isnan(statistics.roc_auc([1, 1], [0.1, 0.2]))
    assert np.isnan(statistics.delong([1, 1, 0], [0.1, 0.2, 0.3])[0][0])


@pytest.mark.parametrize("kinds", [5, 10, 20])
def test_the_two_sample_test_keeps_its_level(kinds: int) -> None:
    """Under no drift about 5 % of two-sample tests are below .05, at any number of categories.

    A goodness-of-fit test that takes the reference as the truth gives 33 to 76 % here.
    """
    rng = np.random.default_rng(kinds)
    draws = rng.multinomial(500, np.full(kinds, 1.0 / kinds), (400, 2))
    false = np.mean([statistics.chi_square_p(one, two) < 0.05 for one, two in draws])
    naive = np.mean([stats.chisquare(one, two).pvalue < 0.05 for one, two in draws if two.all()])
    assert 0.01 <= false <= 0.09
    assert naive > 0.2


def test_counts_that_cannot_differ_agree() -> None:
    """One category, or an empty sample, has nothing to differ in."""
    assert 1.0 == statistics.chi_square_p([5], [9])
    assert 1.0 == statistics.chi_square_p([5, 0], [9, 0])
    assert 1.0 == statistics.chi_square_p([0, 0], [9, 1])


@pytest.mark.parametrize(
    ("point", "interval", "expected"),
    [
        (0.9, (0.85, 0.95), "pass"),
        (0.9, (0.75, 0.95), "not-enough-data"),
        (0.79, (0.7, 0.95), "fail"),
        (float("nan"), (float("nan"), float("nan")), "fail"),
        (0.9, (float("nan"), float("nan")), "not-enough-data"),
    ],
)
def test_an_estimate_is_judged_with_its_interval(
    point: float, interval: tuple[float, float], expected: str
) -> None:
    """Outside or undefined fails, wholly inside passes, and between the two nothing can be said."""
    assert expected == within(point, interval, low=0.8)


def test_fishers_p_is_the_exact_share_of_tables() -> None:
    """In whole numbers: the tables with these margins that are no likelier, as a share of all."""
    rng = np.random.default_rng(4)
    for _ in range(300):
        size, other = rng.integers(0, rng.choice([4, 60, 700]), 2).tolist()
        other = size if rng.random() < 0.3 else other
        one, two = int(rng.integers(0, size + 1)), int(rng.integers(0, other + 1))
        chosen, low = one + two, max(0, one + two - other)
        tables = [
            math.comb(size, first) * math.comb(other, chosen - first)
            for first in range(low, min(size, chosen) + 1)
        ]
        rare = sum(each for each in tables if each <= tables[one - low])
        expected = float(Fraction(rare, sum(tables)))
        assert expected == pytest.approx(statistics.fisher(one, size, two, other), rel=1e-12)


@pytest.mark.parametrize(
    "table",
    [
        (1203, 2000, 1100, 2000),
        (0, 40, 90, 90),
        (7, 30, 91_000, 900_000),
        (300_000, 500_000, 180_500, 300_000),
        (600_500, 1_000_000, 600_000, 1_000_000),
        (10, 1_000_000, 900_000, 1_000_000),
    ],
)
def test_fishers_p_is_that_of_forty_digits_and_scipys(table: tuple[int, int, int, int]) -> None:
    """To 1e-12 in decimals, at any size; SciPy's own figure is 1e-9 away where people are many."""
    one, size, two, other = table
    chosen, low = one + two, max(0, one + two - other)
    with localcontext(prec=40):
        odds = [Decimal(1)]
        for x in range(low, min(size, chosen)):
            odds.append(odds[-1] * (chosen - x) * (size - x) / ((x + 1) * (other - chosen + x + 1)))
        rare = odds[one - low] * (1 + Decimal("1e-30"))
        expected = float(sum(each for each in odds if each <= rare) / sum(odds))
    found = statistics.fisher(*table)
    assert expected == pytest.approx(found, rel=1e-12, abs=1e-300)
    with_scipy = stats.fisher_exact([[one, size - one], [two, other - two]]).pvalue
    tolerance = 1e-12 if size + other < 10_000 else 1e-9
    assert with_scipy == pytest.approx(found, rel=tolerance, abs=1e-300)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_fishers_p_is_scipys(one: int, not_one: int, two: int, not_two: int) -> None:
    """Of any small table, ties and empty margins among them, to 1e-12."""
    expected = stats.fisher_exact([[one, not_one], [two, not_two]]).pvalue
    found = statistics.fisher(one, one + not_one, two, two + not_two)
    assert expected == pytest.approx(found, abs=1e-12)
