"""Leakage: an input that gives the target away, or that has no business being an input."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.contract import Contract
from pipelines.records import Json
from pipelines.release.checks._case import TEST, TRAIN, Bars, Case, Finding, Line, finite
from pipelines.release.checks._statistics import roc_auc
from pipelines.release.policy import Thresholds as Base

FOLDS = 5
BINS = 20
FORBIDDEN = ("subject", "event_time", "target", "ignored")
MISSING = -1


class Thresholds(Base, frozen=True):
    """`max_single_roc_auc`: no input alone may tell the target better than this."""

    max_single_roc_auc: float


def codes(values: pd.Series, bins: int = BINS) -> NDArray[np.int64]:
    """Return a category code a row: quantile bins of a number, values of anything else.

    Missing values are a category of their own (-1), for being missing can give the target away.
    """
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        number = values.to_numpy(dtype=np.float64, na_value=np.nan)
        known = ~np.isnan(number)
        code = np.full(len(number), MISSING, dtype=np.int64)
        if known.any():
            edges = np.unique(np.quantile(number[known], np.linspace(0.0, 1.0, bins + 1)))
            code[known] = np.searchsorted(edges, number[known], side="left")
        return code
    return pd.factorize(values)[0].astype(np.int64)


def out_of_fold_rate(
    code: NDArray[np.int64], target: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return, per row, the favourable share of its category among the rows of the other folds.

    A category that only one fold has gets the overall share, so that a column of unique values
    does not seem to tell everything.
    """
    fold = rng.permutation(len(code)) % FOLDS
    size = int(code.max(initial=MISSING)) + 2
    rate = np.empty(len(code))
    for each in range(FOLDS):
        inside, rest = fold == each, fold != each
        people = np.bincount(code[rest] + 1, minlength=size)
        chosen = np.bincount(code[rest] + 1, weights=target[rest], minlength=size)
        overall = target[rest].mean() if rest.any() else 0.0
        by_code = np.divide(chosen, people, out=np.full(size, overall), where=people > 0)
        rate[inside] = by_code[code[inside] + 1]
    return rate


def single_roc_auc(values: pd.Series, target: NDArray[np.int64], rng: np.random.Generator) -> float:
    """Return how well one input alone tells the target: the best ROC AUC of two readings.

    As an order (numbers only, missing values last or first) and as categories by their
    out-of-fold share of the favourable target, which also sees a relation that is not monotone.
    NaN when the target has one value only.
    """
    readings = [roc_auc(target, out_of_fold_rate(codes(values), target, rng))]
    if pd.api.types.is_numeric_dtype(values):
        number = values.to_numpy(dtype=np.float64, na_value=np.nan)
        for end in (-np.inf, np.inf):
            ordered = roc_auc(target, np.where(np.isnan(number), end, number))
            readings += [ordered, 1.0 - ordered]
    return float(np.max(readings))


def forbidden_inputs(features: tuple[str, ...], contract: Contract) -> tuple[str, ...]:
    """Return the model's inputs that the contract gives another role, or does not know."""
    roles = {column.name: column.role for column in contract.columns}
    return tuple(name for name in features if roles.get(name, "ignored") in FORBIDDEN)


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge each of the candidate's inputs on the training part."""
    train, test = case.rows(TRAIN), case.rows(TEST)
    target, rng = case.favourable(train), case.rng()
    areas = {
        name: single_roc_auc(train[name], target, rng)
        for name in sorted(case.candidate.features)
        if name in train.columns
    }
    strongest = sorted(areas, key=lambda name: -np.nan_to_num(areas[name], nan=np.inf))
    subject = case.contract.subject.name
    shared = int(train[subject].isin(test[subject]).sum())
    lines = (
        *(_strength(name, areas[name], limits) for name in strongest),
        _inputs(case),
        Line(
            name="people in both parts",
            outcome="pass" if shared == 0 else "fail",
            observed=f"{shared} rows of the training part belong to people of the test part",
            expected="none",
            value=float(shared),
        ),
    )
    evidence: dict[str, Json] = {
        "single_roc_auc": {name: finite(areas[name]) for name in strongest},
        "rows_of_people_in_both_parts": shared,
        "n": len(train),
    }
    shown = strongest[:BINS]
    values = tuple(finite(areas[name]) for name in shown)
    bars = Bars(
        "ROC AUC of each input alone", tuple(shown), values, bound=limits.max_single_roc_auc
    )
    return Finding(lines, evidence, (bars,))


def _strength(name: str, area: float, limits: Thresholds) -> Line:
    return Line(
        name=f"{name} alone",
        outcome="pass" if area <= limits.max_single_roc_auc else "fail",
        observed=f"{name} alone tells the target with ROC AUC {area:.3f}",
        expected=f"at most {limits.max_single_roc_auc:.3f} for any one input",
        value=finite(area),
    )


def _inputs(case: Case) -> Line:
    wrong = forbidden_inputs(case.candidate.features, case.contract)
    return Line(
        name="inputs by role",
        outcome="fail" if wrong else "pass",
        observed=f"inputs that are none: {', '.join(wrong)}" if wrong else "all inputs may be used",
        expected="features, and protected columns where the recipe says so",
        value=float(len(wrong)),
    )
