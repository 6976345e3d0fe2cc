"""Sensitivity: what a changed input may change, and what it may not (metamorphic testing).

Relations that must hold between a person's margin and that of the same person a little different:
columns that the contract calls monotone move it their way; protected columns, the order of keys and
rows, the batch and columns that are no input move nothing; an error of measurement turns few
decisions; no ordinary change of one column alone turns most of them. Chen, Cheung and Yiu 1998.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from pipelines.contract import Column
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.records import Json
from pipelines.release.checks import _probe
from pipelines.release.checks._case import Case, Finding, Line, Table
from pipelines.release.checks._probe import Floats, Probe, is_quantity
from pipelines.release.policy import Thresholds as Base

ALONE = 10  # people who are asked one by one
DRAWS = 10  # of everybody's errors of measurement
ERROR = 0.01  # of a number's standard deviation; a count is off by one at most
ROUNDING = 1e-9  # log-odds


class Thresholds(Base, frozen=True):
    """Bounds of what changes may do.

    `monotone`: whether a column that moves the margin against the contract's direction gates.
    `max_protected_change`, in log-odds, by a protected column alone. `max_noise_flips`: the share
    of decisions that an error of measurement turns. `max_single_flips`: the share that an ordinary
    value of one column alone turns.
    """

    monotone: Literal["gate", "show"]
    max_protected_change: float
    max_noise_flips: float
    max_single_flips: float


def judge(case: Case, limits: Thresholds) -> Finding:
    """Ask the candidate about people of the test part, changed."""
    probe = _probe.make(case)
    varied = {column.name: probe.grid(column) for column in probe.columns}
    margins = probe.with_each(probe.codes(varied))
    noise = noise_flips(probe)
    shares = {name: turned(probe, each) for name, each in margins.items()}
    highest = sorted(shares, key=lambda name: -shares[name])
    table = Table(
        "What one column alone does, over its ordinary values",
        ("column", "values tried", "decisions that it turns", "moves the margin by up to"),
        tuple(_row(probe, name, margins[name], shares[name]) for name in highest),
    )
    protected = [each for each in probe.columns if each.role == "protected"]
    monotone = [each for each in probe.columns if each.monotone != "no"]
    lines = (
        *_protected(probe, protected, margins, limits),
        *_unmoved(case, probe),
        _noise(noise, limits),
        _alone(highest[0], shares[highest[0]], limits),
        *(_monotone(probe, each, margins[each.name], limits) for each in monotone),
    )
    evidence: dict[str, Json] = {
        "people": len(probe.people),
        "noise_flips": noise,
        "largest_single_flips": shares[highest[0]],
        "against_monotone": [
            each.name for each in monotone if against(each, margins[each.name]).any()
        ],
        "single_flips": {name: shares[name] for name in highest},
    }
    return Finding(lines, evidence, (table,))


def against(column: Column, margins: Floats) -> Floats:
    """Return how far each person's margin moves against a monotone column's direction, at most.

    `margins` has shape (values in rising order, people); 0 where it keeps to the direction.
    """
    sign = 1.0 if column.monotone == "increasing" else -1.0
    steps = sign * np.diff(margins, axis=0)
    worst = -np.minimum(steps.min(axis=0, initial=0.0), 0.0)
    return np.where(worst > ROUNDING, worst, 0.0)


def turned(probe: Probe, margins: Floats) -> float:
    """Return the share of people whose decision some value of one column turns."""
    before = probe.case.outcomes(probe.margins)
    return float((probe.case.outcomes(margins) != before).any(axis=0).mean())


def noise_flips(probe: Probe) -> float:
    """Return the share of decisions that errors of measurement in all quantities at once turn.

    A count is off by one or not at all; a number by a normal error of 1 % of its standard
    deviation. Nobody leaves the documented range; what is missing stays missing.
    """
    rng, flips = probe.case.rng(), []
    people = probe.people.iloc[np.tile(np.arange(len(probe.people)), DRAWS)].reset_index(drop=True)
    for column in filter(is_quantity, probe.columns):
        known = people[column.name].to_numpy(dtype=np.float64, na_value=np.nan)
        if column.kind == "integer":
            error = rng.integers(-1, 2, len(known)).astype(np.float64)
        else:
            deviation = probe.train[column.name].astype("float64").std()
            error = rng.normal(0.0, ERROR * float(np.nan_to_num(deviation)), len(known))
        people[column.name] = np.clip(known + error, column.minimum, column.maximum)
    after = probe.case.outcomes(probe.case.margins(people)).reshape(DRAWS, -1)
    flips = after != probe.case.outcomes(probe.margins)
    return float(flips.mean())


def _row(probe: Probe, name: str, margins: Floats, share: float) -> tuple[str | float, ...]:
    moved = float(np.abs(margins - probe.margins).max())
    return name, len(margins), f"{share:.1%}", round(moved, 3)


def _protected(
    probe: Probe, columns: list[Column], margins: dict[str, Floats], limits: Thresholds
) -> Iterator[Line]:
    for column in columns:
        moved = float(np.abs(margins[column.name] - probe.margins).max())
        share = turned(probe, margins[column.name])
        yield Line(
            name=f"{column.name} changed alone",
            outcome="pass" if moved <= limits.max_protected_change else "fail",
            observed=f"{column.name}, a protected column, moves the margin by up to {moved:.3f} "
            f"and turns {share:.1%} of {len(probe.people)} decisions",
            expected=f"at most {limits.max_protected_change:g} log-odds",
            value=moved,
        )
    if not columns:
        yield Line("protected columns", "pass", "no protected column is an input", "none is felt")


def _unmoved(case: Case, probe: Probe) -> Iterator[Line]:
    """Yield what may not change one bit of a margin."""
    people, expected = probe.people, probe.margins
    plan = compile_plan(case.model)
    others = case.rng().permutation(len(people))
    strange = people.copy()
    for name in set(people.columns) - set(case.candidate.features):
        strange[name] = people[name].to_numpy()[others]
    few = range(min(ALONE, len(people)))
    reversed_rows = [
        dict(reversed(list(row.items()))) for row in rows(people.head(ALONE), plan.inputs)
    ]
    asked = {
        "the order of columns": case.margins(people[people.columns[::-1]]) != expected,
        "the order of rows": case.margins(people.iloc[others]) != expected[others],
        "columns that are no input": case.margins(strange) != expected,
        "being asked alone": np.array(
            [case.margins(people.iloc[[at]])[0] != expected[at] for at in few]
        ),
        "the order of an application's fields": np.array(
            [plan.margin(row) != expected[at] for at, row in enumerate(reversed_rows)]
        ),
    }
    for name, moved in asked.items():
        yield Line(
            name=name,
            outcome="fail" if moved.any() else "pass",
            observed=f"{name} changes the margins of {int(moved.sum())} of {len(moved)} people",
            expected="none, bit for bit",
            value=float(moved.sum()),
        )


def _noise(share: float, limits: Thresholds) -> Line:
    return Line(
        name="errors of measurement",
        outcome="pass" if share <= limits.max_noise_flips else "fail",
        observed=f"errors of measurement turn {share:.2%} of decisions",
        expected=f"at most {limits.max_noise_flips:.2%}",
        value=share,
    )


def _alone(name: str, share: float, limits: Thresholds) -> Line:
    return Line(
        name="one column alone",
        outcome="pass" if share <= limits.max_single_flips else "fail",
        observed=f"an ordinary value of {name} alone turns {share:.1%} of decisions",
        expected=f"at most {limits.max_single_flips:.1%} by any one column",
        value=share,
    )


def _monotone(probe: Probe, column: Column, margins: Floats, limits: Thresholds) -> Line:
    moved = against(column, margins)
    count, worst = int((moved > 0.0).sum()), float(moved.max(initial=0.0))
    return Line(
        name=f"{column.name} is {column.monotone}",
        outcome="fail" if count else "pass",
        observed=f"{column.name} moves the margin of {count} of {len(probe.people)} people "
        f"against its direction, by up to {worst:.3f}",
        expected=f"{column.monotone} for everybody",
        value=worst,
        counts=limits.monotone == "gate",
    )
