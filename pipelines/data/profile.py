"""The profile of a snapshot: counts, ranges, bins, categories, groups; for drift to compare with.

Bins are fixed by the reference: a later profile taken with the same edges has counts that can be
set side by side. A bin holds the values above the edge before it and up to its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.contract import Column, Contract
from pipelines.data.groups import as_text, groups
from pipelines.records import Record
from pipelines.typed import read_json

BINS = 10
DISTINCT = 20
SAMPLE = 1_000_000
CATEGORIES = 100
OTHER = "(other)"
NUMERIC = frozenset({"integer", "number"})
NAMED = frozenset({"string", "boolean"})
COUNTED_ROLES = frozenset({"feature", "protected", "target", "ignored"})


class Numbers(Record, frozen=True):
    """A numeric column: least, greatest, mean, standard deviation (of the population), bins.

    `counts` has one more item than `edges`.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class ColumnProfile(Record, frozen=True):
    """One column; `numbers` for numeric columns, `categories` for text and booleans."""

    kind: str
    count: int
    missing: int
    numbers: Numbers | None = None
    categories: dict[str, int] | None = None


class Intersection(Record, frozen=True):
    """How many people belong to these groups of two attributes at once."""

    groups: dict[str, str]
    count: int


class Profile(Record, frozen=True):
    """All columns, the groups of each protected attribute and their intersections by two."""

    rows: int
    columns: dict[str, ColumnProfile]
    groups: dict[str, dict[str, int]]
    intersections: tuple[Intersection, ...]

    @property
    def edges(self) -> dict[str, tuple[float, ...]]:
        """The edges of the bins by column: hand them to `profile` to get comparable counts."""
        return {name: each.numbers.edges for name, each in self.columns.items() if each.numbers}


Edges = Mapping[str, tuple[float, ...]]


def read(path: Path) -> Profile:
    """Read a profile. Raises NotThere or IntegrityBroken."""
    return read_json(path, Profile)


def edges_of(values: np.ndarray) -> tuple[float, ...]:
    """Return the edges between bins: the deciles, or each value when there are few of them."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) > DISTINCT:
        steps = np.arange(1, BINS) / BINS
        distinct = np.append(np.unique(np.quantile(known, steps, method="lower")), np.inf)
    return tuple(float(edge) for edge in distinct[:-1])


def edges(
    frames: Iterable[pd.DataFrame], contract: Contract, rows: int
) -> dict[str, tuple[float, ...]]:
    """Return the edges of every numeric column, from at most a million rows at an even stride."""
    stride = max(1, math.ceil(rows / SAMPLE))
    kept: dict[str, list[np.ndarray]] = {each.name: [] for each in _numeric(contract)}
    seen = 0
    for frame in frames:
        first = -seen % stride
        for name, parts in kept.items():
            parts.append(_floats(frame[name].iloc[first::stride]))
        seen += len(frame)
    return {name: edges_of(np.concatenate(parts)) for name, parts in kept.items() if parts}


def profile(frames: Iterable[pd.DataFrame], contract: Contract, edges: Edges) -> Profile:
    """Profile typed rows in one pass; `edges` as `edges` or a former profile gives them."""
    tally = _Tally(contract, edges)
    for frame in frames:
        tally.add(frame)
    return tally.profile()


def _numeric(contract: Contract) -> Iterator[Column]:
    return (
        each for each in contract.columns if each.kind in NUMERIC and each.role in COUNTED_ROLES
    )


def _floats(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype="float64", na_value=np.nan)


@dataclass
class _Moments:
    """Count, mean and sum of squared deviations, merged by Chan, Golub and LeVeque (1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, values: np.ndarray) -> None:
        """Add a batch of values, none of them missing."""
        if not len(values):
            return
        count = len(values)
        mean = math.fsum(values) / count
        squares = math.fsum((values - mean) ** 2)
        total = self.count + count
        apart = mean - self.mean
        self.squares += squares + apart * apart * self.count * count / total
        self.mean += apart * count / total
        self.count = total
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))


@dataclass
class _Tally:
    contract: Contract
    edges: Edges
    rows: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    moments: dict[str, _Moments] = field(default_factory=dict)
    bins: dict[str, np.ndarray] = field(default_factory=dict)
    categories: dict[str, dict[str, int]] = field(default_factory=dict)
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    pairs: dict[tuple[tuple[str, str], ...], int] = field(default_factory=dict)

    def add(self, frame: pd.DataFrame) -> None:
        """Count a batch of typed rows."""
        self.rows += len(frame)
        for each in self.contract.columns:
            values = frame[each.name]
            self.missing[each.name] = self.missing.get(each.name, 0) + int(values.isna().sum())
            if each.name in self.edges:
                self._number(each.name, _floats(values.dropna()))
            elif each.kind in NAMED and each.role in COUNTED_ROLES:
                self._category(each, values.dropna())
        self._groups(groups(frame, self.contract))

    def _number(self, name: str, values: np.ndarray) -> None:
        self.moments.setdefault(name, _Moments()).add(values)
        edges = np.array(self.edges[name])
        counted = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        self.bins[name] = self.bins.get(name, 0) + counted

    def _category(self, column: Column, values: pd.Series) -> None:
        counts = self.categories.setdefault(column.name, {})
        for value, count in pd.Series(as_text(values, column)).value_counts().items():
            known = value in counts or len(counts) < CATEGORIES
            name = str(value) if known else OTHER
            counts[name] = counts.get(name, 0) + int(count)

    def _groups(self, named: pd.DataFrame) -> None:
        for attribute in named:
            counts = self.groups.setdefault(str(attribute), {})
            for name, count in named[attribute].value_counts().items():
                counts[str(name)] = counts.get(str(name), 0) + int(count)
        for left, right in combinations(named.columns, 2):
            both = zip(named[left], named[right], strict=True)
            for (one, two), count in Counter(both).items():
                key = ((str(left), str(one)), (str(right), str(two)))
                self.pairs[key] = self.pairs.get(key, 0) + int(count)

    def profile(self) -> Profile:
        """Return what was counted."""
        return Profile(
            rows=self.rows,
            columns={each.name: self._column(each) for each in self.contract.columns},
            groups=self.groups,
            intersections=tuple(
                Intersection(groups=dict(key), count=count)
                for key, count in sorted(self.pairs.items())
            ),
        )

    def _column(self, column: Column) -> ColumnProfile:
        missing = self.missing.get(column.name, 0)
        return ColumnProfile(
            kind=column.kind,
            count=self.rows - missing,
            missing=missing,
            numbers=self._numbers(column.name),
            categories=self.categories.get(column.name),
        )

    def _numbers(self, name: str) -> Numbers | None:
        found = self.moments.get(name)
        if found is None or not found.count:
            return None
        return Numbers(
            minimum=found.minimum,
            maximum=found.maximum,
            mean=found.mean,
            std=math.sqrt(found.squares / found.count),
            edges=tuple(self.edges[name]),
            counts=tuple(int(count) for count in self.bins[name]),
        )
