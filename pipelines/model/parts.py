"""The two parts of a stored split as training and evaluation read them, digests checked first."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data.groups import as_text
from pipelines.errors import DataRefused, IntegrityBroken
from pipelines.layout import Layout
from pipelines.records import Split


def read(layout: Layout, split: Split, name: Literal["train", "test"]) -> pd.DataFrame:
    """Return one part, in pandas' nullable types. Raises NotThere, or IntegrityBroken."""
    path = layout.split_rows(name)
    observed, expected = sha256_file(path), split.parts[name].sha256
    if observed != expected:
        raise IntegrityBroken(
            f"the {name} part is not what the split's record says",
            observed=observed,
            expected=expected,
            hint="dvc checkout",
        )
    return pd.read_parquet(path, dtype_backend="numpy_nullable")


def favourable(frame: pd.DataFrame, contract: Contract) -> NDArray[np.int64]:
    """Return 1 where the target has its favourable value, else 0; a missing target is refused."""
    target = contract.target
    values = as_text(frame[target.name], target)
    if missing := int((values == "").sum()):
        raise DataRefused("rows without a target", where=target.name, observed=missing)
    wanted = as_text(pd.Series([target.favourable], dtype=object), target)[0]
    return np.asarray(values == wanted, dtype=np.int64)
