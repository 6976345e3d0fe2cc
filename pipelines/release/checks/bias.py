"""Bias: selection rates, equal opportunity and predictive parity, by group and intersection.

The definitions exclude one another, so all are shown and the pack names the one that gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.model import group_metrics
from pipelines.model.group_metrics import GroupCounts
from pipelines.records import Json, Outcome
from pipelines.release.checks._case import Bars, Case, Finding, Line, Table, finite
from pipelines.release.checks._statistics import fisher, holm
from pipelines.release.policy import Thresholds as Base

Definition = Literal["selection_rate", "equal_opportunity", "predictive_parity"]
EVERY = "*"
NAMED_FROM = 5
MEASURE: dict[Definition, str] = {
    "selection_rate": "impact_ratio",
    "equal_opportunity": "equal_opportunity_difference",
    "predictive_parity": "predictive_parity_difference",
}
WORDS: dict[Definition, str] = {
    "selection_rate": "selection-rate ratio",
    "equal_opportunity": "true-positive-rate difference",
    "predictive_parity": "positive-predictive-value difference",
}


class Thresholds(Base, frozen=True):
    """When a disparity fails.

    `definition` gates, for `attributes` ("*": all that the contract names). `intersections` of
    two attributes: `gate` like a single one, `gate-if-significant` (a group too small to judge is
    shown only), or `show`. `min_ratio` bounds the selection-rate ratio (UGESP, 29 CFR 1607.4(D)),
    `max_difference` the absolute differences; `alpha` is for Fisher's exact test with Holm's
    correction within one attribute; groups under `min_group_size` are marked as small.
    """

    definition: Definition
    attributes: tuple[str, ...]
    intersections: Literal["gate", "gate-if-significant", "show"]
    min_ratio: float
    max_difference: float
    alpha: float
    min_group_size: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group against the group with the highest selection rate, by one definition."""

    attribute: str
    group: str
    reference: str
    definition: Definition
    n: int
    value: float
    low: float
    high: float
    p: float
    small: bool


def compare(
    attribute: str, counts: GroupCounts, min_size: int, drawn: NDArray[np.int64], confidence: float
) -> Iterator[Comparison]:
    """Compare every known group with the reference by every definition.

    `drawn` are bootstrap tables of `counts`, shape (samples, groups, 2, 2). Nothing is yielded
    when no group is large enough to be the reference.
    """
    reference = counts.reference(min_size)
    if reference is None:
        return
    labels, known = _labels(counts), counts.eligible(1)
    known[reference] = False
    point = group_metrics.against_reference(counts.table, reference)
    spread = group_metrics.against_reference(drawn, reference)
    p = _p_values(counts, reference, known)
    for definition, measure in MEASURE.items():
        low, high = group_metrics.interval(spread[measure], confidence)
        for index in np.flatnonzero(known):
            yield Comparison(
                attribute=attribute,
                group=labels[index],
                reference=labels[reference],
                definition=definition,
                n=int(counts.sizes[index]),
                value=float(point[measure][index]),
                low=float(low[index]),
                high=float(high[index]),
                p=float(p[index]) if definition == "selection_rate" else float("nan"),
                small=bool(counts.sizes[index] < min_size),
            )


def outcome(found: Comparison, limits: Thresholds) -> Outcome:
    """Judge one comparison.

    A disparity beyond the bound fails when it is significant and is not-enough-data otherwise; a
    small group without one is not-enough-data too. An undefined selection-rate ratio (nobody of
    the reference is selected) fails: it must not pass as "not below the bound".
    """
    if found.definition == "selection_rate":
        if np.isnan(found.value):
            return "fail"
        beyond = found.value < limits.min_ratio
        significant = found.p < limits.alpha
    else:
        beyond = not abs(found.value) <= limits.max_difference
        significant = found.low > 0.0 or found.high < 0.0
    if beyond:
        return "fail" if significant else "not-enough-data"
    return "not-enough-data" if found.small else "pass"


def line(found: Comparison, limits: Thresholds, gates: bool, confidence: float) -> Line:
    """Say one comparison in words."""
    result = outcome(found, limits)
    lenient = group_metrics.JOINED in found.attribute and (
        limits.intersections == "show"
        or (limits.intersections == "gate-if-significant" and result == "not-enough-data")
    )
    return Line(
        name=f"{WORDS[found.definition]}, {found.attribute}: {found.group}",
        outcome=result,
        observed=_said(found, confidence),
        expected=_wanted(found.definition, limits),
        value=finite(found.value),
        counts=gates and found.definition == limits.definition and not lenient,
    )


