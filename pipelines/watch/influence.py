"""Key influencer: whether a protected attribute, or a column that tells it, drives the score.

Two questions. How well do the first reasons that people were given tell their group? And how much
of what moves the score do columns carry that are protected, or that tell the group themselves? The
second asks the model: its exact contributions for a sample of the window's decisions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipelines.contract import Contract
from pipelines.data.cube import NEW
from pipelines.data.groups import UNKNOWN
from pipelines.data.sketch import Counts, Floats
from pipelines.model.contributions import Explainer
from pipelines.model.plan import Value
from pipelines.params import WatchParams
from pipelines.records import Json
from pipelines.release.checks._statistics import benjamini_hochberg, chi_square_p
from pipelines.watch.findings import Finding, Status, finite
from pipelines.watch.profile import NO_REASON, WindowProfile

NOT_A_GROUP = frozenset({UNKNOWN, NEW})
BINS = 10
RESAMPLES = 200
CHANCE = 0.95


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sample of a window: values and each attribute's group, person by person."""

    values: Sequence[Mapping[str, Value]]
    groups: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Influence:
    """What one attribute's carriers move: their share of the score, and each column's part."""

    attribute: str
    value: float
    p: float
    n: int
    columns: dict[str, tuple[float, float]]


def association(table: Counts) -> float:
    """Return Cramer's V of counts, corrected for its bias on small samples (Bergsma 2013)."""
    counts = _used(np.asarray(table, dtype=np.float64))
    n = counts.sum()
    if n < 2 or min(counts.shape, default=0) < 2:  # noqa: PLR2004
        return 0.0
    rows, columns = counts.shape
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi = float(((counts - expected) ** 2 / expected).sum() / n)
    kept = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1.0
    return math.sqrt(kept / least) if least > 0 else 0.0


def floor(table: Counts) -> float:
    """Return the 95 % quantile of the uncorrected Cramer's V where nothing is associated."""
    counts = _used(np.asarray(table, dtype=np.float64))
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
    counts = _used(np.asarray(table, dtype=np.float64))
    if not counts.sum():
        return math.nan
    weighed = counts / counts.sum(axis=1, keepdims=True)
    return float(weighed.max(axis=0).sum() / len(weighed))


def of_reasons(
    profile: WindowProfile, limits: WatchParams
) -> tuple[tuple[Finding, ...], list[Json]]:
    """Judge how well first reasons tell the group; people without a reason are left out."""
    found = {name: _reasons(groups) for name, groups in profile.reasons.items()}
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
    sample: Sampled, explainer: Explainer, contract: Contract, limits: WatchParams
) -> tuple[tuple[Finding, ...], list[Json]]:
    """Judge how much of the score the carriers of each attribute move."""
    found = list(influences(sample, explainer, contract, limits))
    corrected = benjamini_hochberg([each.p for each in found])
    findings, rows = list[Finding](), list[Json]()
    for each, p in zip(found, corrected, strict=True):
        carriers = [name for name, (_, tells) in each.columns.items() if tells]
        findings.append(_influence(each, float(p), carriers, limits))
        rows += [
            {"attribute": each.attribute, "column": name, "share": part, "tells_the_group": tells}
            for name, (part, tells) in each.columns.items()
        ]
    return tuple(findings), rows


def influences(
    sample: Sampled, explainer: Explainer, contract: Contract, limits: WatchParams
) -> Iterator[Influence]:
    """Yield, for each attribute, the share of the score that its carriers move.

    A column's share is its part of all absolute deviations of contributions from their mean: what
    is the same for everybody moves nobody. A carrier is protected under the attribute, or tells
    the group with a Cramer's V of at least `max_association`; what it tells is 0 otherwise.
    """
    if not sample.values:
        return
    explained = [explainer.contributions(row) for row in sample.values]
    names = list(explained[0])
    moved = np.abs(_centred([[row[name] for name in names] for row in explained]))
    for attribute, groups in sample.groups.items():
        known = np.array([group not in NOT_A_GROUP for group in groups])
        own = {
            c.name for c in contract.columns if c.protected and c.protected.attribute == attribute
        }
        tells = np.array(
            [1.0 if name in own else _tells(sample, name, groups, known) for name in names]
        )
        carries = tells >= limits.max_association
        part = moved[known]
        yield Influence(
            attribute=attribute,
            value=_carried(part, carries),
            p=_resampled_p(part, carries, limits),
            n=len(part),
            columns={
                name: (float(share), float(tell) if carrier else 0.0)
                for name, share, tell, carrier in zip(
                    names, part.sum(axis=0) / max(part.sum(), 1e-300), tells, carries, strict=True
                )
            },
        )


