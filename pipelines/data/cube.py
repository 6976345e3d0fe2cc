"""How many people of each group had which outcome: one sparse table of counts that merges exactly.

The groups of all protected attributes are crossed, so every intersection is a sum over the table.
Only groups that the reference knew are named; any other is counted as new, so a free text never
becomes a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.contract import Column, Contract
from pipelines.data import cast
from pipelines.data.groups import SEVERAL, UNKNOWN, groups
from pipelines.data.sketch import Counts, Floats, floats
from pipelines.errors import BadRequest
from pipelines.records import Record

NEW: Final = "(new group)"
OUTCOMES: Final = ("approve", "decline", "refer", "refuse")
# Of the target: not known (yet), unfavourable, favourable.
LABELS: Final = ("unknown", "unfavourable", "favourable")
DENSE: Final = 1 << 20
FEW: Final = 1 << 12
REMEMBERED: Final = 1 << 12  # combinations of values whose group is not asked for again
CHANCE: Final = 1 << 20  # a probability is kept as a whole number of these parts
Codes = NDArray[np.int64]
Key = str | int | tuple[str | int, ...]


class Cell(Record, frozen=True):
    """People of one group of each attribute, with one outcome and one label.

    `chance` is the sum of their chances of a favourable target, in parts of 2^-20.
    """

    groups: tuple[str, ...]
    outcome: str
    label: str
    count: int
    chance: int = 0


class Cube(Record, frozen=True):
    """All cells that are not empty, in order; their `groups` are in the order of `attributes`."""

    attributes: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def rows(self) -> int:
        """How many people are counted."""
        return sum(cell.count for cell in self.cells)


def merge(first: Cube, second: Cube) -> Cube:
    """Return the table of both sets of people."""
    if first.attributes != second.attributes:
        raise BadRequest("tables of different protected attributes do not add")
    found: dict[tuple[object, ...], Cell] = {}
    for cell in (*first.cells, *second.cells):
        key = (cell.groups, cell.outcome, cell.label)
        had = found.get(key)
        found[key] = cell if had is None else _add(had, cell)
    return Cube(attributes=first.attributes, cells=_ordered(found.values()))


def _add(first: Cell, second: Cell) -> Cell:
    count, chance = first.count + second.count, first.chance + second.chance
    return msgspec.structs.replace(first, count=count, chance=chance)


def _ordered(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (cell.groups, cell.outcome, cell.label)))


@dataclass
class GroupCoder:
    """Tells every row's group of each attribute as a number.

    `names` are the groups by number; the attributes come in its order.
    """

    contract: Contract
    names: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        self._parts = {attribute: _only(self.contract, attribute) for attribute in self.names}
        self._known: dict[str, dict[Key, int]] = {attribute: {} for attribute in self.names}

    def codes(self, table: pa.Table | pa.RecordBatch) -> list[Codes]:
        """Return, an attribute after the other, each row's group."""
        return [self._attribute(name, table) for name in self.names]

    def _attribute(self, attribute: str, table: pa.Table | pa.RecordBatch) -> Codes:
        """Ask the contract once for each different combination of values, not for each row."""
        part, known = self._parts[attribute], self._known[attribute]
        distinct = [_distinct(_array(table, each), each) for each in part.columns]
        sizes = [len(each.keys) for each in distinct]
        joined = distinct[0].places
        for each in distinct[1:]:
            joined = joined * np.int64(len(each.keys)) + each.places
        there, place = _used(joined, int(np.prod(sizes)))
        places = np.unravel_index(there, sizes)
        keys = [
            tuple(each.keys[at] for each, at in zip(distinct, row, strict=True))
            for row in zip(*(each.tolist() for each in places), strict=True)
        ]
        fresh = [at for at, key in enumerate(keys) if key not in known]
        if fresh:
            if len(known) > REMEMBERED:
                known.clear()
                fresh = list(range(len(keys)))
            columns = {
                column.name: each.values.take(pa.array(at[fresh]))
                for column, each, at in zip(part.columns, distinct, places, strict=True)
            }
            asked = self._asked(attribute, columns)
            known.update(zip([keys[at] for at in fresh], asked, strict=True))
        code = np.array([known[key] for key in keys], dtype=np.int64)
        return code[place] if len(code) else place

    def _asked(self, attribute: str, columns: dict[str, pa.Array]) -> list[int]:
        part = self._parts[attribute]
        typed = {each.name: _cast(columns[each.name], each) for each in part.columns}
        frame = cast.frame(pa.table(typed))
        numbers = {name: number for number, name in enumerate(self.names[attribute])}
        named = groups(frame, part)[attribute]
        return [numbers.get(str(each), numbers[NEW]) for each in named]


