"""Where a fitted score is cut and how it is scaled, both learnt from out-of-fold margins.

Margins out of fold are what the model gives people that it has not seen; margins of its own
training rows are too sure of themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
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


def logistic_line(
    margins: Floats, target: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> tuple[Floats, Floats]:
    """Fit P(target = 1) = expit(a + b * margin) by Newton's method.

    Returns (a, b) and their 2 by 2 covariance (the inverse Fisher information); all NaN where the
    fit does not exist: one class only, or margins that separate the classes. Platt 1999 and, read
    as intercept and slope of calibration, Cox 1958.
    """
    count = np.ones(len(margins)) if weights is None else weights
    design = np.column_stack([np.ones_like(margins), margins])
    line = np.array([0.0, 1.0])
    for _ in range(STEPS):
        share = 1.0 / (1.0 + np.exp(-np.clip(design @ line, -500.0, 500.0)))
        information = design.T @ (design * (count * share * (1.0 - share))[:, None])
        try:
            covariance = np.linalg.inv(information)
        except np.linalg.LinAlgError:
            break
        step = covariance @ (design.T @ (count * (target - share)))
        line = line + step
        if np.abs(step).max() < CLOSE:
            return line, covariance
    return np.full(2, np.nan), np.full((2, 2), np.nan)


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
