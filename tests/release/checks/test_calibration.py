"""Calibration: the error and the slope of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pipelines.release.checks import calibration


def outcomes(margin: np.ndarray, slope: float, seed: int = 1) -> np.ndarray:
    """Draw outcomes whose true log-odds are slope times the margin."""
    return (np.random.default_rng(seed).random(len(margin)) < expit(slope * margin)).astype(int)


MARGIN = np.random.default_rng(0).normal(0.5, 1.5, 4000)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_the_slope_is_the_logistic_fits(true: float) -> None:
    """The slope is that of scikit-learn's unpenalised logistic regression, near the true one."""
    target = outcomes(MARGIN, true)
    fit = LogisticRegression(C=np.inf).fit(MARGIN[:, None], target)
    found = calibration.slope(target, MARGIN)
    assert found == pytest.approx(float(fit.coef_[0, 0]), rel=1e-3)
    assert found == pytest.approx(true, rel=0.15)


def test_weights_count_rows() -> None:
    """A row of weight two is the row twice, for the slope and for the error."""
    target, weights = outcomes(MARGIN, 1.0), np.random.default_rng(2).integers(0, 3, len(MARGIN))
    rows = np.repeat(np.arange(len(MARGIN)), weights)
    expected = calibration.slope(target[rows], MARGIN[rows])
    assert expected == pytest.approx(calibration.slope(target, MARGIN, weights), rel=1e-6)
    probability = expit(MARGIN)
    code = calibration.equal_bins(probability, 10)
    once = calibration.expected_error(target[rows], probability[rows], code[rows], 10)
    assert once == pytest.approx(calibration.expected_error(target, probability, code, 10, weights))


def test_one_class_has_no_slope() -> None:
    """Where the fit does not exist the slope is undefined, never 1."""
    assert np.isnan(calibration.slope(np.ones(50, dtype=int), MARGIN[:50]))
    separated = (MARGIN[:200] > 0).astype(int)
    assert np.isnan(calibration.slope(separated, MARGIN[:200]))


def test_bins_are_of_equal_size() -> None:
    """Ten bins of 4,000 different probabilities hold 400 each; equal ones share a bin."""
    code = calibration.equal_bins(expit(MARGIN), 10)
    assert [400] * 10 == np.bincount(code).tolist()
    assert 1 == len(set(calibration.equal_bins(np.full(50, 0.5), 10).tolist()))


def test_the_error_by_hand() -> None:
    """Two bins of two: gaps .1 and .4, each half of the rows."""
    target, probability = np.array([0, 0, 1, 0]), np.array([0.05, 0.15, 0.9, 0.9])
    found = calibration.expected_error(target, probability, np.array([0, 0, 1, 1]), 2)
    assert 0.25 == pytest.approx(found)
