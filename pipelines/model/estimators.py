"""From a recipe and the contract to a scikit-learn pipeline.

A pipeline has two named steps: `columns`, a ColumnTransformer with the parts `numbers`, `codes`
(enumerated numbers and booleans) and `texts`, and `estimator`. The contract's kinds decide which
part a column belongs to; no column is known by name here.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from threadpoolctl import threadpool_limits

from pipelines.contract import Column, Contract
from pipelines.errors import BadRequest, did_you_mean
from pipelines.model.score import COLUMNS, ESTIMATOR, KINDS, TEXTS, MarginKind, prepare
from pipelines.params import Recipe

NUMBERS, CODES = "numbers", "codes"
MAX_CATEGORIES = 32
CLASSES = {
    "logistic_regression": LogisticRegression,
    "hist_gradient_boosting": HistGradientBoostingClassifier,
}
# Set by Clew for every estimator: a hyperparameter may not say otherwise.
RESERVED = ("random_state", "n_jobs", "monotonic_cst", "warm_start", "verbose")
DIRECTIONS = {"increasing": 1, "decreasing": -1, "no": 0}


def margin_kind(recipe: Recipe) -> MarginKind:
    """Return how the recipe's estimator is scored."""
    return KINDS[CLASSES[recipe.estimator].__name__]


def inputs(contract: Contract, recipe: Recipe) -> tuple[Column, ...]:
    """Return the model's input columns, in the contract's order.

    Features less `recipe.exclude`; protected columns only with `protected_as_features`. Raises
    BadRequest when `exclude` names no input, or leaves none.
    """
    roles = {"feature", "protected"} if recipe.protected_as_features else {"feature"}
    usable = [column for column in contract.columns if column.role in roles]
    names = [column.name for column in usable]
    for name in recipe.exclude:
        if name not in names:
            raise BadRequest(
                "exclude names no input column",
                where="params.yaml: candidates",
                observed=name,
                expected="a column of role feature",
                hint=did_you_mean(name, names) or "clew contract",
            )
    kept = tuple(column for column in usable if column.name not in recipe.exclude)
    if not kept:
        raise BadRequest("exclude leaves no input column", where="params.yaml: candidates")
    return kept


def transformer(
    columns: Sequence[Column], frame: pd.DataFrame, kind: MarginKind
) -> ColumnTransformer:
    """Return the unfitted ColumnTransformer of `columns`; numbers come first in its output.

    Categories are the contract's where it lists them, else the training frame's most frequent
    MAX_CATEGORIES; a missing value is a category of its own, an unknown one is all zeros.
    """
    parts: dict[str, list[Column]] = {NUMBERS: [], CODES: [], TEXTS: []}
    for column in columns:
        parts[part_of(column)].append(column)
    made = [
        (NUMBERS, _numbers(kind), [column.name for column in parts[NUMBERS]]),
        (CODES, _one_hot([_codes(c) for c in parts[CODES]]), [c.name for c in parts[CODES]]),
        (
            TEXTS,
            _one_hot([_texts(c, frame[c.name]) for c in parts[TEXTS]]),
            [c.name for c in parts[TEXTS]],
        ),
    ]
    return ColumnTransformer([part for part in made if part[2]], sparse_threshold=0.0)


def part_of(column: Column) -> str:
    """Return the part a column belongs to.

    A column the score shall be monotone in, or with many codes, is a number: its order counts.
    """
    if column.kind == "string":
        return TEXTS
    if column.kind == "boolean":
        return CODES
    few = column.allowed is not None and len(column.allowed) <= MAX_CATEGORIES
    return CODES if few and column.monotone == "no" else NUMBERS


def is_number(column: Column) -> bool:
    """Say whether a column enters the model as a number."""
    return part_of(column) == NUMBERS


def _numbers(kind: MarginKind) -> object:
    if kind == "trees":
        return "passthrough"
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    return Pipeline([("impute", fill), ("scale", StandardScaler())])


def _one_hot(categories: list[NDArray[np.generic]]) -> OneHotEncoder:
    return OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False)


def _codes(column: Column) -> NDArray[np.float64]:
    known = (0, 1) if column.kind == "boolean" else column.allowed or ()
    codes = sorted({float(value) for value in known})
    return np.array(codes if column.required else [*codes, np.nan])


def _texts(column: Column, values: pd.Series) -> NDArray[np.object_]:
    counts = values.astype("object").dropna().astype(str).value_counts()
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES]
    known = column.allowed if column.allowed is not None else [name for name, _ in frequent]
    names: list[object] = [*sorted(str(name) for name in known)]
    return np.array(names if column.required else [*names, np.nan], dtype=object)


def classifier_for(recipe: Recipe, monotone: Sequence[int]) -> ClassifierMixin:
    """Return the unfitted classifier: one thread, explicit seed, hyperparameters checked by name.

    `monotone` holds +1, 0 or -1 for every transformed column; trees keep to it. Raises BadRequest.
    """
    kind = CLASSES[recipe.estimator]
    known = [name for name in inspect.signature(kind).parameters if name not in RESERVED]
    for name in recipe.hyperparameters:
        if name not in known:
            raise BadRequest(
                f"{recipe.estimator} has no such hyperparameter to set",
                where="params.yaml: candidates",
                observed=name,
                expected="set by Clew" if name in RESERVED else ", ".join(known),
                hint=did_you_mean(name, known),
            )
    own: dict[str, object] = {"random_state": recipe.seed}
    own |= {"monotonic_cst": list(monotone)} if margin_kind(recipe) == "trees" else {}
    return kind(**recipe.hyperparameters, **own)


def directions(columns: Sequence[Column], width: int) -> list[int]:
    """Return the monotone direction of each of `width` transformed columns, numbers first."""
    numbers = [DIRECTIONS[column.monotone] for column in columns if is_number(column)]
    return numbers + [0] * (width - len(numbers))


def fit_columns(
    columns: Sequence[Column], frame: pd.DataFrame, kind: MarginKind
) -> tuple[ColumnTransformer, NDArray[np.float64]]:
    """Fit the transformer on `frame`; return it with the transformed rows."""
    unfitted = transformer(columns, frame, kind)
    fitted = unfitted.fit(prepare(unfitted, frame))
    return fitted, np.ascontiguousarray(fitted.transform(prepare(fitted, frame)), dtype=np.float64)


@contextmanager
def fitting(recipe: Recipe) -> Iterator[None]:
    """Fit with one thread; a refused hyperparameter or a fit that does not converge: BadRequest."""
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            yield
        except (InvalidParameterError, ConvergenceWarning) as error:
            raise BadRequest(
                f"{recipe.estimator} refused its hyperparameters",
                where="params.yaml: candidates",
                observed=str(error).splitlines()[0],
                hint="change the hyperparameters in params.yaml",
            ) from None


def assemble(columns: ColumnTransformer, fitted: ClassifierMixin) -> Pipeline:
    """Return the pipeline of two fitted steps."""
    return Pipeline([(COLUMNS, columns), (ESTIMATOR, fitted)])
