"""Sketches of columns that merge exactly: any cut of the rows, in any order, gives the same sketch.

How a column is counted is fixed beforehand, by its axis, so that whatever was counted apart can be
added. Everything kept is an integer, a least or a greatest value. Moments are taken on a grid of a
few thousandths of the reference's standard deviation, as whole numbers of grid steps; such sums are
exact whatever their order, which sums of floating-point numbers are not.
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
# Steps to each side of the centre that are summed as doubles: 2^16 squares below 2^36 each add up
# to less than 2^53, so every partial sum is a whole number that a double holds.
NEAR: Final = 2.0**18
FARTHEST: Final = (
    2.0**500
)  # a value beyond this many steps counts as this far: squares stay doubles
STEPS_PER_DEVIATION: Final = 11  # as a power of two
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Codes = NDArray[np.int64]


class NumberAxis(Record, frozen=True, tag="number"):
    """How a numeric column is counted.

    A bin holds the values above the edge before it and up to its own. Moments are in steps of
    ``2**exponent`` from `centre`.
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
    known = values[np.isfinite(values)]
    if not len(known):
        return NumberAxis(edges=(), centre=0.0, exponent=0)
    distinct = np.unique(known)
    if len(distinct) > DISTINCT:
        steps = np.arange(1, bins) / bins
        distinct = np.append(np.unique(np.quantile(known, steps, method="lower")), np.inf)
    centre, spread = float(np.mean(known)), float(np.std(known))
    scale = spread or abs(centre) or 1.0
    return NumberAxis(
        edges=tuple(float(edge) for edge in distinct[:-1]),
        centre=centre,
        exponent=max(math.frexp(scale)[1] - STEPS_PER_DEVIATION, -1000),
    )


def category_axis(counted: Mapping[str, int], complete: bool) -> CategoryAxis:
    """Return the axis of counted values: the most frequent, rare ones as digests."""
    first = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:KNOWN]
    return CategoryAxis(
        known=tuple(text if count >= NAMED_FROM else mark(text) for text, count in first),
        complete=complete and len(counted) <= KNOWN,
    )


@dataclass
class NumberTally:
    """Counts one numeric column."""

    axis: NumberAxis
    rows: int = 0
    missing: int = 0
    not_finite: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: int = 0
    squares: int = 0
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.axis.edges) + 1, dtype=np.int64)
        self._edges = np.array(self.axis.edges, dtype=np.float64)
        self._scale = 2.0**-self.axis.exponent

    def add(self, values: pa.Array | Floats) -> None:
        """Count a batch: an Arrow array of numbers, or doubles with NaN where missing."""
        numbers = floats(values)
        for start in range(0, len(numbers), BLOCK):
            self._block(np.sort(numbers[start : start + BLOCK]))

    def _block(self, ordered: Floats) -> None:
        """Count values in ascending order, NaN last: what is asked of them are places then."""
        known = int(np.searchsorted(ordered, np.inf, side="right"))
        first = int(np.searchsorted(ordered, -np.inf, side="right"))
        last = int(np.searchsorted(ordered, np.inf, side="left"))
        inside = ordered[first:last]
        self.rows += len(ordered)
        self.missing += len(ordered) - known
        self.not_finite += known - len(inside)
        if len(inside):
            self.minimum = min(self.minimum, float(inside[0]) + 0.0)  # 0.0 and never -0.0
            self.maximum = max(self.maximum, float(inside[-1]) + 0.0)
            ends = np.searchsorted(inside, self._edges, side="right")
            self.counts += np.diff(ends, prepend=0, append=len(inside))
            self._moments(inside)

    def _moments(self, ordered: Floats) -> None:
        with np.errstate(over="ignore"):
            steps = np.rint((ordered - self.axis.centre) * self._scale)
        first = np.searchsorted(steps, -NEAR, "left")
        last = np.searchsorted(steps, NEAR, "right")
        near = steps[first:last]
        self.total += int(near.sum())
        self.squares += int(near @ near)
        for far in (steps[:first], steps[last:]):
            if len(far):
                exact = [int(each) for each in far.clip(-FARTHEST, FARTHEST).tolist()]
                self.total += sum(exact)
                self.squares += sum(each * each for each in exact)

    def sketch(self) -> Numbers:
        """Return what was counted."""
        there = self.rows > self.missing + self.not_finite
        return Numbers(
            rows=self.rows,
            missing=self.missing,
            not_finite=self.not_finite,
            minimum=self.minimum if there else None,
            maximum=self.maximum if there else None,
            total=str(self.total),
            squares=str(self.squares),
            counts=tuple(self.counts.tolist()),
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
        self.rows += len(values)
        self.missing += len(values)
        for text, count in counted(values):
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
