"""Sketches of columns that merge exactly: any cut of the rows, in any order, gives the same sketch.

How a column is counted is fixed beforehand, by its axis, so that whatever was counted apart can be
added. Everything kept is an integer, a least or a greatest value. Numbers are rounded to a grid of
about two thousand steps a standard deviation of the reference, and bins and moments are of whole
steps; such sums are exact whatever their order, which sums of floating-point numbers are not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.errors import BadRequest
from pipelines.records import Record

BINS: Final = 200
DISTINCT: Final = 20
KNOWN: Final = 1000
NAMED_FROM: Final = 5  # a value of fewer people is kept as a digest, never as text
MARKS: Final = 64
BLOCK: Final = 1 << 16
# Steps to each side of the centre that are counted one by one: about eight deviations.
NEAR: Final = 1 << 14
# Squares of at most 2^28 of fewer rows than this add up to less than 2^63.
FEW_ENOUGH: Final = 1 << 34
# Up to this many steps squares are summed as doubles: 2^16 of them below 2^36 each add up to less
# than 2^53, so every partial sum is a whole number that a double holds.
FAR: Final = 2.0**18
FARTHEST: Final = 2.0**500  # a value beyond this many steps counts as this far
STEPS_PER_DEVIATION: Final = 11  # as a power of two
SPREADS: Final = ((0.1, 0.9, 2.56), (0.01, 0.99, 4.65))  # quantiles, and deviations between them
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Codes = NDArray[np.int64]


class NumberAxis(Record, frozen=True, tag="number"):
    """How a numeric column is counted.

    A bin holds the values above the edge before it and up to its own, all of them rounded to steps
    of ``2**exponent`` from `centre`.
    """

    edges: tuple[float, ...]
    centre: float
    exponent: int


class CategoryAxis(Record, frozen=True, tag="category"):
    """The values a text or boolean column had in the reference, the most frequent first.

    A value of few people stands as its digest. Without `complete` there were more values than are
    listed, and one that is not listed need not be new.
    """

    known: tuple[str, ...]
    complete: bool


Axis = NumberAxis | CategoryAxis


class Numbers(Record, frozen=True, tag="number"):
    """What was counted of a numeric column; `counts` has one more item than the axis has edges.

    `missing` are nulls and NaN; `not_finite` are infinities, which are in no bin and no moment.
    `total` and `squares` are whole numbers of steps and of squared steps, as text.
    """

    rows: int
    missing: int
    not_finite: int
    minimum: float | None
    maximum: float | None
    total: str
    squares: str
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many values are in the bins."""
        return self.rows - self.missing - self.not_finite


class Categories(Record, frozen=True, tag="category"):
    """What was counted of a text or boolean column: `counts` of the axis's known values, in order.

    `new` are rows with another value. `marks` holds the 64 least digests of those values, each
    with its rows: enough to tell how many different ones there are, and no value of a person.
    """

    rows: int
    missing: int
    counts: tuple[int, ...]
    new: int
    marks: dict[str, int]

    @property
    def count(self) -> int:
        """How many rows have a value."""
        return self.rows - self.missing


Sketch = Numbers | Categories


def mark(text: str) -> str:
    """Return the digest that stands for a value: ``#`` and 16 hexadecimal digits."""
    return f"#{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def number_axis(values: Floats, bins: int = BINS) -> NumberAxis:
    """Return the axis of a sample: quantile bins, or a bin a value where there are few of them."""
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return NumberAxis(edges=(), centre=0.0, exponent=0)
    distinct = np.unique(known)
    if len(distinct) > DISTINCT:
        steps = np.arange(1, bins) / bins
        distinct = np.append(np.unique(np.quantile(known, steps, method="lower")), np.inf)
    exponent = max(math.frexp(_spread(known))[1] - STEPS_PER_DEVIATION, -1000)
    centre = math.ldexp(round(math.ldexp(float(np.median(known)), -exponent)), exponent)
    return on_grid(distinct[:-1].tolist(), centre, exponent)


def on_grid(edges: Iterable[float], centre: float, exponent: int) -> NumberAxis:
    """Return an axis with these edges; of those on one step of the grid the first is kept."""
    found: dict[float, float] = {}
    for edge in sorted(edges):
        found.setdefault(float(np.rint(math.ldexp(edge - centre, -exponent))), edge)
    return NumberAxis(edges=tuple(found.values()), centre=centre, exponent=exponent)


