"""Privacy: nobody can tell from the model whether a person was in its training part.

Two attacks by a person's loss. Threshold (Yeom, Giacomelli, Fredrikson and Jha 2018): whoever's
loss is at most the mean of training is called a member; its advantage is the true less the false
positive rate. And the area under the ROC curve of telling members by their loss.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipelines.model.metrics import losses
from pipelines.records import Json
from pipelines.release.checks._case import TEST, TRAIN, Bars, Case, Finding, Line, finite, within
from pipelines.release.checks._statistics import Floats, delong, normal_interval
from pipelines.release.policy import Thresholds as Base


class Thresholds(Base, frozen=True):
    """`max_advantage` of the threshold attack; `max_roc_auc` of telling members by their loss."""

    max_advantage: float
    max_roc_auc: float


def judge(case: Case, limits: Thresholds) -> Finding:
    """Attack the candidate with the losses of its training and its test part."""
    confidence = case.params.evaluate.confidence
    found = [losses_of(case, TRAIN), losses_of(case, TEST)]
    members, others = found
    tested = tuple(lines(members, others, limits, confidence))
    evidence: dict[str, Json] = {
        "advantage": tested[0].value,
        "roc_auc": tested[1].value,
        "members": len(members),
        "others": len(others),
    }
    means = (finite(members.mean()), finite(others.mean()))
    return Finding(
        tested, evidence, (Bars("Mean log loss", ("training part", "test part"), means),)
    )


def losses_of(case: Case, part: str) -> Floats:
    """Return the log loss of every row of one part of the split."""
    rows = case.rows(TRAIN if part == TRAIN else TEST)
    return losses(case.margins(rows), case.favourable(rows))


def lines(members: Floats, others: Floats, limits: Thresholds, confidence: float) -> Iterator[Line]:
    """Judge both attacks: the whole interval must lie below the bound to pass.

    The interval of the advantage is Wald's for the difference of two shares; that of the area is
    DeLong's. A test part without rows leaves both undefined, which fails.
    """
    threshold = members.mean()
    shares = [float((each <= threshold).mean()) for each in (members, others)]
    advantage = shares[0] - shares[1]
    variance = sum(
        share * (1.0 - share) / max(len(each), 1)
        for share, each in zip(shares, (members, others), strict=True)
    )
    low, high = normal_interval(advantage, variance, confidence)
    yield Line(
        name="advantage of the threshold attack",
        outcome=within(advantage, (low, high), high=limits.max_advantage),
        observed=f"the threshold attack has an advantage of {advantage:+.3f} "
        f"({confidence:.0%} CI {low:+.3f} to {high:+.3f}, n={len(members)} and {len(others)})",
        expected=f"at most {limits.max_advantage:.3f} with the whole interval",
        value=finite(advantage),
    )
    is_member = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    area, covariance = delong(is_member, -np.concatenate([members, others]))
    low, high = normal_interval(float(area[0]), float(covariance[0, 0]), confidence)
    yield Line(
        name="ROC AUC of telling members by their loss",
        outcome=within(float(area[0]), (low, high), high=limits.max_roc_auc),
        observed=f"members are told by their loss with ROC AUC {area[0]:.3f} "
        f"({confidence:.0%} CI {low:.3f} to {high:.3f})",
        expected=f"at most {limits.max_roc_auc:.3f} with the whole interval",
        value=finite(area[0]),
    )
