"""Performance: ROC AUC against an absolute floor, and against the champion on the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipelines.errors import DataRefused
from pipelines.layout import Model
from pipelines.records import Candidate, Json
from pipelines.release.checks._case import TEST, Bars, Case, Finding, Line, finite, within
from pipelines.release.checks._statistics import Floats, delong, normal_interval
from pipelines.release.policy import Thresholds as Base
from pipelines.typed import read_json


class Thresholds(Base, frozen=True):
    """`min_roc_auc`: the floor. `max_loss`: by how much ROC AUC may fall behind the champion's."""

    min_roc_auc: float
    max_loss: float


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge the candidate's margins on the test part."""
    target, margin = case.scores["target"].to_numpy(), case.scores["margin"].to_numpy()
    confidence = case.params.evaluate.confidence
    lines, evidence = floor(target, margin, limits.min_roc_auc, confidence)
    values = {"candidate": evidence["roc_auc"]}
    if case.champion.state == "version":
        former = champion_margins(case)
        beside, more = against(target, margin, former, limits.max_loss, confidence)
        lines, evidence = (*lines, *beside), evidence | more
        values["champion"] = evidence["champion_roc_auc"]
    picture = Bars(
        "ROC AUC on the test part",
        tuple(values),
        tuple(value if isinstance(value, float) else None for value in values.values()),
        bound=limits.min_roc_auc,
    )
    return Finding(lines, evidence, (picture,))


def floor(
    target: ArrayLike, margin: ArrayLike, least: float, confidence: float
) -> tuple[tuple[Line, ...], dict[str, Json]]:
    """Judge ROC AUC against the floor: the whole DeLong interval must lie above it to pass."""
    area, covariance = delong(target, np.asarray(margin))
    interval = normal_interval(float(area[0]), float(covariance[0, 0]), confidence)
    line = Line(
        name="ROC AUC",
        outcome=within(float(area[0]), interval, low=least),
        observed=f"ROC AUC {area[0]:.3f} ({_percent(confidence)} CI from {interval[0]:.3f}, "
        f"n={np.size(target)})",
        expected=f"at least {least:.3f} with the whole interval",
        value=finite(area[0]),
    )
    return (line,), {"roc_auc": finite(area[0]), "low": finite(interval[0]), "n": np.size(target)}


def against(
    target: ArrayLike, margin: ArrayLike, former: ArrayLike, max_loss: float, confidence: float
) -> tuple[tuple[Line, ...], dict[str, Json]]:
    """Judge the paired difference from the champion's ROC AUC on the same rows (DeLong)."""
    areas, covariance = delong(target, np.vstack([np.asarray(margin), np.asarray(former)]))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1])
    low, high = normal_interval(difference, variance, confidence)
    line = Line(
        name="ROC AUC less the champion's",
        outcome=within(difference, (low, high), low=-max_loss),
        observed=f"ROC AUC {difference:+.3f} against the champion's {areas[1]:.3f} "
        f"({_percent(confidence)} CI {low:+.3f} to {high:+.3f}, paired)",
        expected=f"no lower than {-max_loss:+.3f} with the whole interval",
        value=finite(difference),
    )
    return (line,), {
        "champion_roc_auc": finite(areas[1]),
        "difference": finite(difference),
        "difference_low": finite(low),
        "difference_high": finite(high),
    }


def champion_margins(case: Case) -> Floats:
    """Score the candidate's test rows with the champion, its digest checked before it is loaded.

    Raises DataRefused when the rows lack a column that the champion reads.
    """
    from pipelines.model import score, store

    files = Model(case.layout.champion)
    former = read_json(files.record, Candidate)
    rows = case.rows(TEST)
    missing = [name for name in former.features if name not in rows.columns]
    if missing:
        raise DataRefused(
            "the test rows lack columns that the champion reads", observed=", ".join(missing)
        )
    model = store.load(files.model, former.model_sha256)
    return np.asarray(score.margins(model, rows, former.margin), dtype=np.float64)


def _percent(confidence: float) -> str:
    return f"{confidence * 100:.0f} %"
