"""Key influencer: whether a protected attribute, or a column that tells it, drives the score.

Two questions. How well do the first reasons that people were given tell their group? And how much
of what moves the score do columns carry that are protected, or that tell the group themselves? The
second asks the model: its exact contributions for a sample of the window's decisions. Both are
held against a fixed bound, against the test part as the version was registered, and against the
window before: it is an alarm when an attribute starts to drive the score, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipelines.data.sketch import Counts
from pipelines.records import Json
from pipelines.release.checks._statistics import benjamini_hochberg, chi_square_p
from pipelines.release.influence import (
    RESAMPLES,
    Influence,
    Influenced,
    association,
    figures,
    told,
    used,
)
from pipelines.watch.findings import Finding, Status, finite
from pipelines.watch.profile import WindowProfile
from pipelines.watch_params import WatchParams

CHANCE = 0.95
LEAST_ERROR = 1e-9
SAID = {
    "score": "the share of what moves the score that its carriers carry",
    "first_reason": "how well the first reason tells the group (Cramer's V)",
}


def floor(table: Counts) -> float:
    """Return the 95 % quantile of the uncorrected Cramer's V where nothing is associated."""
    counts = used(np.asarray(table, dtype=np.float64))
    if not counts.sum() or min(counts.shape, default=0) < 2:  # noqa: PLR2004
        return math.inf
    rows, columns = counts.shape
    quantile = float(stats.chi2.ppf(CHANCE, (rows - 1) * (columns - 1)))
    return math.sqrt(quantile / (counts.sum() * (min(rows, columns) - 1)))


def guessed(table: Counts) -> float:
    """Return how often the group is guessed by the first reason, all groups weighing the same.

    One over the number of groups is chance. It is taken on the people it is measured on, so it is
    shown, and nothing is judged by it.
    """
    counts = used(np.asarray(table, dtype=np.float64))
    if not counts.sum():
        return math.nan
    weighed = counts / counts.sum(axis=1, keepdims=True)
    return float(weighed.max(axis=0).sum() / len(weighed))


def of_reasons(
    profile: WindowProfile, limits: WatchParams
) -> tuple[tuple[Finding, ...], list[Json]]:
    """Judge how well first reasons tell the group; people without a reason are left out."""
    found = {name: told(groups) for name, groups in profile.reasons.items()}
    ps = benjamini_hochberg([_independence_p(table) for table in found.values()])
    findings, rows = list[Finding](), list[Json]()
    for (attribute, table), p in zip(found.items(), ps, strict=True):
        n, value, least = int(table.sum()), association(table), floor(table)
        beyond = value > max(limits.max_association, least) and p < limits.alpha
        enough = n >= limits.min_rows and least <= limits.max_association
        status: Status = "ok" if enough else "not-enough-data"
        status = "alarm" if beyond and n >= limits.min_rows else status
        said = (
            f"{attribute}: the first reason tells the group with Cramer's V {value:.2f}, at most "
            f"{limits.max_association:g} (chance alone up to {least:.2f}, n={n})"
        )
        findings.append(
            Finding(
                check="influence",
                of=attribute,
                measure="first_reason",
                status=status,
                said=said,
                value=finite(value),
                bound=limits.max_association,
                floor=finite(least),
                p_adjusted=finite(float(p)),
                n=n,
            )
        )
        rows.append({"attribute": attribute, "n": n, "v": value, "guessed": finite(guessed(table))})
    return tuple(findings), rows


def of_score(
    found: Sequence[Influence], limits: WatchParams
) -> tuple[tuple[Finding, ...], list[Json]]:
    """Judge how much of the score the carriers of each attribute move."""
    corrected = benjamini_hochberg([_resampled_p(each, limits) for each in found])
    findings, rows = list[Finding](), list[Json]()
    for each, p in zip(found, corrected, strict=True):
        carriers = [name for name, (_, tells) in each.columns.items() if tells]
        findings.append(_influence(each, float(p), carriers, limits))
        rows += [
            {"attribute": each.attribute, "column": name, "share": part, "tells_the_group": tells}
            for name, (part, tells) in each.columns.items()
        ]
    return tuple(findings), rows