def _influence(found: Influence, p: float, carriers: Sequence[str], limits: WatchParams) -> Finding:
    enough = found.n >= limits.min_rows
    beyond = found.value > limits.max_influence and p < limits.alpha
    status: Status = "not-enough-data" if not enough else "alarm" if beyond else "ok"
    named = ", ".join(carriers) or "no column"
    return Finding(
        check="influence",
        of=found.attribute,
        measure="score",
        status=status,
        said=f"{found.attribute}: {named} carry {found.value:.1%} of what moves the score, at most "
        f"{limits.max_influence:.0%} (n={found.n})",
        value=finite(found.value),
        bound=limits.max_influence,
        p_adjusted=finite(p),
        n=found.n,
    )


def _carried(moved: Floats, carries: NDArray[np.bool_]) -> float:
    whole = moved.sum()
    return float(moved[:, carries].sum() / whole) if whole else 0.0


def _resampled_p(moved: Floats, carries: NDArray[np.bool_], limits: WatchParams) -> float:
    """Return how often the share is at most the bound when people are drawn anew."""
    if not len(moved):
        return math.nan
    rng = np.random.default_rng(limits.seed)
    parts = np.stack([moved[:, carries].sum(axis=1), moved.sum(axis=1)])
    drawn = parts[:, rng.integers(0, len(moved), (RESAMPLES, len(moved)))].sum(axis=2)
    below = drawn[0] <= limits.max_influence * drawn[1]
    return float((below.sum() + 1) / (RESAMPLES + 1))


def _tells(sample: Sampled, name: str, groups: Sequence[str], known: NDArray[np.bool_]) -> float:
    """Return how well a column tells the group: Cramer's V of its values, numbers in ten bins."""
    values = [row.get(name) for row in sample.values]
    codes = _coded(values)[known]
    _, of_group = np.unique(np.array(groups, dtype=str)[known], return_inverse=True)
    if not len(codes):
        return 0.0
    shape = (int(of_group.max()) + 1, int(codes.max()) + 1)
    table = np.bincount(of_group * shape[1] + codes, minlength=shape[0] * shape[1])
    return association(table.reshape(shape))


def _coded(values: Sequence[Value]) -> NDArray[np.int64]:
    if all(each is None or type(each) in (int, float) for each in values):
        numbers = np.array([math.nan if each is None else float(each) for each in values])  # type: ignore[arg-type]
        known = numbers[~np.isnan(numbers)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else known
        return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers))
    _, codes = np.unique(np.array([str(each) for each in values]), return_inverse=True)
    return codes.astype(np.int64)


def _centred(rows: Sequence[Sequence[float]]) -> Floats:
    found = np.array(rows, dtype=np.float64)
    return np.asarray(found - found.mean(axis=0))


def _reasons(groups: Mapping[str, Mapping[str, int]]) -> Counts:
    kept = {name: each for name, each in groups.items() if name not in NOT_A_GROUP}
    columns = sorted({column for each in kept.values() for column in each} - {NO_REASON})
    rows = [[each.get(column, 0) for column in columns] for each in kept.values()]
    return np.array(rows, dtype=np.int64).reshape(len(kept), len(columns))


def _independence_p(table: Counts) -> float:
    counts = _used(np.asarray(table, dtype=np.float64))
    if min(counts.shape, default=0) < 2:  # noqa: PLR2004
        return math.nan
    if len(counts) == 2:  # noqa: PLR2004
        return chi_square_p(counts[0], counts[1])
    return float(stats.chi2_contingency(counts).pvalue)


def _used(counts: Floats) -> Floats:
    """Return counts without empty rows and columns."""
    if counts.ndim != 2 or not counts.size:  # noqa: PLR2004
        return np.zeros((0, 0))
    kept = counts[counts.sum(axis=1) > 0]
    return np.asarray(kept[:, kept.sum(axis=0) > 0])
