"""Drift of columns and of the score against the version's baseline.

An alarm needs an effect beyond the practical threshold, beyond what samples of these sizes show by
chance, and a two-sample test corrected over all columns. Where chance alone exceeds the threshold
the answer is "not enough data", never "no drift".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pipelines.data import profile as profiles
from pipelines.data import sketch
from pipelines.data.sketch import (
    Axis,
    Categories,
    CategoryAxis,
    Floats,
    NumberAxis,
    Numbers,
    Sketch,
)
from pipelines.release.checks import training_drift
from pipelines.release.checks._statistics import benjamini_hochberg
from pipelines.watch.findings import Finding, Status, finite
from pipelines.watch_params import WatchParams

Check = Literal["drift", "missing", "mean", "score", "former"]
Measure = Literal["wasserstein", "psi", "jensen_shannon", "null_rate", "new_values", "mean"]
WORDS: Final[dict[Measure, str]] = {
    "wasserstein": "Wasserstein distance over the standard deviation",
    "psi": "population stability index",
    "jensen_shannon": "Jensen-Shannon distance (base 2)",
    "null_rate": "change of the share of missing values",
    "new_values": "share of values that training never saw",
    "mean": "the mean's move in standard deviations",
}
COARSE: Final = 10  # bins of PSI: its noise grows with their number
BASE_2: Final = 1.0 / math.log(2.0)
SMALL: Final = 5.0  # fewer expected people than this share a bin in a test
CHANCE: Final = training_drift.CHANCE
KOLMOGOROV: Final = 1.36  # 95 % quantile of the limit of the two-sample statistic
SCORE: Final = "score"


@dataclass(frozen=True, slots=True)
class Drift:
    """One measure of one column: score, practical threshold, what chance alone gives, raw p."""

    check: Check
    column: str
    measure: Measure
    score: float
    bound: float
    floor: float
    p: float
    n: int


def of_columns(
    now: Mapping[str, Sketch],
    then: Mapping[str, Sketch],
    axes: Mapping[str, Axis],
    limits: WatchParams,
) -> tuple[Finding, ...]:
    """Compare every column of a window with the reference; one that nobody had is an error."""
    found: list[Drift] = []
    gone: list[Finding] = []
    for name, axis in axes.items():
        if now[name].rows == 0:
            gone.append(_gone(name))
        else:
            found += of_column(name, now[name], then[name], axis, limits)
    return (*gone, *judged(found, limits))


def of_column(
    name: str, now: Sketch, then: Sketch, axis: Axis, limits: WatchParams
) -> Iterator[Drift]:
    """Yield every measure of one column."""
    yield from _missing(name, now, then, limits)
    if isinstance(now, Numbers) and isinstance(then, Numbers) and isinstance(axis, NumberAxis):
        yield from _numbers(name, now, then, axis, limits)
    elif (
        isinstance(now, Categories)
        and isinstance(then, Categories)
        and isinstance(axis, CategoryAxis)
    ):
        yield from _categories(name, now, then, axis, limits)


def of_score(
    now: Numbers, then: Numbers, axis: NumberAxis, limits: WatchParams
) -> tuple[Finding, ...]:
    """Compare the margins that the version gave with those on its test part."""
    if now.count == 0:
        said = "the version scored nobody in this window"
        return (Finding(check="score", of=SCORE, measure="", status="not-enough-data", said=said),)
    every = [each for each in _numbers(SCORE, now, then, axis, limits) if each.measure != "mean"]
    return judged([_as(each, "score") for each in every], limits)


def of_former(
    now: Mapping[str, Sketch],
    former: Mapping[str, Sketch],
    axes: Mapping[str, Axis],
    limits: WatchParams,
) -> tuple[Finding, ...]:
    """Compare the columns with those of the window before."""
    kept = [
        _as(each, "former")
        for name, axis in axes.items()
        if now[name].rows and former[name].rows
        for each in of_column(name, now[name], former[name], axis, limits)
        if each.measure != "mean"
    ]
    return judged(kept, limits)


def judged(found: Iterable[Drift], limits: WatchParams) -> tuple[Finding, ...]:
    """Judge measures; their p-values are corrected over all of them (Benjamini, Hochberg 1995)."""
    drifts = list(found)
    corrected = benjamini_hochberg([each.p for each in drifts])
    return tuple(
        _finding(each, float(p), _status(each, float(p), limits))
        for each, p in zip(drifts, corrected, strict=True)
    )


def _status(found: Drift, p: float, limits: WatchParams) -> Status:
    """Judge one measure. A column that did not vary and does now has no distance: it alarms."""
    if math.isnan(found.score):
        return "alarm" if found.n >= limits.min_rows else "not-enough-data"
    significant = math.isnan(p) or p < limits.alpha
    if found.score > max(found.bound, found.floor) and significant:
        return "alarm" if found.n >= limits.min_rows else "not-enough-data"
    enough = found.n >= limits.min_rows and found.floor <= found.bound
    return "ok" if enough else "not-enough-data"


def _finding(found: Drift, p: float, status: Status) -> Finding:
    said = (
        f"{found.column}: {WORDS[found.measure]} {found.score:.3f}, at most {found.bound:g} "
        f"(chance alone up to {found.floor:.3f}, corrected p {p:.2g}, n={found.n})"
    )
    return Finding(
        check=found.check,
        of=found.column,
        measure=found.measure,
        status=status,
        said=said,
        value=finite(found.score),
        bound=finite(found.bound),
        floor=finite(found.floor),
        p=finite(found.p),
        p_adjusted=finite(p),
        n=found.n,
    )


def _gone(name: str) -> Finding:
    said = f"{name}: no decision of this window has this column"
    return Finding(check="columns", of=name, measure="there", status="error", said=said)


def _as(found: Drift, check: Check) -> Drift:
    return Drift(
        check, found.column, found.measure, found.score, found.bound, found.floor, found.p, found.n
    )


def _missing(name: str, now: Sketch, then: Sketch, limits: WatchParams) -> Iterator[Drift]:
    rates = [each.missing / max(each.rows, 1) for each in (now, then)]
    tables = [[each.missing, each.rows - each.missing] for each in (now, then)]
    pooled = (now.missing + then.missing) / max(now.rows + then.rows, 1)
    yield Drift(
        check="missing",
        column=name,
        measure="null_rate",
        score=abs(rates[0] - rates[1]),
        bound=limits.max_null_rate_change,
        floor=1.96 * math.sqrt(pooled * (1.0 - pooled) * _sizes(now.rows, then.rows)),
        p=chi_square_p(*tables),
        n=now.rows,
    )


def _numbers(
    name: str, now: Numbers, then: Numbers, axis: NumberAxis, limits: WatchParams
) -> Iterator[Drift]:
    if not now.count or not then.count:
        yield Drift("drift", name, "wasserstein", 0.0, limits.max_wasserstein, math.inf, 1.0, 0)
        return
    sizes = _sizes(now.count, then.count)
    spread = sketch.deviation(then, axis)
    if spread == 0.0:
        same = (now.minimum, now.maximum) == (then.minimum, then.maximum)
        score, p = (0.0, 1.0) if same else (math.nan, 0.0)
        yield Drift("drift", name, "wasserstein", score, limits.max_wasserstein, 0.0, p, now.count)
        return
    distance = training_drift.wasserstein(_binned(now, axis), _binned(then, axis))
    yield Drift(
        check="drift",
        column=name,
        measure="wasserstein",
        score=distance,
        bound=limits.max_wasserstein,
        floor=training_drift.WASSERSTEIN_QUANTILE * math.sqrt(sizes),
        p=_two_sample_p(now, then, axis),
        n=now.count,
    )
    first, second = coarse(now.counts, then.counts)
    yield Drift(
        check="drift",
        column=name,
        measure="psi",
        score=training_drift.psi(first, second),
        bound=limits.max_psi,
        floor=_chi_square(len(first)) * sizes,
        p=_chi_square_p(first, second),
        n=now.count,
    )
    moved = (sketch.mean(now, axis) - sketch.mean(then, axis)) / spread
    yield Drift(
        check="mean",
        column=name,
        measure="mean",
        score=abs(moved),
        bound=limits.max_mean_sigmas,
        floor=1.96 * math.sqrt(sizes),
        p=_welch_p(now, then, axis),
        n=now.count,
    )


def _categories(
    name: str, now: Categories, then: Categories, axis: CategoryAxis, limits: WatchParams
) -> Iterator[Drift]:
    if not now.count or not then.count:
        yield Drift(
            "drift", name, "jensen_shannon", 0.0, limits.max_jensen_shannon, math.inf, 1.0, 0
        )
        return
    first = np.array([*now.counts, now.new], dtype=np.float64)
    second = np.array([*then.counts, then.new], dtype=np.float64)
    there = first + second > 0
    first, second = first[there], second[there]
    sizes, p = _sizes(now.count, then.count), _chi_square_p(first, second)
    floor = _chi_square(len(first)) * sizes
    yield Drift(
        check="drift",
        column=name,
        measure="jensen_shannon",
        score=jensen_shannon(first, second),
        bound=limits.max_jensen_shannon,
        floor=math.sqrt(floor * BASE_2 / 8.0),
        p=p,
        n=now.count,
    )
    psi = training_drift.psi(first, second)
    yield Drift("drift", name, "psi", psi, limits.max_psi, floor, p, now.count)
    if axis.complete:
        yield _new_values(name, now, then, limits)


def _new_values(name: str, now: Categories, then: Categories, limits: WatchParams) -> Drift:
    """Compare the share of new values with what a value too rare for the reference may have.

    That the reference saw none of n people puts at most 3/n on such values (the rule of three).
    """
    return Drift(
        check="missing",
        column=name,
        measure="new_values",
        score=now.new / now.count,
        bound=limits.max_new_share,
        floor=3.0 / then.count,
        p=chi_square_p([now.new, now.count - now.new], [then.new, then.count - then.new]),
        n=now.count,
    )


def jensen_shannon(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Jensen-Shannon distance with logarithms to base 2, 0 to 1."""
    return training_drift.jensen_shannon(first, second) * math.sqrt(BASE_2)


