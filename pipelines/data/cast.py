"""Text to typed values, exactly: what parses, what does not, and which types hold the result.

integer: digits with an optional sign; ``1.0`` is 1, ``1.5`` is no integer; 64 bits.
number: decimal or scientific notation, finite, the nearest float64.
boolean: true, false, 1, 0 in any case. date: ``YYYY-MM-DD``.
timestamp: ISO 8601 with at most six decimals; without a zone it is read as UTC, with one it is
converted to UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contract import Column, Contract, Kind, Scalar
from pipelines.data.files import ROW
from pipelines.data.rules import (
    BOOLEAN,
    DATE,
    INTEGER,
    NUMBER,
    TIMESTAMP,
    ZONE,
    number_sentinels,
    text_sentinels,
)

TYPES: dict[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.timestamp("ms"),
    "timestamp": pa.timestamp("us", "UTC"),
}
PANDAS: dict[pa.DataType, object] = {
    pa.int64(): pd.Int64Dtype(),
    pa.string(): pd.StringDtype(),
    pa.bool_(): pd.BooleanDtype(),
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Typed values, and which cells held text that does not parse (those are missing here)."""

    values: pa.Array
    bad: pa.Array


def cast(text: pa.Array, column: Column) -> Cast:
    """Cast one column of text; sentinels become missing before anything else is asked of them."""
    text = _without(text, text_sentinels(column))
    text = _without_fractions(text, column)
    values = PARSERS[column.kind](text)
    bad = pc.and_(pc.is_valid(text), pc.is_null(values))
    return Cast(_without(values, number_sentinels(column)), bad)


def schema(contract: Contract) -> pa.Schema:
    """Return the Arrow schema of accepted rows: `_row`, then the contract's columns.

    It carries what pandas needs to give back nullable integers as such, never as floats.
    """
    fields = [(ROW, pa.int64()), *((each.name, TYPES[each.kind]) for each in contract.columns)]
    empty = frame(pa.schema(fields).empty_table())
    return pa.schema(fields).with_metadata(
        pa.Schema.from_pandas(empty, preserve_index=False).metadata
    )


def frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a pandas frame of Int64, float64, string, boolean and datetimes."""
    found: pd.DataFrame = table.to_pandas(types_mapper=PANDAS.get)
    return found


def _without(values: pa.Array, sentinels: list[str] | list[Scalar]) -> pa.Array:
    if not sentinels:
        return values
    found = pc.is_in(values, pa.array(sentinels, values.type))
    return pc.if_else(found, pa.scalar(None, values.type), values)


def _without_fractions(text: pa.Array, column: Column) -> pa.Array:
    """Take out sentinels that are no whole numbers from a column of whole numbers."""
    if column.kind != "integer":
        return text
    known = [value for value in column.sentinels if isinstance(value, float)]
    fractions = [value for value in known if not value.is_integer()]
    if not fractions:
        return text
    found = pc.is_in(_number(text), pa.array(fractions, pa.float64()))
    return pc.if_else(found, pa.scalar(None, pa.string()), text)


def _integer(text: pa.Array) -> pa.Array:
    whole = pc.replace_substring_regex(_matching(text, INTEGER), r"\.0*$", "")
    return _each(pc.replace_substring_regex(whole, r"^\+", ""), pa.int64())


def _number(text: pa.Array) -> pa.Array:
    bare = pc.replace_substring_regex(_matching(text, NUMBER), r"^\+", "")
    values = _each(bare, pa.float64())
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _boolean(text: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(_matching(text, BOOLEAN))
    true = pc.is_in(lower, pa.array(["true", "1"]))
    return pc.if_else(pc.is_valid(lower), true, pa.scalar(None, pa.bool_()))


def _date(text: pa.Array) -> pa.Array:
    midnight = pc.replace_substring_regex(text, r"[T ]00:00(:00(\.0*)?)?$", "")
    return _each(_matching(midnight, DATE), pa.date32()).cast(pa.timestamp("ms"))


def _timestamp(text: pa.Array) -> pa.Array:
    found = _matching(text, TIMESTAMP)
    timed = pc.if_else(
        pc.match_substring_regex(found, r"^.{10}$"),
        pc.binary_join_element_wise(found, "00:00", "T"),
        found,
    )
    zoned = pc.if_else(
        pc.match_substring_regex(timed, rf"{ZONE}$"),
        timed,
        pc.binary_join_element_wise(timed, "Z", ""),
    )
    return _each(zoned, pa.timestamp("us", "UTC"))


def _matching(text: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, pattern), text, pa.scalar(None, pa.string()))


def _each(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast what casts; the rest is missing. Halving finds the few that do not."""
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        if len(text) == 1:
            return pa.nulls(1, kind)
        middle = len(text) // 2
        return pa.concat_arrays([_each(text[:middle], kind), _each(text[middle:], kind)])


PARSERS: dict[Kind, Callable[[pa.Array], pa.Array]] = {
    "integer": _integer,
    "number": _number,
    "string": lambda text: text,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
}
