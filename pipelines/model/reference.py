"""Whom reasons compare with: a part of the training part, kept as counts and means.

Contributions against a population need no rows of it. A linear margin needs the mean of every
transformed column. A tree needs, for each leaf, which of the columns on the way there speak for
the leaf (a bit each) and of how many people that holds. So no person's row leaves the checkout.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from pipelines.errors import BadRequest, DataRefused
from pipelines.model import score
from pipelines.model.leaves import forest, satisfied
from pipelines.model.plan import Plan, Row
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from pipelines.params import LEAST_REFERENCE, ReferenceParams
from pipelines.records import Reference


def choose(
    margins: NDArray[np.float64], threshold: float, settings: ReferenceParams
) -> NDArray[np.int64]:
    """Return the positions of the reference's rows among the training part's.

    Applicants at or just above the cutoff: the lowest margins that are at or above it. All
    applicants: evenly spaced by margin. Equal margins keep the order of the rows. Raises
    DataRefused where so few people are left that means and counts would tell about each of them.
    """
    by_margin = np.argsort(margins, kind="stable")
    if settings.population == "above_cutoff":
        found = by_margin[margins[by_margin] >= threshold][: settings.size]
    elif len(by_margin) <= settings.size:
        found = by_margin
    else:
        middle = (2 * np.arange(settings.size) + 1) * len(by_margin) // (2 * settings.size)
        found = by_margin[middle]
    if len(found) < LEAST_REFERENCE:
        raise DataRefused(
            "too few applicants to compare others with",
            where="params.yaml: decide.reference",
            observed=len(found),
            expected=f"at least {LEAST_REFERENCE} of the training part",
        )
    return found


def chosen_rows(
    model: Pipeline,
    kind: MarginKind,
    frame: pd.DataFrame,
    threshold: float,
    settings: ReferenceParams,
) -> pd.DataFrame:
    """Return the reference's rows out of the training part."""
    return frame.iloc[choose(score.margins(model, frame, kind), threshold, settings)]


def of_rows(plan: Plan, population: str, found: Sequence[Row]) -> Reference:
    """Return the reference that these typed rows make."""
    size = len(found)
    transformed = [plan.transformed(row) for row in found]
    means = [math.fsum(column) / size for column in zip(*transformed, strict=True)]
    return Reference(
        population=population,
        size=size,
        plan_sha256=plan.sha256,
        margin=(math.fsum(plan.margin(row) for row in found) / size).hex(),
        means=() if plan.trees else tuple(mean.hex() for mean in means),
        leaves=_counted(plan, transformed) if plan.trees else (),
    )


def make(
    model: Pipeline,
    kind: MarginKind,
    frame: pd.DataFrame,
    threshold: float,
    settings: ReferenceParams,
) -> Reference | None:
    """Return the reference of a model out of its training part; None for one without a plan."""
    try:
        plan = compile_plan(model)
    except BadRequest:
        return None
    found = chosen_rows(model, kind, frame, threshold, settings)
    return of_rows(plan, settings.population, list(rows(found, plan.inputs)))


def _counted(
    plan: Plan, transformed: Iterable[list[float]]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    trees = forest(plan)
    by_row = [satisfied(trees, values) for values in transformed]
    counts = (Counter(masks) for masks in zip(*by_row, strict=True))
    return tuple(tuple(sorted(each.items())) for each in counts)