def coarse(now: Sequence[int], then: Sequence[int], bins: int = COARSE) -> tuple[Floats, Floats]:
    """Return both counts in at most `bins` bins that hold about as many of the reference each."""
    first, second = np.asarray(now, np.float64), np.asarray(then, np.float64)
    filled = np.cumsum(second) / max(second.sum(), 1.0)
    place = np.minimum((filled * bins - 1e-9).astype(np.int64), bins - 1)
    used, place = np.unique(place, return_inverse=True)
    summed = [np.bincount(place, each, len(used)) for each in (first, second)]
    return summed[0].astype(np.float64), summed[1].astype(np.float64)


def kolmogorov_smirnov_p(now: ArrayLike, then: ArrayLike) -> float:
    """Return the two-sample Kolmogorov-Smirnov p-value from counts in the same bins.

    The greatest gap is taken at the edges of the bins only: it is at most the true one, so the
    test errs to the side of no alarm (Conover 1972 on discrete data).
    """
    first, second = np.asarray(now, np.float64), np.asarray(then, np.float64)
    n, m = first.sum(), second.sum()
    if not n or not m:
        return 1.0
    gap = np.abs(np.cumsum(first) / n - np.cumsum(second) / m).max()
    return float(special.kolmogorov(gap * math.sqrt(n * m / (n + m))))


