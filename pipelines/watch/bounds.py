"""Whether outcomes stay between the shares that the user set, and on the control chart.

A bound is broken when the share lies outside and an exact binomial test, corrected over all bounds
(Benjamini and Hochberg), says that chance does not put it there. The control chart is a p-chart
(Shewhart): former windows give the centre, and the limits widen as a window gets smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipelines.data import cube
from pipelines.data.sketch import Counts
from pipelines.records import Json
from pipelines.release.baseline import Baseline, Scored
from pipelines.release.checks._statistics import benjamini_hochberg
from pipelines.watch.findings import Finding, Status, finite
from pipelines.watch.profile import WindowProfile
from pipelines.watch.tables import REFUSE, everybody, tables
from pipelines.watch_params import Bound, WatchParams

CHARTED = ("approve", "refer")
LEAST_GROUP = 30


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many had an outcome: `of` everybody, a band, a group or an intersection."""

    bound: Bound
    of: str
    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole if self.whole else math.nan

    @property
    def p(self) -> float:
        """The exact binomial p-value that the true share lies within the bound it is beyond."""
        if not self.whole:
            return math.nan
        if self.value < self.bound.low:
            return float(stats.binom.cdf(self.part, self.whole, self.bound.low))
        if self.value > self.bound.high:
            return float(stats.binom.sf(self.part - 1, self.whole, self.bound.high))
        return 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One window on the control chart."""

    start: str
    rates: dict[str, int]
    people: int


def findings(
    profile: WindowProfile, baseline: Baseline, limits: WatchParams
) -> tuple[Finding, ...]:
    """Judge every bound of the params."""
    shares = [each for bound in limits.bounds for each in _shares(bound, profile, baseline, limits)]
    corrected = benjamini_hochberg([each.p for each in shares])
    return tuple(
        _finding(each, float(p), limits) for each, p in zip(shares, corrected, strict=True)
    )


def bands(scored: Scored, reference: Scored, count: int) -> Counts:
    """Return people by score band and outcome, shape (bands, outcomes); the lowest scores first.

    The bands are of about equal size in the reference.
    """
    then = reference.table().sum(axis=(1, 2))
    before = np.cumsum(then) - then
    place = np.minimum(before * count // max(int(then.sum()), 1), count - 1)
    found = np.zeros((count, len(cube.OUTCOMES)), dtype=np.int64)
    np.add.at(found, place, scored.table().sum(axis=2))
    return found


def band_table(profile: WindowProfile, baseline: Baseline, limits: WatchParams) -> list[Json]:
    """Return the outcomes of each score band."""
    found = bands(profile.scored, baseline.scored, limits.bands)
    return [
        {"band": number, **dict(zip(cube.OUTCOMES, row, strict=True))}
        for number, row in enumerate(found.tolist(), 1)
    ]


def _shares(
    bound: Bound, profile: WindowProfile, baseline: Baseline, limits: WatchParams
) -> Iterator[Share]:
    for of, by_outcome in _parts(bound, profile, baseline, limits):
        if bound.name in ("", of):
            refused = int(by_outcome[REFUSE])
            whole = int(by_outcome.sum()) - (0 if bound.outcome == "refuse" else refused)
            yield Share(bound, of, int(by_outcome[cube.OUTCOMES.index(bound.outcome)]), whole)


def _parts(
    bound: Bound, profile: WindowProfile, baseline: Baseline, limits: WatchParams
) -> Iterator[tuple[str, Counts]]:
    if bound.of == "overall":
        yield "everybody", everybody(profile.cube).sum(axis=1)
    elif bound.of == "band":
        rows = bands(profile.scored, baseline.scored, limits.bands)
        yield from ((str(number), row) for number, row in enumerate(rows, 1))
    else:
        for each in tables(profile.cube, limits.crossed):
            if each.crossed == (bound.of == "intersection"):
                for name, counts in zip(each.names, each.counts.sum(axis=2), strict=True):
                    yield f"{each.attribute}: {name}", counts


def _finding(found: Share, p: float, limits: WatchParams) -> Finding:
    bound = found.bound
    interval = clopper_pearson(found.part, found.whole, limits.confidence)
    inside = bound.low <= found.value <= bound.high
    least = limits.min_rows if bound.of == "overall" else LEAST_GROUP
    status: Status = "not-enough-data"
    if found.whole >= least:
        status = "ok" if inside else "alarm" if p < limits.alpha else "not-enough-data"
    where = found.of if bound.of != "band" else f"score band {found.of}"
    return Finding(
        check="bounds",
        of=where,
        measure=bound.outcome,
        status=status,
        said=f"{where}: {bound.outcome} {found.value:.1%} of {found.whole} (interval "
        f"{interval[0]:.1%} to {interval[1]:.1%}), to stay between {bound.low:.1%} and "
        f"{bound.high:.1%}",
        value=finite(found.value),
        bound=bound.low if found.value < bound.low else bound.high,
        p=finite(found.p),
        p_adjusted=finite(p),
        n=found.whole,
    )


def clopper_pearson(part: int, whole: int, confidence: float) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1.0 - confidence) / 2.0
    low = float(stats.beta.ppf(tail, part, whole - part + 1)) if part else 0.0
    high = float(stats.beta.ppf(1.0 - tail, part + 1, whole - part)) if part < whole else 1.0
    return low, high


def point(profile: WindowProfile, start: str) -> Point:
    """Return a window as it stands on the chart: of people who were not refused."""
    by_outcome = everybody(profile.cube).sum(axis=1)
    rates = {name: int(by_outcome[cube.OUTCOMES.index(name)]) for name in CHARTED}
    return Point(start, rates, int(by_outcome.sum()) - int(by_outcome[REFUSE]))


def centre(outcome: str, former: Sequence[Point], tested: Point) -> tuple[float, int]:
    """Return the chart's centre and on how many people it stands: former windows, else tests."""
    known = [each for each in former if each.people] or [tested]
    people = sum(each.people for each in known)
    return (sum(each.rates[outcome] for each in known) / people if people else math.nan), people


