"""Robustness: values at and beyond the edges, and applicants who change little to be approved.

Whatever an application holds, the candidate gives a finite margin, the same way whether it is asked
about a table or about one row. And few of the declined people are approved by a small change of
what they can change (evasion; the cost is that of Wachter, Mittelstadt and Russell 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Column
from pipelines.data.rules import required
from pipelines.model.plan import Row, Value
from pipelines.model.plan_compiler import compile_plan
from pipelines.records import Json
from pipelines.release.checks import _probe
from pipelines.release.checks._case import Case, Finding, Line, Table
from pipelines.release.checks._evasion import approved_share
from pipelines.release.checks._probe import NUMERIC, Floats, Probe, typed
from pipelines.release.policy import Thresholds as Base

PEOPLE = 50  # who take the extreme values of one column after the other
COMBINATIONS = 2000
ALONE = 200  # combinations that are asked one by one as well
MOST = 2.0**53  # beyond it nothing is admitted, where nobody documented a range
UNHEARD = "\u2205 unheard of"


class Thresholds(Base, frozen=True):
    """`max_evasion_share` of at least `min_people` declined people are approved by a change.

    The change costs at most `evasion_budget` median absolute deviations, over all columns that a
    person can act on.
    """

    evasion_budget: float
    max_evasion_share: float
    min_people: int


def judge(case: Case, limits: Thresholds) -> Finding:
    """Ask the candidate about extreme people, and about declined ones who change a little."""
    probe = _probe.make(case)
    inside = {column.name: edges(column, probe) for column in probe.columns}
    outside = {column.name: tuple(beyond(column)) for column in probe.columns}
    outside = {name: values for name, values in outside.items() if values}
    declined = probe.people[case.outcomes(probe.margins) < 0]
    budgets = limits.evasion_budget, 2.0 * limits.evasion_budget
    shares = {
        each: approved_share(probe, declined, each) if len(declined) else float("nan")
        for each in budgets
    }
    share = shares[limits.evasion_budget]
    table = Table(
        "Declined people whom a change of this cost approves",
        ("median absolute deviations", "share"),
        tuple((each, f"{found:.1%}") for each, found in shares.items()),
    )
    lines = (
        _finite("values at the edge of what is documented", _each(probe, inside)),
        _finite("values beyond what is documented", _each(probe, outside)),
        *_combined(probe, inside),
        _evasion(share, len(declined), limits),
    )
    evidence: dict[str, Json] = {
        "declined": len(declined),
        "evasion_share": share if len(declined) else None,
    }
    return Finding(lines, evidence, (table,))


def edges(column: Column, probe: Probe) -> tuple[Value, ...]:
    """Return the extreme values that an application may hold: a range's ends, every code, missing.

    A number without a documented range reaches as far as admission lets it.
    """
    found: list[Value] = list(probe.grid(column))
    if column.kind in NUMERIC and column.allowed is None:
        low = -MOST if column.minimum is None else column.minimum
        high = MOST if column.maximum is None else column.maximum
        found = [typed(column, low), typed(column, high)]
    return (*found, *(() if required(column) else (None,)))


def beyond(column: Column) -> Iterator[Value]:
    """Yield values that nobody documented: admission refers them to a person, or refuses them."""
    if column.kind in NUMERIC:
        yield from (typed(column, -MOST), typed(column, MOST), typed(column, 0.0))
    elif column.kind == "string":
        yield from ("", UNHEARD)


def _each(probe: Probe, values: dict[str, tuple[Value, ...]]) -> Floats:
    some = replace(probe, coded=probe.coded[:PEOPLE])
    found = some.with_each(some.codes(values)) if values else {}
    return np.concatenate([np.zeros(0), *(margins.ravel() for margins in found.values())])


def _combined(probe: Probe, values: dict[str, tuple[Value, ...]]) -> Iterator[Line]:
    """Yield the lines on made-up people who are extreme in every column at once."""
    rng, codes = probe.case.rng(), probe.codes(values)
    picks = {name: rng.integers(0, len(each), COMBINATIONS) for name, each in codes.items()}
    coded = np.zeros((COMBINATIONS, probe.coded.shape[1]))
    for name, pick in picks.items():
        coded[:, probe.places[name]] = codes[name][pick]
    margins = probe.of(coded)
    yield _finite("people extreme in every column at once", margins)
    plan = compile_plan(probe.case.model)
    alone = np.array([plan.margin(_row(values, picks, at)) for at in range(ALONE)])
    differ = int((alone != margins[:ALONE]).sum())
    yield Line(
        name="extreme people asked alone",
        outcome="fail" if differ else "pass",
        observed=f"{differ} of {ALONE} extreme people get another margin alone than in a table",
        expected="none, bit for bit",
        value=float(differ),
    )


def _row(values: dict[str, tuple[Value, ...]], picks: dict[str, NDArray[np.int64]], at: int) -> Row:
    return {name: values[name][pick[at]] for name, pick in picks.items()}


def _finite(name: str, margins: Floats) -> Line:
    wrong = int((~np.isfinite(margins)).sum())
    return Line(
        name=name,
        outcome="fail" if wrong else "pass",
        observed=f"{name}: {wrong} of {len(margins)} margins are no finite number",
        expected="every margin is a finite number",
        value=float(wrong),
    )


def _evasion(share: float, declined: int, limits: Thresholds) -> Line:
    held = share <= limits.max_evasion_share
    return Line(
        name="evasion",
        outcome=("pass" if held else "fail")
        if declined >= limits.min_people
        else "not-enough-data",
        observed=f"a change of {limits.evasion_budget:g} median absolute deviations approves "
        f"{share:.1%} of {declined} declined people",
        expected=f"at most {limits.max_evasion_share:.1%} of at least {limits.min_people} people",
        value=share if declined else None,
    )