def _two_sample_p(now: Numbers, then: Numbers, axis: NumberAxis) -> float:
    """Return the p-value of two samples of a number: of few values chi-square sees more."""
    if len(axis.edges) < sketch.DISTINCT:
        return _chi_square_p(now.counts, then.counts)
    return kolmogorov_smirnov_p(now.counts, then.counts)


def _binned(found: Numbers, axis: NumberAxis) -> profiles.Numbers:
    return profiles.Numbers(
        minimum=found.minimum or 0.0,
        maximum=found.maximum or 0.0,
        mean=sketch.mean(found, axis),
        std=sketch.deviation(found, axis),
        edges=axis.edges,
        counts=found.counts,
    )


def _welch_p(now: Numbers, then: Numbers, axis: NumberAxis) -> float:
    """Return the p-value of Welch's test that two means are equal; NaN where neither varies."""
    apart = sketch.mean(now, axis) - sketch.mean(then, axis)
    errors = [sketch.deviation(each, axis) ** 2 / each.count for each in (now, then)]
    if not sum(errors):
        return math.nan
    return float(2.0 * special.ndtr(-abs(apart) / math.sqrt(sum(errors))))


def _chi_square_p(first: ArrayLike, second: ArrayLike) -> float:
    """Return the two-sample chi-square p-value; bins with too few expected people are pooled."""
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    expected = (one + two) * min(one.sum(), two.sum()) / max((one + two).sum(), 1.0)
    small = expected < SMALL
    if small.any():
        one = np.append(one[~small], one[small].sum())
        two = np.append(two[~small], two[small].sum())
    return chi_square_p(one, two)


def chi_square_p(first: ArrayLike, second: ArrayLike) -> float:
    """Return what `_statistics.chi_square_p` returns, without the cost of scipy's front door.

    With one degree of freedom Yates' correction is applied, as there.
    """
    counts = np.vstack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    counts = counts[:, counts.sum(axis=0) > 0]
    sizes, kinds = counts.sum(axis=1), counts.sum(axis=0)
    if len(kinds) < 2 or not sizes.all():  # noqa: PLR2004
        return 1.0
    expected = np.outer(sizes, kinds) / sizes.sum()
    apart = np.abs(counts - expected)
    if len(kinds) == 2:  # noqa: PLR2004
        apart -= np.minimum(0.5, apart)
    return float(special.chdtrc(len(kinds) - 1, (apart**2 / expected).sum()))


@lru_cache(maxsize=1024)
def _chi_square(kinds: int) -> float:
    return float(special.chdtri(max(kinds - 1, 1), 1.0 - CHANCE))


def _sizes(n: int, m: int) -> float:
    return 1.0 / n + 1.0 / m if n and m else math.inf
