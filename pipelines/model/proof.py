"""The proof that a plan and the pipeline it was compiled from give the same bits.

Compared are all rows of the split, and edge cases made from one of them: every column missing,
every known and an unknown category, zeros of both signs, subnormal and huge numbers, the ends of
the range, and the values on and next to every threshold of every tree.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from pipelines.errors import BadRequest
from pipelines.model import score
from pipelines.model.plan import LEAF, Plan, number
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows, values
from pipelines.model.score import MarginKind
from pipelines.records import PlanProof

SMALLEST = 5e-324
LARGE = 1e300
EVERYWHERE = (
    0.0,
    -0.0,
    SMALLEST,
    -SMALLEST,
    sys.float_info.min,
    -sys.float_info.min,
    LARGE,
    -LARGE,
    0.5,
)
UNSEEN = "\N{SNOWMAN} no such value"
STRANGE = (UNSEEN, "", " ", "nan", "None")
BATCH = 20_000


def prove(
    model: Pipeline, kind: MarginKind, model_sha256: str, frames: Iterable[pd.DataFrame]
) -> PlanProof:
    """Compile a model and compare it with itself on the frames' rows and on edge cases.

    The frames hold the contract's typed columns. A pipeline without a plan, or one differing bit,
    is no error: it is said in the record, and then scikit-learn scores.
    """
    try:
        plan = compile_plan(model)
    except BadRequest as error:
        return _record(model_sha256, None, because=f"{error.what}: {error.observed}")
    counts = {"rows": 0, "edge_cases": 0, "differing": 0}
    first = None
    for frame in frames:
        if frame.empty:
            continue
        first = frame if first is None else first
        counts["rows"] += len(frame)
        counts["differing"] += differing(plan, model, kind, frame)
    if first is None:
        return _record(model_sha256, plan, because="there were no rows to compare")
    for edges in edge_cases(plan, first):
        counts["edge_cases"] += len(edges)
        counts["differing"] += differing(plan, model, kind, edges)
    wrong = counts["differing"]
    because = f"{wrong} rows have another bit than scikit-learn gives" if wrong else ""
    return _record(model_sha256, plan, because=because, **counts)


def differing(plan: Plan, model: Pipeline, kind: MarginKind, frame: pd.DataFrame) -> int:
    """Return how many rows' margins differ in a bit; a NaN equals a NaN."""
    expected = score.margins(model, frame, kind)
    observed = np.array([plan.margin(row) for row in rows(frame, plan.inputs)], dtype=np.float64)
    same = bits(expected) == bits(observed)
    return int((~(same | (np.isnan(expected) & np.isnan(observed)))).sum())


def bits(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bits of doubles as whole numbers: -0.0 is not 0.0 here."""
    return np.ascontiguousarray(values).view(np.int64)


def edge_cases(plan: Plan, frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield frames of edge cases: the first row, with one input at a time set to each edge."""
    base = frame[list(plan.inputs)].iloc[[0]]
    yield from _number_edges(plan, frame, base)
    for each in plan.categories:
        known: list[object] = [value for value in each.places if value is not None]
        odd = list(STRANGE) if each.text else [-1.0, -0.0, LARGE, 0.5]
        yield _varied(base, each.name, [*known, *odd, None], text=each.text)
    yield pd.DataFrame(dict.fromkeys(plan.inputs), index=base.index, dtype=object)


def _number_edges(plan: Plan, frame: pd.DataFrame, base: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for place, each in enumerate(plan.numbers):
        there = [number(value) for value in values(frame[each.name]) if value is not None]
        at = {*_thresholds(plan, place), *([min(there), max(there)] if there else [])}
        near = [float(np.nextafter(value, to)) for value in at for to in (-np.inf, np.inf)]
        found = [value for value in (*EVERYWHERE, *sorted(at), *sorted(near)) if np.isfinite(value)]
        for first in range(0, len(found) + 1, BATCH):
            yield _varied(base, each.name, [*found[first : first + BATCH], None], text=False)


def _thresholds(plan: Plan, place: int) -> set[float]:
    return {
        node.threshold
        for tree in plan.trees
        for node in tree
        if node.place == place and node.place != LEAF
    }


def _varied(base: pd.DataFrame, name: str, found: list[object], *, text: bool) -> pd.DataFrame:
    """Repeat one row with a column set to each value; its type follows the values."""
    made = pd.concat([base] * len(found), ignore_index=True)
    kind: Any = pd.StringDtype() if text else "float64"
    made[name] = pd.Series(found, dtype=kind)
    return made


def _record(
    model_sha256: str,
    plan: Plan | None,
    *,
    because: str,
    rows: int = 0,
    edge_cases: int = 0,
    differing: int = 0,
) -> PlanProof:
    return PlanProof(
        model_sha256=model_sha256,
        plan_sha256=plan.sha256 if plan else None,
        rows=rows,
        edge_cases=edge_cases,
        differing=differing,
        proven=plan is not None and not because,
        because=because,
    )
