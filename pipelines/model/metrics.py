"""Discrimination and calibration of a score, each with a bootstrap interval.

Rows are put into cells, by margin and target; every draw of the bootstrap is a multinomial over
the cells, so that its cost does not grow with the rows. Up to MAX_CELLS distinct margins a cell is
one margin and this is exactly the bootstrap of rows; above, cells are equal-sized ranges of
margins. Estimates themselves are always taken from the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from pipelines.model.group_metrics import interval
from pipelines.model.operating_point import logistic_line
from pipelines.model.score import probabilities

MAX_CELLS = 1000
CALIBRATION_BINS = 10
Floats = NDArray[np.float64]
Targets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its interval; NaN where undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Counts and mean losses of rows by cell, in rising order of margin; arrays of (cells, 2).

    The last axis is the target, 0 or 1. `bins` is each cell's calibration bin.
    """

    counts: Floats
    probability: Floats
    log_loss: Floats
    brier: Floats
    bins: NDArray[np.int64]


def describe(
    margin: Floats, target: Targets, samples: int, confidence: float, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return all measures of the rows; undefined ones (one target only) are NaN."""
    cells = cut(margin, target)
    points = of_rows(margin, target)
    drawn = of_cells(cells, draws(cells, samples, rng))
    found = {}
    for name, value in points.items():
        low, high = interval(drawn[name], confidence)
        found[name] = Estimate(value, float(low), float(high))
    return found | calibration_line(margin, target, confidence)


def cut(margin: Floats, target: Targets) -> Cells:
    """Put rows into cells by margin and target."""
    values, code = np.unique(margin, return_inverse=True)
    if len(values) > MAX_CELLS:
        edges = np.unique(np.quantile(margin, np.linspace(0.0, 1.0, MAX_CELLS + 1)[1:-1]))
        code = np.searchsorted(edges, margin, side="right")
    flat, width = code * 2 + target, 2 * (int(code.max()) + 1)
    counts = np.bincount(flat, minlength=width).astype(np.float64)
    share = probabilities(margin)

    def mean(values: Floats) -> Floats:
        total = np.bincount(flat, weights=values, minlength=width)
        return np.divide(total, counts, out=np.zeros(width), where=counts > 0).reshape(-1, 2)

    table = counts.reshape(-1, 2)
    return Cells(
        table, mean(share), mean(losses(margin, target)), mean((share - target) ** 2), _bins(table)
    )


def losses(margin: Floats, target: Targets) -> Floats:
    """Return each row's log loss, from the margin itself so that certainty does not overflow."""
    return np.logaddexp(0.0, np.where(target == 1, -margin, margin))


def _bins(counts: Floats) -> NDArray[np.int64]:
    """Return each cell's calibration bin: CALIBRATION_BINS bins of about equal size."""
    people = counts.sum(axis=1)
    middle = (np.cumsum(people) - people / 2.0) / people.sum()
    bins = np.minimum(np.floor(middle * CALIBRATION_BINS), CALIBRATION_BINS - 1)
    return np.asarray(bins, dtype=np.int64)


def draws(cells: Cells, samples: int, rng: np.random.Generator) -> Floats:
    """Return bootstrap counts, shape (samples, cells, 2)."""
    flat = cells.counts.reshape(-1)
    total = int(flat.sum())
    drawn = rng.multinomial(total, flat / total, samples)
    return drawn.reshape(samples, -1, 2).astype(np.float64)


def of_rows(margin: Floats, target: Targets) -> dict[str, float]:
    """Return the estimates from the rows."""
    both = 0 < target.sum() < len(target)
    share = probabilities(margin)
    cells = cut(margin, target)
    return {
        "roc_auc": float(roc_auc_score(target, margin)) if both else float("nan"),
        "pr_auc": float(average_precision_score(target, margin)) if both else float("nan"),
        "log_loss": float(losses(margin, target).mean()),
        "brier": float(((share - target) ** 2).mean()),
        "calibration_error": float(_calibration_error(cells, cells.counts[None])[0]),
    }


def of_cells(cells: Cells, drawn: Floats) -> dict[str, Floats]:
    """Return the same measures of drawn counts, each of shape (samples,)."""
    people = drawn.sum(axis=(1, 2))
    return {
        "roc_auc": _roc_auc(drawn),
        "pr_auc": _pr_auc(drawn),
        "log_loss": (drawn * cells.log_loss).sum(axis=(1, 2)) / people,
        "brier": (drawn * cells.brier).sum(axis=(1, 2)) / people,
        "calibration_error": _calibration_error(cells, drawn),
    }


def _roc_auc(drawn: Floats) -> Floats:
    """P(margin of a favourable target > of an unfavourable one), ties half (Mann-Whitney)."""
    negative, positive = drawn[..., 0], drawn[..., 1]
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + negative / 2.0)).sum(axis=1)
    return _over(wins, positive.sum(axis=1) * negative.sum(axis=1))


def _pr_auc(drawn: Floats) -> Floats:
    """Average precision: precision at each cell from the top, weighted by the recall it adds."""
    down = drawn[:, ::-1]
    found = np.cumsum(down[..., 1], axis=1)
    precision = _over(found, np.cumsum(down.sum(axis=2), axis=1))
    gained = (np.nan_to_num(precision) * down[..., 1]).sum(axis=1)
    total = found[:, -1]
    return np.where(total < drawn.sum(axis=(1, 2)), _over(gained, total), np.nan)


def _calibration_error(cells: Cells, drawn: Floats) -> Floats:
    """Mean over bins of |mean probability - observed share|, by size (ECE; Naeini et al. 2015)."""
    people = drawn.sum(axis=2)
    gap = (drawn * cells.probability).sum(axis=2) - drawn[..., 1]
    by_bin = np.stack(
        [gap[:, cells.bins == number].sum(axis=1) for number in range(CALIBRATION_BINS)]
    )
    return np.asarray(np.abs(by_bin).sum(axis=0) / people.sum(axis=1), dtype=np.float64)


def calibration_line(margin: Floats, target: Targets, confidence: float) -> dict[str, Estimate]:
    """Return intercept and slope of a logistic fit of the target on the margin (Cox 1958).

    0 and 1 are calibrated; the intervals are Wald's.
    """
    line, covariance = logistic_line(margin, target)
    reach = float(norm.ppf(0.5 + confidence / 2.0)) * np.sqrt(np.diag(covariance))
    return {
        name: Estimate(float(line[at]), float(line[at] - reach[at]), float(line[at] + reach[at]))
        for at, name in enumerate(("calibration_intercept", "calibration_slope"))
    }


def calibration_curve(margin: Floats, target: Targets) -> list[dict[str, float]]:
    """Return, per calibration bin with people: mean probability, observed share and people."""
    cells = cut(margin, target)
    curve = []
    for number in range(CALIBRATION_BINS):
        counts = cells.counts[cells.bins == number]
        if people := counts.sum():
            predicted = (counts * cells.probability[cells.bins == number]).sum() / people
            observed = counts[:, 1].sum() / people
            curve.append(
                {"predicted": float(predicted), "observed": float(observed), "n": float(people)}
            )
    return curve


def _over(part: Floats, whole: Floats) -> Floats:
    undefined = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=undefined, where=whole > 0)
    return undefined


def finite(value: float) -> float | None:
    """Return a number that JSON can hold; what is undefined becomes None."""
    return float(value) if np.isfinite(value) else None
