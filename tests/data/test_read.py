"""The same values read the same out of CSV, JSON Lines and Parquet, each row with its place."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contract import Column
from pipelines.data import cast, read
from pipelines.errors import DataRefused
from tests.data.conftest import NAMES, Checkout, person

ROWS = [person(number) for number in range(5)]
NUMBER = Column(name="x", role="feature", kind="number")


def tables(path: Path, names: list[str], size: int = 2) -> list[pa.Table]:
    """Return all chunks of a file."""
    return list(read.chunks([path], names, "utf-8", size))


def test_chunks_hold_at_most_so_many_rows(checkout: Checkout) -> None:
    """A file is read a chunk at a time, and rows are counted on over all files."""
    paths = [checkout.csv(ROWS, name="a.csv"), checkout.csv(ROWS[:3], name="b.csv")]
    found = list(read.chunks(paths, NAMES, "utf-8", 2))
    assert [2, 2, 1, 2, 1] == [table.num_rows for table in found]
    assert list(range(1, 9)) == [row for table in found for row in table["_row"].to_pylist()]
    assert ["b.csv"] == found[-1]["_file"].to_pylist()


def test_a_row_knows_the_line_it_starts_on(tmp_path: Path) -> None:
    """A quoted line break and a blank line do not shift the line numbers that follow."""
    path = tmp_path / "a.csv"
    path.write_text('x,y\r\n1,"two\nlines"\r\n\r\n3,4\r\n"a\r\nb","c\rd"\r\n5,6\r\n', newline="")
    for size in (1, 2, 10):
        found = tables(path, ["x", "y"], size)
        assert [2, 5, 6, 9] == [line for table in found for line in table["_line"].to_pylist()]
        assert [1, 2, 3, 4] == [row for table in found for row in table["_row"].to_pylist()]


def test_rows_of_another_width_are_marked_and_lose_nothing(tmp_path: Path) -> None:
    """Too few fields leave cells missing, too many are kept beside the row."""
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1\n1,2,3,4\n1,2\n")
    (table,) = tables(path, ["x", "y"], 10)
    assert [False, False, True] == table["_whole"].to_pylist()
    assert [None, '["3", "4"]', None] == table["_extra"].to_pylist()
    assert [None, "2", "2"] == table["y"].to_pylist()


def test_small_blocks_are_joined_to_chunks(tmp_path: Path) -> None:
    """Reading in small blocks loses no row and still gives chunks of the size asked for."""
    path = tmp_path / "a.csv"
    count = 2 * read.BLOCK_ROWS + 7
    path.write_text("x\n" + "".join(f"{number}\n" for number in range(count)))
    found = tables(path, ["x"], 2 * read.BLOCK_ROWS)
    assert [2 * read.BLOCK_ROWS, 7] == [table.num_rows for table in found]
    values = [value for table in found for value in table["x"].to_pylist()]
    assert [str(number) for number in range(count)] == values
    lines = [line for table in found for line in table["_line"].to_pylist()]
    assert list(range(2, count + 2)) == lines


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """The order of a file's columns does not matter."""
    path = tmp_path / "a.csv"
    path.write_text("y,x\n2,1\n")
    (table,) = tables(path, ["x", "y"])
    assert ["1"] == table["x"].to_pylist()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_floats_are_the_same_to_the_bit_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    """A float written to CSV, JSON Lines and Parquet comes back with the same bits."""
    folder = tmp_path_factory.mktemp("floats")
    (folder / "a.csv").write_text("x\n" + "".join(f"{number!r}\n" for number in numbers))
    (folder / "a.jsonl").write_text("".join(f'{{"x": {number!r}}}\n' for number in numbers))
    pq.write_table(pa.table({"x": pa.array(numbers, pa.float64())}), folder / "a.parquet")
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        found = [
            value
            for table in tables(folder / name, ["x"])
            for value in cast.cast(table["x"].combine_chunks(), NUMBER).values.to_pylist()
        ]
        assert [struct.pack("<d", each) for each in numbers] == [
            struct.pack("<d", each) for each in found
        ], name


def test_parquet_values_become_text_that_parses_back(tmp_path: Path) -> None:
    """Each Parquet type has a text form; NaN is missing; a float32 keeps the value it has."""
    single = struct.unpack("<f", struct.pack("<f", 0.1))[0]
    table = pa.table(
        {
            "single": pa.array([0.1, None], pa.float32()),
            "nan": pa.array([float("nan"), 2.0]),
            "flag": pa.array([True, False]),
            "big": pa.array([2**63 - 1, None], pa.int64()),
            "day": pa.array([datetime(2024, 2, 29), None], pa.date32()),  # noqa: DTZ001
            "at": pa.array(
                [datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC")
            ),
            "name": pa.array(["ä", ""]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (found,) = tables(tmp_path / "a.parquet", table.column_names)
    assert single == float(found["single"][0].as_py())
    assert [None, "2"] == found["nan"].to_pylist()
    assert ["true", "false"] == found["flag"].to_pylist()
    assert [str(2**63 - 1), None] == found["big"].to_pylist()
    assert ["2024-02-29", None] == found["day"].to_pylist()
    at = Column(name="at", role="event_time", kind="timestamp")
    times = cast.cast(found["at"].combine_chunks(), at).values.to_pylist()
    assert [datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)] * 2 == times
    assert ["ä", None] == found["name"].to_pylist()


def test_a_parquet_list_is_refused(tmp_path: Path) -> None:
    """A nested Parquet column has no text form and is refused by name."""
    pq.write_table(pa.table({"x": [[1], [2]]}), tmp_path / "a.parquet")
    with pytest.raises(DataRefused, match=r"a\.parquet: x"):
        tables(tmp_path / "a.parquet", ["x"])


def test_a_file_without_a_heading_is_refused(tmp_path: Path) -> None:
    """An empty CSV file says nothing of its columns."""
    path = tmp_path / "empty.csv"
    path.write_text("")
    with pytest.raises(DataRefused):
        list(read.chunks([path], ["a"], "utf-8", 10))


def test_an_enormous_field_is_refused(tmp_path: Path) -> None:
    """A quote that is never closed does not read the rest of the file into memory."""
    path = tmp_path / "a.csv"
    path.write_text('x\n"' + "\n" * 300_000)
    with pytest.raises(DataRefused, match="not readable as CSV"):
        tables(path, ["x"])