def control(
    now: Point, former: Sequence[Point], baseline: Baseline, limits: WatchParams
) -> tuple[tuple[Finding, ...], list[Json]]:
    """Judge a window's rates by the p-chart, and return the chart.

    Alarms: a point beyond `control_sigmas` standard errors, or `control_run` points in a row on
    one side of the centre (Western Electric rules, 1956). The error counts the centre's own.
    """
    by_outcome = everybody(baseline.tested).sum(axis=1)
    rates = {name: int(by_outcome[cube.OUTCOMES.index(name)]) for name in CHARTED}
    tested = Point("", rates, int(by_outcome.sum()))
    found = tuple(_charted(name, now, former, tested, limits) for name in CHARTED)
    chart: list[Json] = [
        {"start": each.start, "people": each.people, **each.rates} for each in (*former, now)
    ]
    return found, chart


def _charted(
    outcome: str, now: Point, former: Sequence[Point], tested: Point, limits: WatchParams
) -> Finding:
    middle, people = centre(outcome, former, tested)
    value = now.rates[outcome] / now.people if now.people else math.nan
    spread = middle * (1.0 - middle)
    error = math.sqrt(spread * (1.0 / max(now.people, 1) + 1.0 / max(people, 1)))
    reach = limits.control_sigmas * error
    beyond = abs(value - middle) > reach
    rates = [each.rates[outcome] / each.people for each in (*former, now) if each.people]
    last = rates[-limits.control_run :]
    sides = {math.copysign(1.0, each - middle) for each in last if each != middle}
    run = len(last) == limits.control_run and len(sides) == 1 and middle not in last
    enough = now.people >= limits.min_rows and people >= limits.min_rows
    status: Status = "not-enough-data" if not enough else "alarm" if beyond or run else "ok"
    because = f"; {limits.control_run} windows in a row on one side" if run else ""
    return Finding(
        check="control",
        of="everybody",
        measure=outcome,
        status=status,
        said=f"{outcome} {value:.1%}, centre {middle:.1%} of {people} people, limits "
        f"{middle - reach:.1%} to {middle + reach:.1%}{because}",
        value=finite(value),
        bound=finite(reach),
        floor=finite(error),
        n=now.people,
    )