def gating(
    attributes: tuple[str, ...], limits: Thresholds
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which of the contract's attributes gate, and which of the pack's the data lack."""
    if EVERY in limits.attributes:
        return attributes, ()
    there = tuple(name for name in attributes if name in limits.attributes)
    return there, tuple(name for name in limits.attributes if name not in attributes)


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge the candidate's decisions on the test part."""
    scores, settings = case.scores, case.params.evaluate
    columns = {
        attribute: scores[column].to_numpy()
        for attribute, column in group_metrics.group_columns(scores).items()
    }
    there, lacking = gating(tuple(columns), limits)
    favourable = scores["favourable"].to_numpy(np.int64)
    tables = _tables(columns, favourable, scores["target"].to_numpy(np.int64))
    rng, found, nothing = case.rng(), list[Comparison](), list[Line]()
    for attribute, counts in tables.items():
        drawn = group_metrics.bootstrap(counts.table, settings.bootstrap_samples, rng)
        mine = list(compare(attribute, counts, limits.min_group_size, drawn, settings.confidence))
        found += mine
        nothing += [] if mine else [_nothing(attribute, counts, limits, _gates(attribute, there))]
    found.sort(key=_goodness)
    lines = [
        *nothing,
        *(line(each, limits, _gates(each.attribute, there), settings.confidence) for each in found),
    ]
    return Finding(
        tuple(lines), _evidence(found, tables, limits, lacking), _pictures(found, tables, limits)
    )


def _gates(attribute: str, there: tuple[str, ...]) -> bool:
    """Say whether every attribute of an intersection is one that gates."""
    return set(attribute.split(group_metrics.JOINED)) <= set(there)


def _tables(
    columns: Mapping[str, NDArray[np.object_]],
    favourable: NDArray[np.int64],
    target: NDArray[np.int64],
) -> dict[str, GroupCounts]:
    every = dict(columns) | group_metrics.intersections(columns)
    return {name: group_metrics.count(each, favourable, target) for name, each in every.items()}


def _p_values(counts: GroupCounts, reference: int, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    selected, raw = counts.table[:, 1, :].sum(axis=-1), np.full(len(counts.names), np.nan)
    for index in np.flatnonzero(known):
        raw[index] = fisher(
            int(selected[index]),
            int(counts.sizes[index]),
            int(selected[reference]),
            int(counts.sizes[reference]),
        )
    return holm(raw)


def _labels(counts: GroupCounts) -> list[str]:
    """Return group names; a group of so few that it points at persons is not named."""
    return [
        name if size >= NAMED_FROM else f"group {number} of fewer than {NAMED_FROM}"
        for number, (name, size) in enumerate(zip(counts.names, counts.sizes, strict=True), 1)
    ]


def _said(found: Comparison, confidence: float) -> str:
    p = "" if np.isnan(found.p) else f", p={found.p:.2g}"
    small = ", a small group" if found.small else ""
    between = " / " if group_metrics.JOINED in found.attribute else "/"
    return (
        f"{found.group}{between}{found.reference} {WORDS[found.definition]} {found.value:.2f} "
        f"({confidence * 100:.0f} % CI {found.low:.2f} to {found.high:.2f}, n={found.n}{p}{small})"
    )


def _wanted(definition: Definition, limits: Thresholds) -> str:
    if definition == "selection_rate":
        return (
            f"at least {limits.min_ratio:.2f} of the highest group's rate; below it, a failure "
            f"when Fisher's exact test with Holm's correction gives p < {limits.alpha:g}"
        )
    return f"between -{limits.max_difference:.2f} and {limits.max_difference:.2f}"


def _nothing(attribute: str, counts: GroupCounts, limits: Thresholds, gates: bool) -> Line:
    crossed = group_metrics.JOINED in attribute
    return Line(
        name=f"{WORDS[limits.definition]}, {attribute}",
        outcome="not-enough-data",
        observed=f"the largest group of {attribute} has {max(counts.sizes, default=0)} people",
        expected=f"a group of at least {limits.min_group_size}",
        counts=gates and not (crossed and limits.intersections != "gate"),
    )


def _goodness(each: Comparison) -> tuple[bool, float]:
    """Order comparisons: single attributes first, then the worst; an undefined one is the worst."""
    crossed = group_metrics.JOINED in each.attribute
    if np.isnan(each.value):
        return crossed, -np.inf
    return crossed, each.value if each.definition == "selection_rate" else 1.0 - abs(each.value)


def _evidence(
    found: list[Comparison],
    tables: Mapping[str, GroupCounts],
    limits: Thresholds,
    lacking: tuple[str, ...],
) -> dict[str, Json]:
    comparisons: list[Json] = [
        {
            "attribute": each.attribute,
            "group": each.group,
            "reference": each.reference,
            "definition": each.definition,
            "n": each.n,
            "value": finite(each.value),
            "low": finite(each.low),
            "high": finite(each.high),
            "p_holm": finite(each.p),
            "small": each.small,
            "outcome": outcome(each, limits),
        }
        for each in found
    ]
    counts: dict[str, Json] = {
        attribute: dict(zip(_labels(table), table.table.tolist(), strict=True))
        for attribute, table in tables.items()
    }
    return {"comparisons": comparisons, "counts": counts, "not_in_the_data": list(lacking)}


def _pictures(
    found: list[Comparison], tables: Mapping[str, GroupCounts], limits: Thresholds
) -> tuple[Table | Bars, ...]:
    chosen = [each for each in found if each.definition == limits.definition]
    bars = Bars(
        title=f"{WORDS[limits.definition]} with its bootstrap interval",
        labels=tuple(f"{each.attribute}: {each.group}" for each in chosen),
        values=tuple(finite(each.value) for each in chosen),
        low=tuple(finite(each.low) for each in chosen),
        high=tuple(finite(each.high) for each in chosen),
        bound=limits.min_ratio if limits.definition == "selection_rate" else None,
    )
    rows: list[tuple[str | float | int | None, ...]] = []
    for attribute, table in tables.items():
        rates = {name: rate(table.table) for name, rate in group_metrics.RATES.items()}
        for index, label in enumerate(_labels(table)):
            size = int(table.sizes[index])
            small = "small" if size < limits.min_group_size else ""
            shown = [finite(values[index]) for values in rates.values()]
            rows.append((attribute, label, size, small, *shown))
    columns = ("attribute", "group", "people", "size", *group_metrics.RATES)
    return bars, Table("All definitions side by side", columns, tuple(rows))
