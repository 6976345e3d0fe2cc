"""Training drift: the data that the candidate was made from against the champion's profile.

An alert needs an effect beyond the practical threshold and beyond what samples of this size show
by chance, and a two-sample test corrected over all columns. Both sides are whole snapshots: a split
by time would otherwise compare the older rows of one with all rows of the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.spatial.distance import jensenshannon

from pipelines.contract import Contract
from pipelines.data.profile import ColumnProfile, Numbers, Profile, profile
from pipelines.data.profile import read as read_profile
from pipelines.records import Json, Outcome
from pipelines.release.checks._case import Bars, Case, Finding, Line, finite
from pipelines.release.checks._statistics import Floats, benjamini_hochberg, chi_square_p
from pipelines.release.policy import Thresholds as Base

Measure = Literal["wasserstein", "psi", "jensen_shannon", "null_rate"]
COMPARED_ROLES = ("feature", "protected", "target")
WORDS: dict[Measure, str] = {
    "wasserstein": "normalised Wasserstein distance",
    "psi": "population stability index",
    "jensen_shannon": "Jensen-Shannon distance",
    "null_rate": "change of the share of missing values",
}
CHANCE = 0.95
# Quantile of the normalised Wasserstein distance under no drift, in units of sqrt(1/n + 1/m):
# 1.8 to 2.3 by simulation over normal, uniform, exponential, lognormal and bimodal columns.
WASSERSTEIN_QUANTILE = 2.2
HALF = 0.5


class Thresholds(Base, frozen=True):
    """Practical thresholds of each measure, and the level of the corrected two-sample test."""

    max_wasserstein: float
    max_psi: float
    max_jensen_shannon: float
    max_null_rate_change: float
    alpha: float

    def of(self, measure: Measure) -> float:
        """Return the practical threshold of a measure."""
        return {
            "wasserstein": self.max_wasserstein,
            "psi": self.max_psi,
            "jensen_shannon": self.max_jensen_shannon,
            "null_rate": self.max_null_rate_change,
        }[measure]


@dataclass(frozen=True, slots=True)
class Drift:
    """One measure of one column: the score, what chance alone gives, the raw two-sample p."""

    column: str
    measure: Measure
    score: float
    floor: float
    p: float


def wasserstein(current: Numbers, reference: Numbers) -> float:
    """Return the distance between two binned columns over the reference's standard deviation.

    Between the outermost edges the difference of the two cumulative shares is integrated with the
    trapezoid rule. What lies beyond them follows from the means, for the integral of the signed
    difference is the difference of the means: its absolute value is added, so the result is at
    least that of the means. NaN where the reference does not vary.
    """
    if reference.std == 0.0:
        return float("nan")
    knots = np.asarray(reference.edges)
    gap = np.cumsum(_shares(current.counts))[:-1] - np.cumsum(_shares(reference.counts))[:-1]
    between = np.trapezoid(np.abs(gap), knots)
    beyond = (reference.mean - current.mean) - np.trapezoid(gap, knots)
    return float((between + abs(beyond)) / reference.std)


def psi(current: ArrayLike, reference: ArrayLike) -> float:
    """Return the population stability index over the reference's bins.

    Half a count is added to each bin, so that an empty one does not make it infinite.
    """
    now, then = (_shares(np.asarray(each, np.float64) + HALF) for each in (current, reference))
    return float(((now - then) * np.log(now / then)).sum())


def jensen_shannon(current: ArrayLike, reference: ArrayLike) -> float:
    """Return the Jensen-Shannon distance with natural logarithms, 0 to 0.833."""
    return float(np.nan_to_num(jensenshannon(_shares(current), _shares(reference))))


def floor(measure: Measure, now: int, then: int, kinds: int) -> float:
    """Return the 95 % quantile of a measure when nothing drifts, for samples of these sizes.

    `kinds` is the number of bins or categories. PSI: Yurdakul 2018; Jensen-Shannon: the same
    chi-square expansion; Wasserstein: by simulation; missing values: two normal shares.
    """
    if min(now, then) == 0:
        return float("inf")
    sizes = 1.0 / now + 1.0 / then
    chi_square = float(stats.chi2.ppf(CHANCE, max(kinds - 1, 1)))
    floors: dict[Measure, float] = {
        "wasserstein": WASSERSTEIN_QUANTILE * math.sqrt(sizes),
        "psi": chi_square * sizes,
        "jensen_shannon": math.sqrt(chi_square / 8.0 * sizes),
        "null_rate": 0.0,
    }
    return floors[measure]


def drifts(current: Profile, reference: Profile, columns: tuple[str, ...]) -> Iterator[Drift]:
    """Yield every measure of every column that both profiles have."""
    for name in columns:
        now, then = current.columns[name], reference.columns.get(name)
        if then is None:
            continue
        yield from _of_missing(name, now, then)
        if now.numbers and then.numbers:
            yield from _of_numbers(name, now, then, now.numbers, then.numbers)
        elif now.categories is not None and then.categories is not None:
            yield from _of_categories(name, now, then)


def judge_drift(found: Drift, p: float, limits: Thresholds) -> Outcome:
    """Judge one measure; `p` is corrected over all columns and measures.

    A column that did not vary before and does now has no distance (NaN): it fails.
    """
    bound = limits.of(found.measure)
    if np.isnan(found.score):
        return "fail"
    if found.score > max(bound, found.floor) and p < limits.alpha:
        return "fail"
    return "not-enough-data" if found.floor > bound else "pass"


def compare(
    current: Profile, reference: Profile, columns: tuple[str, ...], limits: Thresholds
) -> tuple[tuple[Line, ...], dict[str, Json]]:
    """Compare two profiles; return a line a measure, the worst first, and all numbers."""
    found = sorted(
        drifts(current, reference, columns),
        key=lambda each: -np.nan_to_num(each.score / limits.of(each.measure), nan=np.inf),
    )
    corrected = benjamini_hochberg([each.p for each in found])
    lines = [_line(each, float(p), limits) for each, p in zip(found, corrected, strict=True)]
    lines += [_not_there(name) for name in columns if name not in _covered(found)]
    numbers: list[Json] = [
        {
            "column": each.column,
            "measure": each.measure,
            "score": finite(each.score),
            "floor": finite(each.floor),
            "p_benjamini_hochberg": finite(p),
        }
        for each, p in zip(found, corrected, strict=True)
    ]
    return tuple(lines), {"measures": numbers, "rows": [current.rows, reference.rows]}


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge the candidate's snapshot; without a champion there is nothing to compare."""
    if case.champion.state == "none":
        said = "there is no champion to compare with"
        return Finding((Line("champion", "pass", said, "a champion's training profile"),))
    reference = read_profile(case.layout.champion_profile)
    columns = compared(case.contract)
    rows = itertools.chain.from_iterable(map(case.frames, sorted(case.split.parts)))
    current = profile(rows, case.contract, reference.edges)
    lines, evidence = compare(current, reference, columns, limits)
    shown = [line for line in lines if line.value is not None][:40]
    bars = Bars(
        "Measures of drift, the worst first",
        tuple(line.name for line in shown),
        tuple(line.value for line in shown),
    )
    return Finding(lines, evidence, (bars,))


