"""Which values of the unique columns stand in a landing twice, found out of core."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.contract import Column
from pipelines.data import cast
from pipelines.data.schema import DIGEST, digests

BUCKETS = 64


def find(
    chunks: Iterable[pa.Table], columns: Sequence[Column], scratch: Path
) -> dict[str, np.ndarray]:
    """Return for each column the digests that occur more than once among all chunks.

    Digests go to bucket files by their first byte and each bucket is counted alone, so memory
    holds a 64th of them; the files stand within `scratch` meanwhile. Which of two rows is the
    right one is not known: both are refused.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unique-", dir=scratch) as folder:
        homes = {column.name: Path(folder) / str(at) for at, column in enumerate(columns)}
        for home in homes.values():
            home.mkdir()
        for chunk in chunks:
            for column in columns:
                values = cast.cast(chunk[column.name].combine_chunks(), column).values
                _spread(digests(values), homes[column.name])
        return {name: _twice(home) for name, home in homes.items()}


def _spread(found: np.ndarray, home: Path) -> None:
    first = found.view(np.uint8).reshape(-1, DIGEST.itemsize)[:, 0] % BUCKETS
    for bucket in np.unique(first):
        with (home / str(bucket)).open("ab") as file:
            file.write(found[first == bucket].tobytes())


def _twice(home: Path) -> np.ndarray:
    repeated = [np.empty(0, DIGEST), *map(_repeated, sorted(home.iterdir()))]
    return np.concatenate(repeated)


def _repeated(path: Path) -> np.ndarray:
    values, counts = np.unique(np.fromfile(path, DIGEST), return_counts=True)
    return values[counts > 1]
