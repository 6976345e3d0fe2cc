"""Asking a candidate about people who differ from real ones in one column or several.

Every input column is coded on its own, so a changed column is coded once for each value and put
into the people's coded rows: margins of millions of such people cost a second, and are the bits
that the whole rows would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.contract import Column
from pipelines.model import score
from pipelines.model.plan import Value
from pipelines.model.plan_compiler import compile_plan
from pipelines.release.checks._case import TEST, TRAIN, Case

Floats = NDArray[np.float64]
# Of a larger test part as many, evenly spaced: enough to know a share to two percent.
MOST_PEOPLE = 2000
MOST_VALUES = 32
CENTRAL = (0.05, 0.25, 0.5, 0.75, 0.95)
NUMERIC = frozenset({"integer", "number"})


@dataclass(frozen=True, eq=False)
class Probe:
    """People of the test part as the estimator sees them, and what values columns may take.

    `coded` has shape (people, transformed columns); `places` are a column's places in it.
    """

    case: Case
    people: pd.DataFrame
    train: pd.DataFrame
    columns: tuple[Column, ...]
    places: Mapping[str, NDArray[np.int64]]
    coded: Floats
    margins: Floats

    def of(self, coded: Floats) -> Floats:
        """Return the margins of coded rows."""
        fitted = self.case.model.named_steps[score.ESTIMATOR]
        return score.estimator_margins(fitted, coded, self.case.candidate.margin)

    def codes(self, values: Mapping[str, Sequence[Value]]) -> dict[str, Floats]:
        """Return, for each column, the codes of its values: (values, the column's places)."""
        sizes = [len(each) for each in values.values()]
        rows = self.people.iloc[np.zeros(sum(sizes), dtype=np.int64)].reset_index(drop=True)
        ends = np.cumsum(sizes)
        for (name, each), end in zip(values.items(), ends, strict=True):
            own = rows[name].copy()
            own.iloc[end - len(each) : end] = pd.Series(list(each), dtype=own.dtype)
            rows[name] = own
        coded = score.transformed(self.case.model, rows)
        parts = zip(values.items(), ends, strict=True)
        return {
            name: coded[end - len(each) : end][:, self.places[name]] for (name, each), end in parts
        }

    def with_each(self, codes: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return everybody's margins with one column at each of its codes: (values, people)."""
        return {
            name: np.stack([self._set(name, one) for one in each]) for name, each in codes.items()
        }

    def _set(self, name: str, code: Floats) -> Floats:
        coded = self.coded.copy()
        coded[:, self.places[name]] = code
        return self.of(coded)

    def grid(self, column: Column) -> tuple[Value, ...]:
        """Return the values that a column takes in ordinary life, in rising order.

        The documented ones, or else those that training saw most often; of a number with none
        documented, its quantiles CENTRAL in the training part. At most MOST_VALUES, evenly spaced;
        of a column that training has no value of, missing alone.
        """
        known = self.train[column.name].dropna()
        if column.allowed is not None:
            found = [typed(column, each) for each in column.allowed]
        elif column.kind in NUMERIC and len(known):
            central = known.astype("float64").quantile(CENTRAL, interpolation="nearest")
            found = [typed(column, each) for each in set(central.tolist())]
        else:
            often = MOST_VALUES if column.kind == "string" else None
            found = known.value_counts().index[:often].tolist()
        found.sort()
        step = max(len(found) / MOST_VALUES, 1.0)
        return tuple(found[int(at * step)] for at in range(min(len(found), MOST_VALUES))) or (None,)

    def spread(self, column: Column) -> float:
        """Return a number's median absolute deviation in the training part, or its standard one."""
        known = self.train[column.name].dropna().to_numpy(dtype=np.float64)
        if not len(known):
            return 1.0
        found = float(np.median(np.abs(known - np.median(known))))
        return found or float(known.std()) or 1.0


def make(case: Case) -> Probe:
    """Read the candidate's people. Raises BadRequest for a model without a plan."""
    plan = compile_plan(case.model)
    people = case.rows(TEST)
    if len(people) > MOST_PEOPLE:
        people = people.iloc[np.arange(MOST_PEOPLE) * len(people) // MOST_PEOPLE]
    sources = np.array(plan.sources, dtype=object)
    coded = score.transformed(case.model, people)
    fitted = case.model.named_steps[score.ESTIMATOR]
    return Probe(
        case=case,
        people=people.reset_index(drop=True),
        train=case.rows(TRAIN),
        columns=tuple(case.contract.column(name) for name in case.candidate.features),
        places={name: np.flatnonzero(sources == name) for name in plan.inputs},
        coded=coded,
        margins=score.estimator_margins(fitted, coded, case.candidate.margin),
    )


def is_quantity(column: Column) -> bool:
    """Say whether a column is an amount or a count, and no code."""
    return column.kind in NUMERIC and column.allowed is None


def typed(column: Column, value: object) -> Value:
    """Return a value as the column's kind."""
    if column.kind == "integer":
        return round(float(value))  # type: ignore[arg-type]
    return float(value) if column.kind == "number" else value  # type: ignore[return-value,arg-type]
