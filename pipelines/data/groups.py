"""The protected group of every row, as the contract tells it from its protected columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.contract import Column, Contract, Protected

UNKNOWN = "unknown"
SEVERAL = "several"
Names = NDArray[np.object_]


def groups(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return one text column per protected attribute: the name of each row's group.

    `unknown` where the columns are missing or none applies, `several` where two different groups
    apply. `frame` holds the contract's typed columns; its index is kept.
    """
    found = {name: _attribute(frame, contract, name) for name in contract.attributes}
    return pd.DataFrame(found, index=frame.index)


def _attribute(frame: pd.DataFrame, contract: Contract, attribute: str) -> Names:
    named = np.full(len(frame), UNKNOWN, dtype=object)
    for column in contract.columns:
        if column.protected and column.protected.attribute == attribute:
            named = _merge(named, _of_column(frame[column.name], column, column.protected))
    return named


def _merge(former: Names, found: Names) -> Names:
    """Join what two columns say of the same rows; empty text says nothing."""
    says = found != ""
    clash = says & (former != UNKNOWN) & (former != found)
    return np.where(clash, SEVERAL, np.where(says, found, former)).astype(object)


def _of_column(values: pd.Series, column: Column, protected: Protected) -> Names:
    if protected.bands:
        return _banded(values, protected)
    text = as_text(values, column)
    if protected.group is not None:
        return np.where(np.isin(text, ["1", "true"]), protected.group, "").astype(object)
    if protected.groups is not None:
        return np.array([protected.groups.get(item, "") for item in text], dtype=object)
    return text


def _banded(values: pd.Series, protected: Protected) -> Names:
    number = pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    named = np.full(len(number), "", dtype=object)
    for band in reversed(protected.bands or ()):
        inside = ~np.isnan(number) if band.below is None else number < band.below
        named[inside] = band.name
    return named


def as_text(values: pd.Series, column: Column) -> Names:
    """Return each value as the contract writes it: 1 and not 1.0, true and not True.

    A missing value is empty text.
    """
    if column.kind == "integer":
        values = values.astype("Int64")
    text = values.astype("string").fillna("")
    if column.kind == "number":
        text = text.str.replace(r"\.0$", "", regex=True)
    text = text.str.lower() if column.kind == "boolean" else text
    return text.to_numpy(dtype=object)
