"""Calibration: does a probability of 80 % mean that 80 of 100 had the favourable outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.release.checks._case import Case, Finding, Line, Table, finite, within
from pipelines.release.checks._statistics import Floats
from pipelines.release.policy import Thresholds as Base

STEPS = 30
CLOSE = 1e-9
EXTREME = 30.0
MOST_SAMPLES = 1000
Weights = NDArray[np.float64] | NDArray[np.int64]


class Thresholds(Base, frozen=True):
    """`max_error`: bound on the expected calibration error over `bins` equal-sized bins.

    `min_slope` and `max_slope` bound the slope of a logistic fit of the outcome on the margin
    (Cox 1958): 1 is calibrated, under 1 too sure, over 1 not sure enough.
    """

    max_error: float
    bins: int
    min_slope: float
    max_slope: float


def expected_error(
    target: NDArray[np.int64],
    probability: Floats,
    code: NDArray[np.int64],
    bins: int,
    weights: Weights | None = None,
) -> float:
    """Return the bins' mean gap between mean probability and observed share, by size (ECE).

    Naeini, Cooper and Hauskrecht 2015. `code` is each row's bin, 0 to bins-1; `weights`
    count each row.
    """
    w = np.ones(len(target)) if weights is None else weights
    gap = np.bincount(code, weights=w * (probability - target), minlength=bins)
    return float(np.abs(gap).sum() / w.sum())


def equal_bins(probability: Floats, bins: int) -> NDArray[np.int64]:
    """Return each row's bin, equal probabilities in one bin and bins otherwise of equal size."""
    edges = np.unique(np.quantile(probability, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    return np.searchsorted(edges, probability, side="right").astype(np.int64)


def slope(target: NDArray[np.int64], margin: Floats, weights: Weights | None = None) -> float:
    """Return the slope of a logistic regression of `target` on `margin`, by Newton's method.

    `weights` count each row. NaN where the fit does not exist (one class, or separated).
    """
    x = np.column_stack([np.ones_like(margin), margin])
    w = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
    beta = np.array([0.0, 1.0])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -EXTREME, EXTREME)))
        information = (x * (w * p * (1.0 - p))[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (w * (target - p)))
        except np.linalg.LinAlgError:
            return float("nan")
        beta = beta + step
        if np.abs(step).max() < CLOSE:
            return float(beta[1])
    return float("nan")


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge the candidate's probabilities on the test part."""
    scores, settings = case.scores, case.params.evaluate
    target = scores["target"].to_numpy(np.int64)
    margin = scores["margin"].to_numpy(np.float64)
    probability = scores["probability"].to_numpy(np.float64)
    code = equal_bins(probability, limits.bins)
    samples = min(settings.bootstrap_samples, MOST_SAMPLES)
    drawn = _resampled(target, margin, code, probability, limits.bins, samples, case.rng())
    point = (expected_error(target, probability, code, limits.bins), slope(target, margin))
    tail = (1.0 - settings.confidence) / 2.0
    low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
    return Finding(
        _lines(point, low, high, limits, settings.confidence),
        {
            "expected_calibration_error": finite(point[0]),
            "expected_calibration_error_interval": [finite(low[0]), finite(high[0])],
            "slope": finite(point[1]),
            "slope_interval": [finite(low[1]), finite(high[1])],
            "n": len(target),
        },
        (_curve(target, probability, code),),
    )


def _resampled(
    target: NDArray[np.int64],
    margin: Floats,
    code: NDArray[np.int64],
    probability: Floats,
    bins: int,
    samples: int,
    rng: np.random.Generator,
) -> Floats:
    """Return bootstrap draws of (error, slope), shape (samples, 2); a row drawn twice counts 2."""
    rows = len(target)
    drawn = np.empty((samples, 2))
    for number in range(samples):
        times = np.bincount(rng.integers(0, rows, rows), minlength=rows)
        drawn[number] = (
            expected_error(target, probability, code, bins, times),
            slope(target, margin, times),
        )
    return drawn


def _lines(
    point: tuple[float, float],
    low: Floats,
    high: Floats,
    limits: Thresholds,
    confidence: float,
) -> tuple[Line, Line]:
    error = Line(
        name="expected calibration error",
        outcome=within(point[0], (low[0], high[0]), high=limits.max_error),
        observed=f"expected calibration error {point[0]:.3f} "
        f"({confidence * 100:.0f} % CI {low[0]:.3f} to {high[0]:.3f})",
        expected=f"at most {limits.max_error:.3f} with the whole interval",
        value=finite(point[0]),
    )
    inclined = Line(
        name="calibration slope",
        outcome=within(point[1], (low[1], high[1]), limits.min_slope, limits.max_slope),
        observed=f"calibration slope {point[1]:.2f} "
        f"({confidence * 100:.0f} % CI {low[1]:.2f} to {high[1]:.2f})",
        expected=f"{limits.min_slope:.2f} to {limits.max_slope:.2f} with the whole interval",
        value=finite(point[1]),
    )
    return error, inclined


def _curve(target: NDArray[np.int64], probability: Floats, code: NDArray[np.int64]) -> Table:
    rows: list[tuple[float | int, ...]] = []
    for each in np.unique(code):
        inside = code == each
        predicted, observed = probability[inside].mean(), target[inside].mean()
        rows.append((round(float(predicted), 4), round(float(observed), 4), int(inside.sum())))
    return Table("Calibration by bin", ("predicted", "observed", "people"), tuple(rows))
