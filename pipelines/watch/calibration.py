"""The chance of a favourable target by margin, as the test part showed it.

Neighbouring bins of the margin are pooled until the share of favourable targets never falls as the
margin grows (pool adjacent violators, Ayer et al. 1955); half a person is added to each side of a
pool, so that no chance is 0 or 1.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

from pipelines.data import cube
from pipelines.data.sketch import Counts, Floats
from pipelines.release.baseline import Scored

UNFAVOURABLE, FAVOURABLE = (cube.LABELS.index(each) for each in ("unfavourable", "favourable"))


def labelled(scored: Scored) -> Counts:
    """Return labelled people by bin of the margin, shape (bins, 2): unfavourable, favourable."""
    table: Counts = scored.table().sum(axis=1)[:, [UNFAVOURABLE, FAVOURABLE]]
    return table


def chances(scored: Scored) -> Floats:
    """Return each bin's chance of a favourable target, shape (bins,)."""
    return pooled(labelled(scored))


def pooled(table: Counts | Floats) -> Floats:
    """Return the pooled share of favourable targets of counts of the shape (bins, 2).

    A bin without people has the chance of the bin before it.
    """
    people = np.asarray(table.sum(axis=1), dtype=np.float64)
    used = people > 0
    if not used.any():
        return np.full(len(people), 0.5)
    favourable = np.asarray(table[used, 1], dtype=np.float64)
    starts = isotonic_regression(favourable / people[used], weights=people[used]).blocks
    sums = [np.add.reduceat(each, starts[:-1]) for each in (favourable, people[used])]
    shares = np.repeat((sums[0] + 0.5) / (sums[1] + 1.0), np.diff(starts))
    return np.asarray(shares[np.maximum(np.cumsum(used) - 1, 0)])
