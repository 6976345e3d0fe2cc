"""The table of people by groups, outcome and label."""

from __future__ import annotations

from collections import Counter
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contract import Band, Column, Contract, Protected
from pipelines.data import cast, cube
from pipelines.data.cube import NEW, Cube, CubeTally, GroupCoder
from pipelines.data.groups import groups

CONTRACT = Contract(
    name="people",
    version="1",
    columns=(
        Column(
            name="one",
            role="protected",
            kind="integer",
            protected=Protected(attribute="origin", group="north"),
        ),
        Column(
            name="two",
            role="protected",
            kind="integer",
            protected=Protected(attribute="origin", group="south"),
        ),
        Column(name="sex", role="protected", kind="string", protected=Protected(attribute="sex")),
        Column(
            name="years",
            role="protected",
            kind="number",
            protected=Protected(
                attribute="age", bands=(Band(name="young", below=40.0), Band(name="old"))
            ),
        ),
    ),
)
NAMES = cube.known_groups(
    {"origin": ["north", "south"], "sex": ["f", "m"], "age": ["young", "old"]}
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from([0, 1, None]),
        st.sampled_from([0, 1, None]),
        st.sampled_from(["f", "m", "", None, "else"]),
        st.sampled_from([20.0, 39.9, 40.0, 80.5, float("nan"), None]),
        st.integers(0, 3),
        st.integers(0, 2),
        st.floats(0.0, 1.0),
    ),
    max_size=40,
)
Person = tuple[int | None, int | None, str | None, float | None, int, int, float]


def table(people: list[Person]) -> pa.Table:
    """Return the protected columns of people."""
    kinds = [cast.TYPES[each.kind] for each in CONTRACT.columns]
    return pa.table(
        {
            column.name: pa.array([each[place] for each in people], kind)
            for place, (column, kind) in enumerate(zip(CONTRACT.columns, kinds, strict=True))
        }
    )


def counted(people: list[Person]) -> Cube:
    """Count people."""
    tally = CubeTally(NAMES)
    codes = GroupCoder(CONTRACT, NAMES).codes(table(people))
    outcomes, labels = (np.array([each[at] for each in people], dtype=np.int64) for at in (4, 5))
    chances = np.array([each[6] for each in people], dtype=np.float64)
    tally.add(codes, outcomes, labels, cube.in_parts(chances))
    return tally.cube()


@given(PEOPLE)
def test_every_group_is_the_one_the_contract_tells(people: list[Person]) -> None:
    """Coding values once each gives each person the group that asking the contract by row gives."""
    named = groups(cast.frame(table(people)), CONTRACT)
    expected = Counter(
        (
            tuple(
                str(named[name].iloc[at]) if named[name].iloc[at] in NAMES[name] else NEW
                for name in NAMES
            ),
            cube.OUTCOMES[each[4]],
            cube.LABELS[each[5]],
        )
        for at, each in enumerate(people)
    )
    found = {(cell.groups, cell.outcome, cell.label): cell.count for cell in counted(people).cells}
    assert dict(expected) == found


@given(st.lists(PEOPLE, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_tables_merge_to_the_table_of_all_people(parts: list[list[Person]], draw: object) -> None:
    """However people are cut and ordered, merging gives the very table of all of them."""
    whole = counted([each for part in parts for each in part])
    draw.shuffle(parts)  # type: ignore[attr-defined]
    assert whole == reduce(cube.merge, [counted(part) for part in parts])


@given(st.lists(PEOPLE, min_size=2, max_size=4))
def test_what_a_coder_remembers_changes_no_group(parts: list[list[Person]]) -> None:
    """A coder that saw other people before gives the groups that one that saw nobody gives."""
    used = GroupCoder(CONTRACT, NAMES)
    for part in parts:
        fresh = GroupCoder(CONTRACT, NAMES).codes(table(part))
        assert [code.tolist() for code in fresh] == [c.tolist() for c in used.codes(table(part))]


def test_a_coder_remembers_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protected free text gives every new value its group, and what is remembered stays small."""
    monkeypatch.setattr(cube, "REMEMBERED", 4)
    coder = GroupCoder(CONTRACT, NAMES)
    for number in range(3):
        texts = [(0, 0, f"{number}-{each}", 20.0, 0, 0, 0.5) for each in range(5)]
        named = coder.codes(table([*texts, (1, 0, "m", 20.0, 0, 0, 0.5)]))
        found = dict(zip(NAMES, named, strict=True))["sex"].tolist()
        assert [NAMES["sex"].index(each) for each in [*[NEW] * 5, "m"]] == found


def test_a_group_that_the_reference_did_not_know_gives_no_name() -> None:
    """Free text in a protected column is counted as new, and stands nowhere."""
    found = counted([(1, 0, "p-marked-77", 20.0, 0, 0, 0.5)])
    assert b"p-marked" not in found.canonical()
    assert ("young", "north", NEW) == found.cells[0].groups


def test_so_many_attributes_that_no_array_holds_them_are_counted_too() -> None:
    """Twelve attributes have more cells than a dense array; only those that occur are kept."""
    names = {f"a{number}": ("x", "y", "z") for number in range(14)}
    tally = CubeTally(names)
    codes = [np.array([0, 2, 2]) for _ in names]
    tally.add(codes, np.array([0, 1, 1]), np.array([0, 2, 2]))
    assert [(("x",) * 14, 1), (("z",) * 14, 2)] == [
        (cell.groups, cell.count) for cell in tally.cube().cells
    ]


def test_a_protected_column_that_is_gone_leaves_people_of_unknown_group() -> None:
    """Without the columns of an attribute everybody is counted, and nobody's group is known."""
    people = table([(1, 0, "f", 20.0, 0, 0, 0.5)]).drop_columns(["one", "two"])
    codes = GroupCoder(CONTRACT, NAMES).codes(people)
    named = [names[int(code[0])] for names, code in zip(NAMES.values(), codes, strict=True)]
    assert ["young", "unknown", "f"] == named
