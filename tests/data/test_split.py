"""Who trains and who tests: by person, the same each time, no part empty or one-sided."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.data import snapshot, split
from pipelines.errors import BadRequest, DataRefused, IntegrityBroken
from pipelines.records import Snapshot, Split
from pipelines.typed import read_json
from tests.data.conftest import Checkout, person


def many(count: int, each: int = 1) -> list[list[object]]:
    """Return rows of so many people, `each` rows a person."""
    return [
        person(number, seen=f"2024-{1 + row:02d}-{number % 28 + 1:02d}", good=(number + row) % 2)
        for number in range(count)
        for row in range(each)
    ]


def several_rows(checkout: Checkout) -> None:
    """Let one person have several rows: the subject is no longer unique."""
    text = checkout.layout.contract.read_text()
    checkout.layout.contract.write_text(text.replace("        primaryKey: true\n", ""))


def made(checkout: Checkout, rows: list[list[object]]) -> dict[str, pd.DataFrame]:
    """Land rows, take every step up to the split, and return its parts."""
    checkout.csv(rows)
    checkout.validate()
    snapshot.run(checkout.context)
    split.run(checkout.context)
    return {name: pd.read_parquet(checkout.layout.split_rows(name)) for name in split.PARTS}


@pytest.mark.parametrize("method", ["random", "time"])
def test_one_person_is_never_on_both_sides(checkout: Checkout, method: str) -> None:
    """All rows of a person fall on one side; together the parts are the snapshot."""
    several_rows(checkout)
    checkout.settings(method=method)
    parts = made(checkout, many(40, each=3))
    assert set() == set(parts["train"]["person"]) & set(parts["test"]["person"])
    rows = sorted([*parts["train"]["_row"], *parts["test"]["_row"]])
    assert list(range(1, 121)) == rows


def test_rows_that_come_later_move_nobody(checkout: Checkout) -> None:
    """Everybody who was on a side stays there when more people are landed."""
    before = made(checkout, many(50))
    after = made(checkout, many(200))
    for name in split.PARTS:
        assert set(before[name]["person"]) <= set(after[name]["person"])


def test_another_seed_is_another_split(checkout: Checkout) -> None:
    """The seed decides who tests."""
    places = [split.position(seed, "P1") for seed in range(5)]
    assert 5 == len(set(places))


@given(st.integers(0, 2**32), st.text())
def test_a_place_is_within_bounds(seed: int, subject: str) -> None:
    """Any subject has a place in [0, 1)."""
    assert 0.0 <= split.position(seed, subject) < 1.0


def test_the_share_is_about_what_was_asked(checkout: Checkout) -> None:
    """Of 2,000 people about 40 % test: within four standard deviations."""
    test = [split.position(7, f"P{number}") < 0.4 for number in range(2000)]
    assert abs(sum(test) - 800) < 4 * (2000 * 0.4 * 0.6) ** 0.5


def test_a_split_by_time_tests_on_the_latest(checkout: Checkout) -> None:
    """Everybody in test was last seen after everybody in train, and the share is exact."""
    checkout.settings(method="time", test_share=0.25)
    rows = [person(number, seen=f"2024-01-01T{number:02d}:00:00Z") for number in range(20)]
    parts = made(checkout, rows)
    assert (15, 5) == (len(parts["train"]), len(parts["test"]))
    assert parts["train"]["seen"].max() < parts["test"]["seen"].min()


def test_a_split_by_time_needs_the_times(checkout: Checkout) -> None:
    """A row without its time cannot be placed in time: refused, with how many."""
    checkout.settings(method="time")
    with pytest.raises(DataRefused, match="without an event time"):
        made(checkout, [*many(20), person(99, seen="")])


def test_a_split_by_time_needs_a_column(checkout: Checkout) -> None:
    """Without an event_time column a split by time is a bad request."""
    text = checkout.layout.contract.read_text().replace("value: event_time", "value: ignored")
    checkout.layout.contract.write_text(text)
    checkout.settings(method="time")
    with pytest.raises(BadRequest, match="event_time"):
        made(checkout, many(20))


@pytest.mark.parametrize(("share", "name"), [(0.0, "test"), (1.0, "train")])
def test_an_empty_part_is_refused(checkout: Checkout, share: float, name: str) -> None:
    """A split that leaves one side empty is refused, and no record is written."""
    checkout.settings(test_share=share)
    with pytest.raises(DataRefused, match=f"the {name} part of the split is empty"):
        made(checkout, many(20))
    assert not checkout.layout.split_record.exists()


def test_one_outcome_alone_is_refused(checkout: Checkout) -> None:
    """A part in which everybody has the same outcome cannot be learnt from or judged on."""
    with pytest.raises(DataRefused, match="holds one outcome alone"):
        made(checkout, [person(number, good=1) for number in range(20)])


def test_types_are_those_of_the_snapshot(checkout: Checkout) -> None:
    """Nullable integers stay integers through the split, with missing values among them."""
    parts = made(checkout, [*many(30), *[person(50 + more, years="") for more in range(10)]])
    kinds = {str(name): str(kind) for name, kind in parts["train"].dtypes.items()}
    assert ("Int64", "float64", "string", "boolean") == (
        kinds["years"],
        kinds["amount"],
        kinds["colour"],
        kinds["member"],
    )
    assert pq.read_schema(checkout.layout.snapshot_rows).equals(
        pq.read_schema(checkout.layout.split_rows("test")), check_metadata=True
    )


def test_the_record_pins_both_parts(checkout: Checkout) -> None:
    """split.json names the snapshot, the parameters and each part by digest and rows."""
    parts = made(checkout, many(30))
    record = read_json(checkout.layout.split_record, Split)
    assert read_json(checkout.layout.snapshot_record, Snapshot).id == record.snapshot_id
    assert {name: len(frame) for name, frame in parts.items()} == {
        name: part.rows for name, part in record.parts.items()
    }


def test_altered_rows_are_not_split(checkout: Checkout) -> None:
    """Rows that are not those of the snapshot's record are never split."""
    made(checkout, many(30))
    path = checkout.layout.snapshot_rows
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityBroken):
        split.run(checkout.context)
