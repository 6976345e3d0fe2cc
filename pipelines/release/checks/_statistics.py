"""Statistics that more than one check uses: pure functions over arrays."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
NEVER: Final = 750.0  # exp(-750) is no double
TIED: Final = 1.0 + 1e-10  # as likely, but for rounding


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's step-down adjusted p-values (Holm 1979), in the order given.

    Undefined p-values stay undefined and are no part of the family.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return Benjamini and Hochberg's adjusted p-values (1995); undefined ones stay undefined."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known], method="bh")
    return adjusted


def fisher(selected: int, size: int, other_selected: int, other_size: int) -> float:
    """Return the two-sided p-value of Fisher's exact test that two selection rates are equal.

    The sum of the probabilities of all tables with these margins that are no likelier than this
    one. Probabilities are taken from each other, outwards from the likeliest table; by Bernstein's
    inequality those that are left out are below the least double.
    """
    chosen, total = selected + other_selected, size + other_size
    low, high = max(0, size + chosen - total), min(size, chosen)
    if low == high:
        return 1.0
    mode = (size + 1) * (chosen + 1) // (total + 2)
    variance = high * max(size, chosen) / total * (1.0 - max(size, chosen) / total)
    reach = 1 + math.ceil(NEVER / 3.0 + math.sqrt((NEVER / 3.0) ** 2 + 2.0 * NEVER * variance))
    low, high = max(low, mode - reach), min(high, mode + reach)
    if not low <= selected <= high:
        return 0.0
    at = np.arange(low, high, dtype=np.float64)
    ratios = (chosen - at) * (size - at) / ((at + 1.0) * (total - chosen - size + at + 1.0))
    below, above = 1.0 / ratios[: mode - low], ratios[mode - low :]
    odds = np.concatenate([np.cumprod(below[::-1])[::-1], [1.0], np.cumprod(above)])
    rare = odds <= odds[selected - low] * TIED
    return float(odds[rare].sum() / odds.sum())


def chi_square_p(first: ArrayLike, second: ArrayLike) -> float:
    """Return the p-value of the two-sample chi-square test that two count vectors agree.

    Both samples are treated as samples. Categories that neither has are left out; fewer than two
    categories have nothing to differ in: 1.0.
    """
    counts = np.vstack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2 or (counts.sum(axis=1) == 0).any():  # noqa: PLR2004
        return 1.0
    return float(stats.chi2_contingency(counts).pvalue)


def roc_auc(target: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the ROC curve, ties counted half; NaN when one class is missing."""
    positive, negative = _classes(target, score)
    if not len(positive) or not len(negative):
        return float("nan")
    ranks = stats.rankdata(np.concatenate([positive, negative]))[: len(positive)]
    best = len(positive) * len(negative)
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / best)


def delong(target: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return the AUCs of k scores of the same rows, shape (k,), and their covariance, (k, k).

    `target` is 0 or 1, shape (n,); `scores` has the shape (k, n). DeLong, DeLong and
    Clarke-Pearson 1988, with the mid-rank computation of Sun and Xu 2014. NaN when a class has
    fewer than two rows.
    """
    rows = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    parts = [_classes(target, row) for row in rows]
    positives, negatives = len(parts[0][0]), len(parts[0][1])
    if min(positives, negatives) < 2:  # noqa: PLR2004
        return np.full(len(rows), np.nan), np.full((len(rows), len(rows)), np.nan)
    of_positive = np.empty((len(rows), positives))
    of_negative = np.empty((len(rows), negatives))
    for number, (positive, negative) in enumerate(parts):
        ranks = stats.rankdata(np.concatenate([positive, negative]))
        of_positive[number] = (ranks[:positives] - stats.rankdata(positive)) / negatives
        of_negative[number] = 1.0 - (ranks[positives:] - stats.rankdata(negative)) / positives
    covariance = np.cov(of_positive) / positives + np.cov(of_negative) / negatives
    return of_positive.mean(axis=1), np.atleast_2d(covariance)


def normal_interval(point: float, variance: float, confidence: float) -> tuple[float, float]:
    """Return the normal-theory interval around an estimate with a known variance."""
    half = float(stats.norm.ppf(0.5 + confidence / 2.0) * np.sqrt(max(variance, 0.0)))
    return point - half, point + half


def _classes(target: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    positive = np.asarray(target) == 1
    values = np.asarray(score, dtype=np.float64)
    return values[positive], values[~positive]