def known_groups(found: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the names by number of each attribute's groups, with those that always may come.

    Attributes are sorted, as they are in a record that was written and read again.
    """
    always = {UNKNOWN, SEVERAL, NEW}
    return {name: tuple(sorted(set(each) | always)) for name, each in sorted(found.items())}


@dataclass
class CubeTally:
    """Counts people by groups, outcome and label."""

    names: Mapping[str, tuple[str, ...]]
    counts: dict[int, int] = field(default_factory=dict)
    chances: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sizes = [*map(len, self.names.values()), len(OUTCOMES), len(LABELS)]
        self._cells = int(np.prod([float(size) for size in self._sizes]))

    def add(
        self, codes: Sequence[Codes], outcomes: Codes, labels: Codes, chances: Floats | None = None
    ) -> None:
        """Count rows; `outcomes` and `labels` are places in OUTCOMES and LABELS.

        `chances` are whole numbers of parts of 2^-20: `in_parts`.
        """
        joined = np.zeros(len(outcomes), dtype=np.int64)
        for code, size in zip((*codes, outcomes, labels), self._sizes, strict=True):
            joined *= size
            joined += code
        there, place = _used(joined, self._cells)
        _increase(self.counts, there, np.bincount(place, minlength=len(there)))
        if chances is not None:
            _increase(self.chances, there, np.bincount(place, chances, len(there)))

    def cube(self) -> Cube:
        """Return what was counted."""
        cells = [self._cell(code, count) for code, count in self.counts.items() if count]
        return Cube(attributes=tuple(self.names), cells=_ordered(cells))

    def _cell(self, code: int, count: int) -> Cell:
        places, rest = list[int](), code
        for size in reversed(self._sizes):
            places.append(rest % size)
            rest //= size
        *of_groups, outcome, label = reversed(places)
        named = zip(self.names.values(), of_groups, strict=True)
        return Cell(
            groups=tuple(names[place] for names, place in named),
            outcome=OUTCOMES[outcome],
            label=LABELS[label],
            count=count,
            chance=self.chances.get(code, 0),
        )


def in_parts(chances: Floats) -> Floats:
    """Return chances as whole numbers of parts of 2^-20; of an unknown one, none."""
    found: Floats = np.rint(np.nan_to_num(chances) * CHANCE)
    return found


def _increase(into: dict[int, int], codes: Codes, by: Counts | Floats) -> None:
    used = np.flatnonzero(by)
    for code, count in zip(codes[used].tolist(), by[used].tolist(), strict=True):
        into[code] = into.get(code, 0) + int(count)


def _used(codes: Codes, size: int) -> tuple[Codes, Codes]:
    """Return the codes that occur, and each row's place among them; of few codes, all of them."""
    if 0 < size <= FEW:
        return np.arange(size), codes
    if not 0 < size <= DENSE:
        there, place = np.unique(codes, return_inverse=True)
        return there.astype(np.int64), place.astype(np.int64)
    there = np.flatnonzero(np.bincount(codes, minlength=size))
    places = np.zeros(size, dtype=np.int64)
    places[there] = np.arange(len(there))
    return there, places[codes]


def _only(contract: Contract, attribute: str) -> Contract:
    kept = [
        column
        for column in contract.columns
        if column.protected and column.protected.attribute == attribute
    ]
    return msgspec.structs.replace(contract, columns=tuple(kept))


def _array(table: pa.Table | pa.RecordBatch, column: Column) -> pa.Array:
    """Return a column; one that is not there has no values, and its people no known group."""
    if column.name not in table.schema.names:
        return pa.nulls(table.num_rows, cast.TYPES[column.kind])
    found = table.column(column.name)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


@dataclass(frozen=True, slots=True)
class _Distinct:
    """The different values of a column, a null last, what stands for each, and each row's place."""

    places: Codes
    keys: list[Key]
    values: pa.Array


def _distinct(values: pa.Array, column: Column) -> _Distinct:
    """Tell rows of different values apart; of a number that is told by bands, different bands."""
    if column.protected and column.protected.bands:
        return _banded(values, [band.below for band in column.protected.bands])
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    there = pa.concat_arrays([encoded.dictionary, pa.nulls(1, encoded.dictionary.type)])
    places = encoded.indices
    if places.null_count:
        places = pc.fill_null(places.cast(pa.int64()), len(encoded.dictionary))
    # As the text of a value, for 0.0 and -0.0 are equal and need not be the same group.
    keys: list[Key] = [repr(each) for each in there.to_pylist()]
    return _Distinct(places.to_numpy(zero_copy_only=False), keys, there)


def _banded(values: pa.Array, bounds: Iterable[float | None]) -> _Distinct:
    """Let one number of a band stand for all of them; of missing ones null."""
    below = np.sort([each for each in bounds if each is not None])
    numbers = floats(values)
    band = np.searchsorted(below, numbers, side="right")
    band[np.isnan(numbers)] = len(below) + 1
    lowest = np.nextafter(below[0], -np.inf) if len(below) else 0.0
    stand = pa.array([lowest, *below.tolist(), None], pa.float64())
    return _Distinct(band, list(range(len(stand))), stand)


def _cast(values: pa.Array, column: Column) -> pa.Array:
    kind = values.type if column.protected and column.protected.bands else cast.TYPES[column.kind]
    return values if values.type == kind else values.cast(kind)
