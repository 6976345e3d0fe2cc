"""The score as Clew defines it: a margin in log-odds that does not depend on how it is computed.

Linear models: the products of weights and transformed values, added from the first column to the
last, then the intercept; every product and every sum is one IEEE 754 double operation. A BLAS
product would change with the batch, the kernel and the number of threads. Trees: the sum of the
leaves in the order of the trees, which is scikit-learn's own raw prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipelines.errors import BadRequest

if TYPE_CHECKING:  # what a plan scores needs neither
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

MarginKind = Literal["linear", "trees"]
COLUMNS, ESTIMATOR, TEXTS = "columns", "estimator", "texts"
KINDS: dict[str, MarginKind] = {
    "LogisticRegression": "linear",
    "HistGradientBoostingClassifier": "trees",
}
DATES = ("date", "datetime", "datetime64")


def margins(model: Pipeline, frame: pd.DataFrame, kind: MarginKind) -> NDArray[np.float64]:
    """Return the margin in log-odds of every row, shape (rows,).

    `frame` holds the contract's typed columns, the model's inputs among them. A row scores the
    same bits alone and in any batch. Raises BadRequest for a missing column or a wrong `kind`.
    """
    rows = transformed(model, frame)
    return estimator_margins(model.named_steps[ESTIMATOR], rows, kind)


def transformed(model: Pipeline, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return the estimator's inputs, shape (rows, transformed columns)."""
    columns = model.named_steps[COLUMNS]
    return np.asarray(columns.transform(prepare(columns, frame)), dtype=np.float64)


def estimator_margins(
    fitted: object, rows: NDArray[np.float64], kind: MarginKind
) -> NDArray[np.float64]:
    """Return the margins of already transformed rows."""
    if KINDS.get(type(fitted).__name__) != kind:
        raise BadRequest(
            "the model is not of the kind it shall be scored as",
            observed=type(fitted).__name__,
            expected=kind,
        )
    if kind == "linear":
        return _linear(rows, fitted.coef_[0], float(fitted.intercept_[0]))  # type: ignore[attr-defined]
    raw = fitted.decision_function(rows)  # type: ignore[attr-defined]
    return np.asarray(raw, dtype=np.float64)


def probabilities(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of the favourable target: derived, and never what is decided on."""
    return np.asarray(expit(margin), dtype=np.float64)


def prepare(columns: ColumnTransformer, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a ColumnTransformer's input: texts as objects, all else as doubles, missing as NaN.

    Dates are days since 1970-01-01. Raises BadRequest naming a missing or unusable column.
    """
    import pandas as pd

    parts = [(part, name) for part, _, names in columns.transformers for name in names]
    absent = [name for _, name in parts if name not in frame.columns]
    if absent:
        raise BadRequest("the model needs a column that is not there", observed=absent[0])
    found = {name: (_text if part == TEXTS else _number)(frame[name]) for part, name in parts}
    return pd.DataFrame(found, index=frame.index)


def _linear(
    rows: NDArray[np.float64], weights: NDArray[np.float64], intercept: float
) -> NDArray[np.float64]:
    total = np.zeros(len(rows))
    for column, weight in enumerate(weights):
        total += rows[:, column] * weight
    return total + intercept


def _text(values: pd.Series) -> pd.Series:
    text = values.astype("object")
    return text.where(values.notna(), np.nan)


def _number(values: pd.Series) -> NDArray[np.float64]:
    import pandas as pd

    if pd.api.types.infer_dtype(values, skipna=True) in DATES:
        since = pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")
        return np.asarray(since / pd.Timedelta(days=1), dtype=np.float64)
    try:
        return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):
        # The library's message quotes the value; a person's value belongs in no message.
        raise BadRequest("a column does not hold numbers", observed=values.name) from None
