"""The chance of a favourable target by margin, as the test part showed it.

Neighbouring bins of the margin are pooled until the share of favourable targets never falls as the
margin grows (pool adjacent violators, Ayer et al. 1955); half a person is added to each side of a
pool, so that no chance is 0 or 1.
"""

from __future__ import annotations

import numpy as np

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
    """Return the pooled share of favourable targets of counts of the shape (bins, 2)."""
    pools: list[tuple[float, float, int]] = []
    for unfavourable, favourable in table.tolist():
        pools.append((unfavourable, favourable, 1))
        while len(pools) > 1 and not _rises(pools[-2], pools[-1]):
            last, former = pools.pop(), pools.pop()
            pools.append((former[0] + last[0], former[1] + last[1], former[2] + last[2]))
    shares = [(pool[1] + 0.5) / (pool[0] + pool[1] + 1.0) for pool in pools]
    return np.repeat(shares, [pool[2] for pool in pools])


def _rises(former: tuple[float, float, int], last: tuple[float, float, int]) -> bool:
    """Say whether the share of `last` is above that of `former`; one without people has none."""
    return former[1] * (last[0] + last[1]) < last[1] * (former[0] + former[1])
