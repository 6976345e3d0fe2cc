"""Where a fitted score is cut and how it is scaled, both learnt from out-of-fold margins.

Margins out of fold are what the model gives people that it has not seen; margins of its own
training rows are too sure of themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin

from pipelines.errors import BadRequest
from pipelines.model.score import MarginKind

Floats = NDArray[np.float64]
STEPS = 50
CLOSE = 1e-10


def threshold(margins: Floats, approval_rate: float) -> float:
    """Return the margin at or above which the best `approval_rate` of the rows lie.

    It is one row's own margin (no interpolation), so equal rows are treated equally: with ties at
    the cut, all of them are on the favourable side. A rate that selects nobody is refused.
    """
    chosen = round(approval_rate * len(margins))
    if chosen < 1:
        raise BadRequest(
            "the approval rate gives nobody the favourable outcome",
            where="params.yaml: candidates",
            observed=approval_rate,
            expected="a share that is at least one training row",
        )
    return float(np.sort(margins)[len(margins) - chosen])


def logistic_line(margins: Floats, target: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Fit P(target = 1) = expit(a + b * margin) by Newton's method.

    Returns (a, b) and their 2 by 2 covariance (the inverse Fisher information); all NaN where the
    fit does not exist: one class only, or margins that separate the classes. Platt 1999 and, read
    as intercept and slope of calibration, Cox 1958.
    """
    line, nothing = np.array([0.0, 1.0]), (np.full(2, np.nan), np.full((2, 2), np.nan))
    if _separated(margins, target):
        return nothing
    design = np.column_stack([np.ones_like(margins), margins])
    for _ in range(STEPS):
        share = expit(design @ line)
        information = design.T @ (design * (share * (1.0 - share))[:, None])
        try:
            covariance = np.linalg.inv(information)
        except np.linalg.LinAlgError:
            return nothing
        step = covariance @ (design.T @ (target - share))
        line = line + step
        if np.abs(step).max() < CLOSE:
            return line, covariance
    return nothing


def _separated(margins: Floats, target: NDArray[np.int64]) -> bool:
    bad, good = margins[target == 0], margins[target == 1]
    if not (len(bad) and len(good)):
        return True
    return bool(bad.max() <= good.min() or good.max() <= bad.min())


def rescale(fitted: ClassifierMixin, kind: MarginKind, intercept: float, slope: float) -> None:
    """Turn a fitted estimator's margin m into ``intercept + slope * m``, in place.

    The result is still one plain estimator: the line is worked into its weights or its leaves. A
    positive slope keeps every order and so every decision.
    """
    if slope <= 0:
        raise BadRequest("a score cannot be rescaled by a slope that turns its order round")
    if kind == "linear":
        fitted.coef_ *= slope
        fitted.intercept_ = fitted.intercept_ * slope + intercept
        return
    fitted._baseline_prediction = fitted._baseline_prediction * slope + intercept  # noqa: SLF001
    for (tree,) in fitted._predictors:  # noqa: SLF001
        tree.nodes["value"] *= slope
