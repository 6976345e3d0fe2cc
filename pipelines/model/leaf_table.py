"""What each leaf gives its columns, worked out once for a pattern and kept as whole numbers.

The doubles are those of `leaves.shares`, bit for bit: the same products, added exactly and rounded
once. On a grid of powers of two a double stands as two whole numbers, high and low, of which numpy
adds thousands exactly; each is a double itself, so the rounding of a sum is one addition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.model.leaf_patterns import WIDEST
from pipelines.model.leaves import Leaf, weight

MOST_KEPT: Final = 1 << 20  # shares, of 16 bytes each
DOUBLE: Final = 52  # bits of a whole number that is a double for certain, carry included
WHOLE: Final = 62  # bits that a sum may have
FINEST: Final = 900  # as a power of two: no number on a grid is ever subnormal
UNKNOWN, ASIDE = -1, -(1 << 31)  # ASIDE is no place even when an order is added
Whole = NDArray[np.int64]
Floats = NDArray[np.float64]
Counts = Sequence[tuple[int, int]]


class LeafTable:
    """The shares of leaves with few columns, by pattern; for many threads.

    `high` and `low` hold what a leaf's columns get, one after the other, from the place on that
    `places` returns: a share is (high * 2^limb + low) / 2^grid. At most `most` are added up.
    """

    def __init__(
        self, leaves: Sequence[Leaf], counts: Sequence[Counts], size: int, most: int
    ) -> None:
        self._leaves, self._size = leaves, size
        self._widths = np.array([len(leaf.players) for leaf in leaves], dtype=np.int64)
        patterns = np.left_shift(1, self._widths)
        self._first = np.cumsum(patterns) - patterns
        self._where = np.full(int(patterns.sum()), UNKNOWN, dtype=np.int32)
        self.limb = min(DOUBLE, WHOLE - max(most.bit_length(), WIDEST))
        top = max((math.frexp(leaf.value)[1] for leaf in leaves), default=0) + 1
        self.grid = max(0, min(2 * self.limb - top, FINEST))
        self._finer = min(self.grid, 2 * self.limb - top - size.bit_length())
        self._members(counts)
        numbers = range(WIDEST + 1)
        self._weights = np.array([[weight(a, b) if a else 0.0 for b in numbers] for a in numbers])
        self._bits = np.array([each.bit_count() for each in range(1 << WIDEST)])
        self.high, self.low = np.zeros((2, MOST_KEPT + WIDEST), dtype=np.int64)
        self._used = WIDEST  # the first ones stay zero: of a leaf that gives nobody anything
        self._lock = Lock()

    def places(self, patterns: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return where the shares of each leaf begin for its pattern; ASIDE where they do not fit.

        A pattern has a bit for each column, in the order of `players`, that speaks against a leaf.
        """
        entries = self._first + patterns
        found: NDArray[np.int32] = self._where[entries]
        fresh = np.flatnonzero(found == UNKNOWN)
        if len(fresh):
            found[fresh] = self._where[entries[fresh]] = self._learn(fresh, patterns[fresh])
        return found

    def _members(self, counts: Sequence[Counts]) -> None:
        """Lay out which patterns the reference's members make at each leaf, and how many do."""
        rows = [(at, *each) for at, one in enumerate(counts) for each in one]
        at, bits, people = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        self._lengths = np.array([len(each) for each in counts], dtype=np.int64)
        self._begin = np.cumsum(self._lengths) - self._lengths
        shifts = np.full((len(counts), WIDEST), WHOLE, dtype=np.int64)
        for place, leaf in enumerate(self._leaves):
            shifts[place, : len(leaf.players)] = [bit.bit_length() - 1 for bit, _ in leaf.players]
        set_bits = (bits[:, None] >> shifts[at]) & 1
        speaking = (set_bits << np.arange(WIDEST)).sum(axis=1)
        self._against = ~speaking & (np.left_shift(1, self._widths)[at] - 1)
        self._values = np.array([leaf.value for leaf in self._leaves])[at] * people

    def _learn(self, fresh: Whole, patterns: NDArray[np.int32]) -> NDArray[np.int32]:
        """Work out the shares of some leaves, one pattern each, and keep them."""
        found, sure = self._shares(fresh, patterns.astype(np.int64))
        high, low, fitting = _limbs(found, self.grid, self.limb)
        fits = sure & fitting.all(axis=1)
        widths = np.where(fits & found.any(axis=1), self._widths[fresh], 0)
        with self._lock:
            ends = self._used + np.cumsum(widths)
            if len(ends) and ends[-1] > len(self.high):
                return np.full(len(fresh), ASIDE, dtype=np.int32)
            begin, self._used = self._used, int(ends[-1])
        kept = np.arange(WIDEST) < widths[:, None]
        self.high[begin : ends[-1]], self.low[begin : ends[-1]] = high[kept], low[kept]
        where = np.where(widths > 0, ends - widths, 0)
        return np.where(fits, where, ASIDE).astype(np.int32)

    def _shares(self, fresh: Whole, patterns: Whole) -> tuple[Floats, NDArray[np.bool_]]:
        """Return what each column of some leaves gets, shape (leaves, WIDEST), and which is sure.

        Not sure is what holds a number that the grid is too coarse for.
        """
        lengths = self._lengths[fresh]
        starts = np.cumsum(lengths) - lengths
        rows = np.repeat(self._begin[fresh] - starts, lengths) + np.arange(lengths.sum())
        failed = np.repeat(patterns, lengths)
        own = self._against[rows]
        values = np.where(failed & own == 0, self._values[rows], 0.0)
        a, b = self._bits[own], self._bits[failed]
        *speaking, sure = _limbs(values * self._weights[a, b], self._finer, self.limb)
        *against, sure_too = _limbs(-values * self._weights[b, a], self._finer, self.limb)
        theirs = self._rounded(*(np.add.reduceat(each, starts) for each in against))
        found = np.zeros((len(fresh), WIDEST))
        for order in range(int(self._widths[fresh].max())):
            bit = own >> order & 1
            mine = self._rounded(*(np.add.reduceat(each * bit, starts) for each in speaking))
            found[:, order] = np.where(patterns >> order & 1, theirs, mine)
        return found / self._size, np.logical_and.reduceat(sure & sure_too, starts)

    def _rounded(self, high: Whole, low: Whole) -> Floats:
        """Return sums of limbs as doubles, each rounded once."""
        carry = low >> self.limb
        high, low = high + carry, low - (carry << self.limb)
        rounded: Floats = np.ldexp(high.astype(float), self.limb) + low
        return np.ldexp(rounded, -self._finer)


def _limbs(values: Floats, grid: int, limb: int) -> tuple[Whole, Whole, NDArray[np.bool_]]:
    """Return doubles as whole numbers of 2^-grid: high and low parts, and which fit."""
    scaled = np.ldexp(values, grid - limb)
    high = np.trunc(scaled)
    low = np.ldexp(scaled - high, limb)
    fits = (low == np.trunc(low)) & (np.abs(high) < 1 << limb)
    zero = np.zeros_like(high)
    return (
        np.where(fits, high, zero).astype(np.int64),
        np.where(fits, low, zero).astype(np.int64),
        fits,
    )
