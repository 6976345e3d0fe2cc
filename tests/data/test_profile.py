"""A profile counts what is there, in bins that a later profile can be set beside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contract import Column, Contract, Protected
from pipelines.data import profile
from pipelines.typed import plain

CONTRACT = Contract(
    name="profile",
    version="1",
    columns=(
        Column(name="id", role="subject", kind="integer"),
        Column(name="x", role="feature", kind="number"),
        Column(name="n", role="feature", kind="integer"),
        Column(name="c", role="feature", kind="string"),
        Column(name="a", role="protected", kind="string", protected=Protected(attribute="first")),
        Column(name="b", role="protected", kind="string", protected=Protected(attribute="second")),
    ),
)


def frame(numbers: list[float]) -> pd.DataFrame:
    """Return rows with these numbers."""
    count = len(numbers)
    return pd.DataFrame(
        {
            "id": pd.array(range(count), dtype="Int64"),
            "x": np.array(numbers, dtype=float),
            "n": pd.array([place % 3 for place in range(count)], dtype="Int64"),
            "c": pd.array(["red", None][:2] * count, dtype="string")[:count],
            "a": pd.array(["p", "q"] * count, dtype="string")[:count],
            "b": pd.array(["r", "r", "s"] * count, dtype="string")[:count],
        }
    )


def taken(rows: pd.DataFrame, cuts: int = 1) -> profile.Profile:
    """Profile rows that come in so many pieces."""
    size = -(-len(rows) // cuts)
    pieces = [rows[start : start + size] for start in range(0, len(rows), size)]
    return profile.profile(pieces, CONTRACT, profile.edges(pieces, CONTRACT, len(rows)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 5))
def test_numbers_are_those_of_numpy(numbers: list[float], cuts: int) -> None:
    """Count, ends, mean and standard deviation are those of the whole, however it is cut."""
    found = taken(frame(numbers), cuts).columns["x"].numbers
    assert found is not None
    assert (min(numbers), max(numbers)) == (found.minimum, found.maximum)
    assert pytest.approx(np.mean(numbers), abs=1e-6) == found.mean
    assert pytest.approx(np.std(numbers), abs=1e-6, rel=1e-6) == found.std
    assert len(numbers) == sum(found.counts)
    assert len(found.edges) + 1 == len(found.counts)


def test_bins_are_deciles() -> None:
    """A column of many values is cut into ten bins that hold about as many each."""
    found = taken(frame([float(number) for number in range(1000)])).columns["x"].numbers
    assert found is not None
    assert [100] * 10 == [round(count, -1) for count in found.counts]


def test_few_values_have_a_bin_each() -> None:
    """A column of few values has a bin for each of them, rare ones too."""
    found = taken(frame([1.0] * 95 + [0.0] * 5)).columns["x"].numbers
    assert found is not None
    assert ((0.0,), (5, 95)) == (found.edges, found.counts)


def test_another_profile_uses_the_same_bins() -> None:
    """With the reference's edges a shifted column falls into the reference's bins."""
    before = taken(frame([float(number) for number in range(1000)]))
    rows = frame([float(number) + 5000 for number in range(1000)])
    after = profile.profile([rows], CONTRACT, before.edges)
    assert before.edges == after.edges
    found = after.columns["x"].numbers
    assert found is not None
    assert (0,) * 9 + (1000,) == found.counts


def test_missing_and_categories_are_counted() -> None:
    """Missing values are counted apart; categories and groups by name; pairs of groups too."""
    rows = frame([1.0, 2.0, float("nan"), 4.0])
    found = taken(rows)
    assert (3, 1) == (found.columns["x"].count, found.columns["x"].missing)
    assert {"red": 2} == found.columns["c"].categories
    assert {"first": {"p": 2, "q": 2}, "second": {"r": 3, "s": 1}} == found.groups
    assert [
        ({"first": "p", "second": "r"}, 1),
        ({"first": "p", "second": "s"}, 1),
        ({"first": "q", "second": "r"}, 2),
    ] == [(each.groups, each.count) for each in found.intersections]


def test_ids_are_counted_and_not_described() -> None:
    """A subject's values say nothing of drift and name people: only their number is kept."""
    found = taken(frame([1.0, 2.0])).columns["id"]
    assert (2, None, None) == (found.count, found.numbers, found.categories)


def test_a_column_without_a_value() -> None:
    """A column that is missing throughout has no numbers and no bins."""
    found = taken(frame([float("nan")] * 3)).columns["x"]
    assert (0, 3, None) == (found.count, found.missing, found.numbers)


def test_many_categories_are_kept_within_bounds() -> None:
    """After a hundred categories the others are counted together, and none is lost."""
    rows = frame([1.0] * 300)
    rows["c"] = pd.array([f"name {place}" for place in range(300)], dtype="string")
    found = taken(rows).columns["c"].categories
    assert found is not None
    assert (101, 200, 300) == (len(found), found[profile.OTHER], sum(found.values()))


def test_a_profile_is_the_same_however_it_is_cut() -> None:
    """Counts do not depend on how the rows were cut."""
    rows = frame([float(number) for number in range(100)])
    one, many = plain(taken(rows, 1)), plain(taken(rows, 7))
    for each in (one, many):
        for column in each["columns"].values():
            (column["numbers"] or {}).pop("mean", None)
            (column["numbers"] or {}).pop("std", None)
    assert one == many