def _influence(found: Influence, p: float, carriers: Sequence[str], limits: WatchParams) -> Finding:
    enough = found.n >= limits.min_rows
    beyond = found.share > limits.max_influence and p < limits.alpha
    status: Status = "not-enough-data" if not enough else "alarm" if beyond else "ok"
    named = ", ".join(carriers) or "no column"
    return Finding(
        check="influence",
        of=found.attribute,
        measure="score",
        status=status,
        said=f"{found.attribute}: {named} carry {found.share:.1%} of what moves the score, at most "
        f"{limits.max_influence:.0%} (n={found.n})",
        value=finite(found.share),
        bound=limits.max_influence,
        p_adjusted=finite(p),
        n=found.n,
    )


def kept(
    found: Iterable[Influence], profile: WindowProfile, limits: WatchParams
) -> tuple[Influenced, ...]:
    """Return what the next window is compared with."""
    return tuple(
        figures(each, told(profile.reasons.get(each.attribute, {})), limits.seed) for each in found
    )


def since(
    now: Iterable[Influenced], then: Iterable[Influenced], when: str, limits: WatchParams
) -> tuple[Finding, ...]:
    """Judge what has risen since `then`: each attribute's share of the score, and association.

    A rise alarms beyond its bound, and beyond what drawing people anew on both sides shows by
    chance (one-sided, corrected over all of `when`); where chance reaches the bound, it is not
    enough data.
    """
    before = {each.attribute: each for each in then}
    pairs = [(each, before[each.attribute]) for each in now if each.attribute in before]
    rises = [rise for pair in pairs for rise in _rises(*pair, limits)]
    ps = benjamini_hochberg([float(stats.norm.sf(each.rise / each.error)) for each in rises])
    return tuple(_risen(each, when, float(p), limits) for each, p in zip(rises, ps, strict=True))


@dataclass(frozen=True, slots=True)
class _Rise:
    attribute: str
    measure: str
    now: float
    then: float
    error: float
    bound: float
    n: int

    @property
    def rise(self) -> float:
        return self.now - self.then


def _rises(now: Influenced, then: Influenced, limits: WatchParams) -> Iterator[_Rise]:
    error = max(math.hypot(now.share_error, then.share_error), LEAST_ERROR)
    people, bound = min(now.n, then.n), limits.max_influence_rise
    yield _Rise(now.attribute, "score", now.share, then.share, error, bound, people)
    error = max(math.hypot(now.association_error, then.association_error), LEAST_ERROR)
    people, bound = min(now.told, then.told), limits.max_association_rise
    values = now.association, then.association
    yield _Rise(now.attribute, "first_reason", *values, error, bound, people)


def _risen(found: _Rise, when: str, p: float, limits: WatchParams) -> Finding:
    floor = float(stats.norm.ppf(CHANCE)) * found.error
    enough = found.n >= limits.min_rows
    beyond = enough and found.rise > max(found.bound, floor) and p < limits.alpha
    status: Status = "ok" if enough and floor <= found.bound else "not-enough-data"
    return Finding(
        check="influence",
        of=found.attribute,
        measure=f"{found.measure}_since_{when}",
        status="alarm" if beyond else status,
        said=f"{found.attribute}: {SAID[found.measure]} rose from {found.then:.2f} ({when}) to "
        f"{found.now:.2f}, at most by {found.bound:g} (chance alone {floor:.2f}, n={found.n})",
        value=finite(found.rise),
        bound=found.bound,
        floor=finite(floor),
        p_adjusted=finite(p),
        n=found.n,
    )


def _resampled_p(found: Influence, limits: WatchParams) -> float:
    """Return how often the share is at most the bound when people are drawn anew."""
    if not found.n:
        return math.nan
    carried, whole = found.drawn(limits.seed)
    below = carried <= limits.max_influence * whole
    return float((below.sum() + 1) / (RESAMPLES + 1))


def _independence_p(table: Counts) -> float:
    counts = used(np.asarray(table, dtype=np.float64))
    if min(counts.shape, default=0) < 2:  # noqa: PLR2004
        return math.nan
    if len(counts) == 2:  # noqa: PLR2004
        return chi_square_p(counts[0], counts[1])
    return float(stats.chi2_contingency(counts).pvalue)