def _spread(ordered: Floats) -> float:
    """Return about a standard deviation of the bulk: a few values far out do not widen it."""
    for low, high, deviations in SPREADS:
        first, last = np.quantile(ordered, [low, high])
        if last > first:
            return float(last - first) / deviations
    return float(np.std(ordered)) or abs(float(ordered[0])) or 1.0


def category_axis(counted: Mapping[str, int], complete: bool) -> CategoryAxis:
    """Return the axis of counted values: the most frequent, rare ones as digests."""
    first = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:KNOWN]
    return CategoryAxis(
        known=tuple(text if count >= NAMED_FROM else mark(text) for text, count in first),
        complete=complete and len(counted) <= KNOWN,
    )


@dataclass
class NumberTally:
    """Counts one numeric column: steps near the centre one by one, the others at once."""

    axis: NumberAxis
    rows: int = 0
    missing: int = 0
    not_finite: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: int = 0
    squares: int = 0

    def __post_init__(self) -> None:
        self._bins = np.zeros(len(self.axis.edges) + 1, dtype=np.int64)
        self._steps = np.zeros(2 * NEAR + 1, dtype=np.int64)
        self._scale = 2.0**-self.axis.exponent
        self._edges = np.rint((np.array(self.axis.edges) - self.axis.centre) * self._scale)

    def add(self, values: pa.Array | Floats) -> None:
        """Count a batch: an Arrow array of numbers, or doubles with NaN where missing."""
        numbers = floats(values)
        for start in range(0, len(numbers), BLOCK):
            self._block(numbers[start : start + BLOCK])

    def _block(self, values: Floats) -> None:
        self.rows += len(values)
        low, high = values.min(), values.max()
        if not (math.isfinite(low) and math.isfinite(high)):
            values = self._only_finite(values)
            if not len(values):
                return
            low, high = values.min(), values.max()
        self.minimum = min(self.minimum, float(low) + 0.0)  # 0.0 and never -0.0
        self.maximum = max(self.maximum, float(high) + 0.0)
        with np.errstate(over="ignore"):
            steps = values - self.axis.centre
            steps *= self._scale
            np.rint(steps, out=steps)
            ends = (float(low) - self.axis.centre, float(high) - self.axis.centre)
        if max(-ends[0], ends[1]) * self._scale > NEAR:
            near = np.abs(steps) <= NEAR
            self._far(np.sort(steps[~near]))
            steps = steps[near]
        steps += NEAR
        self._steps += np.bincount(steps.astype(np.int64), minlength=len(self._steps))

    def _only_finite(self, values: Floats) -> Floats:
        finite = np.isfinite(values)
        missing = int(np.isnan(values).sum())
        self.missing += missing
        self.not_finite += len(values) - missing - int(finite.sum())
        return values[finite]

    def _far(self, ordered: Floats) -> None:
        """Count values more than eight deviations away, in ascending order."""
        ends = np.searchsorted(ordered, self._edges, side="right")
        self._bins += np.diff(ends, prepend=0, append=len(ordered))
        first, last = np.searchsorted(ordered, [-FAR, FAR])
        inner = ordered[first:last]
        self.total += int(inner.sum())
        self.squares += int(inner @ inner)
        for outer in (ordered[:first], ordered[last:]):
            exact = [int(each) for each in outer.clip(-FARTHEST, FARTHEST).tolist()]
            self.total += sum(exact)
            self.squares += sum(each * each for each in exact)

    def _near(self) -> tuple[Counts, int, int]:
        """Return what the counted steps come to: bins, sum and sum of squares."""
        before = np.concatenate([[0], np.cumsum(self._steps)])
        ends = before[(np.clip(self._edges, -NEAR - 1, NEAR) + NEAR + 1).astype(np.int64)]
        whole = np.int64 if self.rows < FEW_ENOUGH else object
        steps, counts = np.arange(-NEAR, NEAR + 1).astype(whole), self._steps.astype(whole)
        return (
            np.diff(ends, prepend=0, append=before[-1]),
            int(steps @ counts),
            int((steps * steps) @ counts),
        )

    def sketch(self) -> Numbers:
        """Return what was counted."""
        there = self.rows > self.missing + self.not_finite
        bins, total, squares = self._near()
        return Numbers(
            rows=self.rows,
            missing=self.missing,
            not_finite=self.not_finite,
            minimum=self.minimum if there else None,
            maximum=self.maximum if there else None,
            total=str(self.total + total),
            squares=str(self.squares + squares),
            counts=tuple((self._bins + bins).tolist()),
        )


