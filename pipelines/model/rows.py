"""A typed frame's rows as plain Python values: what one application is once it is admitted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from pipelines.model.plan import Row, Value


def rows(frame: pd.DataFrame, names: Iterable[str]) -> Iterator[Row]:
    """Yield a frame's rows as typed values by name: what one application is once admitted."""
    wanted = list(names)
    columns = [values(frame[name]) for name in wanted]
    for cells in zip(*columns, strict=True):
        yield dict(zip(wanted, cells, strict=True))


def values(column: pd.Series) -> list[Value]:
    """Return a typed column as Python values; missing ones are None."""
    found = zip(column.tolist(), column.isna().tolist(), strict=True)
    return [None if missing else _python(each) for each, missing in found]


def _python(value: object) -> Value:
    if isinstance(value, pd.Timestamp):
        moment = value.to_pydatetime(warn=False)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if isinstance(value, np.generic):
        found: Value = value.item()
        return found
    return value  # type: ignore[return-value]
