"""Text to typed values: exact where it parses, refused where it does not."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contract import Column, Contract, Kind
from pipelines.data import cast


def column(kind: Kind, **more: object) -> Column:
    """Return a column of a kind."""
    return Column(name="x", role="feature", kind=kind, **more)  # type: ignore[arg-type]


def values(kind: Kind, *texts: str | None, **more: object) -> list[object]:
    """Return what texts are cast to."""
    return cast.cast(pa.array(texts, pa.string()), column(kind, **more)).values.to_pylist()


def bits(number: float) -> bytes:
    """Return the bits of a float."""
    return struct.pack("<d", number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_to_the_bit(number: float) -> None:
    """The shortest text of any finite float, and its 17 digits, are cast to that very float."""
    found = values("number", repr(number), f"{number:.17g}", f"{number:.16e}")
    assert [bits(number)] * 3 == [bits(each) for each in found]  # type: ignore[arg-type]


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_comes_back_exactly(number: int) -> None:
    """Any integer of 64 bits is kept, with a point and zeros after it too, and in pandas."""
    found = cast.cast(pa.array([str(number), f"{number}.0", None]), column("integer")).values
    assert [number, number, None] == found.to_pylist()
    frame = cast.frame(pa.table({"x": found}))
    assert "Int64" == str(frame["x"].dtype)
    assert number == frame["x"].iloc[0]


@given(st.datetimes(timezones=st.timezones()))
def test_a_timestamp_with_a_zone_is_converted_to_utc(moment: datetime) -> None:
    """A time with an offset is the same instant in UTC, to the microsecond."""
    offset = moment.utcoffset() or timedelta()
    whole = timedelta(minutes=offset // timedelta(minutes=1))
    told = moment.replace(tzinfo=timezone(whole))
    (found,) = values("timestamp", told.isoformat())
    if 1 < told.year < 9999:
        assert told.astimezone(UTC) == found


def test_a_timestamp_without_a_zone_is_read_as_utc() -> None:
    """A time without an offset, and a bare date, are UTC."""
    assert [
        datetime(2024, 2, 29, 10, 30, tzinfo=UTC),
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(2024, 2, 29, 8, 30, tzinfo=UTC),
    ] == values("timestamp", "2024-02-29 10:30", "2024-02-29", "2024-02-29T10:30:00+02:00")


@given(st.dates())
def test_a_date_comes_back(day: date) -> None:
    """Any ISO date is kept."""
    (found,) = values("date", day.isoformat())
    assert isinstance(found, datetime)
    assert day == found.date()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "1.5"),
        ("integer", "1e3"),
        ("integer", "0x10"),
        ("integer", "9223372036854775808"),
        ("integer", " 1"),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "-Infinity"),
        ("number", "1e999"),
        ("number", "1,5"),
        ("number", "1 000"),
        ("number", "0x1p3"),
        ("number", "."),
        ("boolean", "yes"),
        ("boolean", "2"),
        ("date", "2024-02-30"),
        ("date", "29.02.2024"),
        ("date", "2024-02-29 10:00:00"),
        ("timestamp", "2024-02-30T00:00:00Z"),
        ("timestamp", "2024-01-01T25:00:00Z"),
        ("timestamp", "2024-01-01T00:00:00.1234567Z"),
        ("timestamp", "1704067200"),
    ],
)
def test_what_does_not_parse_is_told(kind: Kind, text: str) -> None:
    """Text that is not of the kind is marked, among many that are and missing ones."""
    good = {"boolean": "1", "date": "2024-01-01", "timestamp": "2024-01-01"}.get(kind, "7")
    found = cast.cast(pa.array([good, text, None, good]), column(kind))
    assert [False, True, False, False] == found.bad.to_pylist()
    assert 2 == found.values.null_count


def test_the_words_for_true_and_false() -> None:
    """True and false come as words of any case or as 1 and 0."""
    assert [True, False, True, False, None] == values("boolean", "TRUE", "false", "1", "0", None)


def test_sentinels_become_missing_and_are_not_bad() -> None:
    """A sentinel is missing, whether text or number, in whatever form the number is written."""
    assert [None, None, 5.5] == values("number", "n/a", "999.50", "5.5", sentinels=("n/a", 999.5))
    assert [None, 665, None] == values("integer", "666.0", "665", "999.25", sentinels=(666, 999.25))
    assert [None, "666.0"] == values("string", "666", "666.0", sentinels=(666,))
    number = cast.cast(pa.array(["n/a", "999.5"]), column("number", sentinels=("n/a", 999.5)))
    integer = cast.cast(pa.array(["666", "999.250"]), column("integer", sentinels=(666, 999.25)))
    assert [False] * 4 == [*number.bad.to_pylist(), *integer.bad.to_pylist()]


@given(st.text(min_size=1))
def test_text_stays_as_it_is(text: str) -> None:
    """A string column is not trimmed, folded or normalised."""
    assert [text] == values("string", text)


def test_no_column_is_an_object() -> None:
    """In pandas every kind has a type of its own that keeps missing values apart."""
    kinds: tuple[Kind, ...] = ("integer", "number", "string", "boolean", "date", "timestamp")
    contract = Contract(
        name="all",
        version="1",
        columns=tuple(Column(name=kind, role="feature", kind=kind) for kind in kinds),
    )
    empty = cast.frame(cast.schema(contract).empty_table())
    assert {
        "_row": "Int64",
        "integer": "Int64",
        "number": "float64",
        "string": "string",
        "boolean": "boolean",
        "date": "datetime64[ms]",
        "timestamp": "datetime64[us, UTC]",
    } == {str(name): str(kind) for name, kind in empty.dtypes.items()}