@dataclass
class CategoryTally:
    """Counts one text or boolean column."""

    axis: CategoryAxis
    rows: int = 0
    missing: int = 0
    new: int = 0
    marks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = [0] * len(self.axis.known)
        self._places = {value: place for place, value in enumerate(self.axis.known)}

    def add(self, values: pa.Array) -> None:
        """Count a batch; an empty text is a missing value."""
        self.add_counted(counted(values), len(values))

    def add_counted(self, found: Iterable[tuple[str, int]], rows: int) -> None:
        """Count `rows` rows of which the texts are counted already; the others are missing."""
        self.rows += rows
        self.missing += rows
        for text, count in found:
            self.missing -= count
            place = self._places.get(text)
            if place is None:
                place = self._places.get(digest := mark(text))
            if place is not None:
                self.counts[place] += count
            else:
                self.new += count
                self.marks[digest] = self.marks.get(digest, 0) + count
        self.marks = _least(self.marks)

    def sketch(self) -> Categories:
        """Return what was counted."""
        return Categories(
            rows=self.rows,
            missing=self.missing,
            counts=tuple(self.counts),
            new=self.new,
            marks=dict(sorted(self.marks.items())),
        )


Tally = NumberTally | CategoryTally


def tally(axis: Axis) -> Tally:
    """Return what counts a column along an axis."""
    return NumberTally(axis) if isinstance(axis, NumberAxis) else CategoryTally(axis)


def floats(values: pa.Array | Floats) -> Floats:
    """Return doubles, NaN where missing."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64, copy=False)
    found = values.to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.float64)


def counted(values: pa.Array) -> Iterable[tuple[str, int]]:
    """Yield the different values of a batch as texts, and how many rows have each."""
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    there = pc.drop_null(encoded.indices).to_numpy(zero_copy_only=False)
    counts = np.bincount(there, minlength=len(encoded.dictionary))
    for value, count in zip(encoded.dictionary.to_pylist(), counts.tolist(), strict=True):
        if count and value is not None and value != "":
            yield (str(value).lower() if isinstance(value, bool) else str(value)), count


def merge(first: Sketch, second: Sketch) -> Sketch:
    """Return the sketch of both sets of rows, which were counted along the same axis."""
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        return _numbers(first, second)
    if isinstance(first, Categories) and isinstance(second, Categories):
        return Categories(
            rows=first.rows + second.rows,
            missing=first.missing + second.missing,
            counts=_added(first.counts, second.counts),
            new=first.new + second.new,
            marks=_least(_summed(first.marks, second.marks)),
        )
    raise BadRequest("sketches of different kinds of columns do not add")


def mean(found: Numbers, axis: NumberAxis) -> float:
    """Return the mean; NaN without values."""
    if not found.count:
        return math.nan
    return axis.centre + int(found.total) / found.count * 2.0**axis.exponent


def deviation(found: Numbers, axis: NumberAxis) -> float:
    """Return the standard deviation of the population; NaN without values."""
    n, total = found.count, int(found.total)
    if not n:
        return math.nan
    return math.sqrt((int(found.squares) * n - total * total) / (n * n)) * 2.0**axis.exponent


def different(found: Categories) -> float:
    """Return how many different new values there are: exact up to 63, then an estimate.

    The k-th least of n digests, each as a number in [0, 1), is about k/n (Bar-Yossef et al. 2002).
    """
    if len(found.marks) < MARKS:
        return float(len(found.marks))
    greatest = int(max(found.marks)[1:], 16) / 2.0**64
    return (MARKS - 1) / greatest


def _numbers(first: Numbers, second: Numbers) -> Numbers:
    lows = [each.minimum for each in (first, second) if each.minimum is not None]
    highs = [each.maximum for each in (first, second) if each.maximum is not None]
    return Numbers(
        rows=first.rows + second.rows,
        missing=first.missing + second.missing,
        not_finite=first.not_finite + second.not_finite,
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        total=str(int(first.total) + int(second.total)),
        squares=str(int(first.squares) + int(second.squares)),
        counts=_added(first.counts, second.counts),
    )


def _added(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    if len(first) != len(second):
        raise BadRequest("sketches along different axes do not add")
    return tuple(one + two for one, two in zip(first, second, strict=True))


def _summed(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {key: first.get(key, 0) + second.get(key, 0) for key in first.keys() | second.keys()}


def _least(marks: dict[str, int]) -> dict[str, int]:
    """Keep the least digests.

    One that is among the least of all rows is among the least of any rows that have it, so its
    count is whole however the rows were cut.
    """
    return {key: marks[key] for key in sorted(marks)[:MARKS]}