def compared(contract: Contract) -> tuple[str, ...]:
    """Return the columns that are compared: features, protected columns and the target."""
    kept = ("integer", "number", "string", "boolean")
    return tuple(
        column.name
        for column in contract.columns
        if column.role in COMPARED_ROLES and column.kind in kept
    )


def _of_missing(name: str, now: ColumnProfile, then: ColumnProfile) -> Iterator[Drift]:
    sizes = now.count + now.missing, then.count + then.missing
    change = abs(now.missing / max(sizes[0], 1) - then.missing / max(sizes[1], 1))
    p = chi_square_p([now.missing, now.count], [then.missing, then.count])
    yield Drift(name, "null_rate", change, floor("null_rate", *sizes, 2), p)


def _of_numbers(
    name: str, now: ColumnProfile, then: ColumnProfile, current: Numbers, reference: Numbers
) -> Iterator[Drift]:
    kinds, sizes = len(reference.counts), (now.count, then.count)
    if reference.std == 0.0:
        same = current.minimum == reference.minimum and current.maximum == reference.maximum
        yield Drift(name, "wasserstein", 0.0 if same else float("nan"), 0.0, float(same))
        return
    p = chi_square_p(current.counts, reference.counts)
    distance = wasserstein(current, reference)
    yield Drift(name, "wasserstein", distance, floor("wasserstein", *sizes, kinds), p)
    yield Drift(name, "psi", psi(current.counts, reference.counts), floor("psi", *sizes, kinds), p)


def _of_categories(name: str, now: ColumnProfile, then: ColumnProfile) -> Iterator[Drift]:
    first, second = now.categories or {}, then.categories or {}
    known = sorted(first.keys() | second.keys())
    counts = [[each.get(key, 0) for key in known] for each in (first, second)]
    score, p = jensen_shannon(*counts), chi_square_p(*counts)
    bound = floor("jensen_shannon", now.count, then.count, len(known))
    yield Drift(name, "jensen_shannon", score, bound, p)


def _covered(found: list[Drift]) -> set[str]:
    return {each.column for each in found if each.measure != "null_rate"}


def _line(found: Drift, p: float, limits: Thresholds) -> Line:
    bound = max(limits.of(found.measure), found.floor)
    return Line(
        name=f"{found.column}: {WORDS[found.measure]}",
        outcome=judge_drift(found, p, limits),
        observed=f"{found.column}: {WORDS[found.measure]} {found.score:.3f} (p={p:.2g}, "
        f"chance alone gives up to {found.floor:.3f})",
        expected=f"at most {bound:.3f}, or p of at least {limits.alpha:g}",
        value=finite(found.score),
    )


def _not_there(name: str) -> Line:
    return Line(
        name=name,
        outcome="not-enough-data",
        observed=f"{name}: one of the two training parts has no values to compare",
        expected="values in both",
    )


def _shares(counts: ArrayLike) -> Floats:
    values = np.asarray(counts, dtype=np.float64)
    total = values.sum()
    return values / total if total else values
