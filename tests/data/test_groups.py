"""The group of each person, as the contract tells it."""

from __future__ import annotations

import pandas as pd
import pytest

from pipelines.contract import Band, Column, Contract, Kind, Protected
from pipelines.data.groups import groups


def contract(*columns: tuple[str, Kind, dict[str, object]]) -> Contract:
    """Return a contract of protected columns."""
    return Contract(
        name="groups",
        version="1",
        columns=tuple(
            Column(name=name, role="protected", kind=kind, protected=Protected(**told))  # type: ignore[arg-type]
            for name, kind, told in columns
        ),
    )


def told(frame: dict[str, object], *columns: tuple[str, Kind, dict[str, object]]) -> list[str]:
    """Return the groups of the first attribute."""
    found = groups(pd.DataFrame(frame), contract(*columns))
    return list(found.iloc[:, 0])


def test_indicators() -> None:
    """One indicator names the group, none or missing is unknown, two are several."""
    frame = {
        "a": pd.array([1, 0, 0, 1, None], dtype="Int64"),
        "b": pd.array([0, 1, 0, 1, None], dtype="Int64"),
    }
    columns: list[tuple[str, Kind, dict[str, object]]] = [
        ("a", "integer", {"attribute": "kind", "group": "first"}),
        ("b", "integer", {"attribute": "kind", "group": "second"}),
    ]
    assert ["first", "second", "unknown", "several", "unknown"] == told(frame, *columns)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", pd.array([1, 0, None], dtype="Int64")),
        ("integer", [1.0, 0.0, None]),
        ("number", [1.0, 0.0, float("nan")]),
        ("boolean", pd.array([True, False, None], dtype="boolean")),
        ("string", pd.array(["1", "0", None], dtype="string")),
    ],
)
def test_an_indicator_of_any_type(kind: Kind, values: object) -> None:
    """An indicator is read the same whatever type of column holds it."""
    assert ["yes", "unknown", "unknown"] == told(
        {"a": values}, ("a", kind, {"attribute": "x", "group": "yes"})
    )


def test_values_with_names() -> None:
    """A value has the name that the contract gives it; one without a name is unknown."""
    named = {"attribute": "sex", "groups": {"0": "female", "1": "male"}}
    values = pd.array([0, 1, 2, None], dtype="Int64")
    assert ["female", "male", "unknown", "unknown"] == told({"a": values}, ("a", "integer", named))
    assert ["female", "male"] == told({"a": [0.0, 1.0]}, ("a", "number", named))


def test_values_are_their_own_names() -> None:
    """Without names the value itself is the group."""
    values = pd.array(["red", None], dtype="string")
    assert ["red", "unknown"] == told({"a": values}, ("a", "string", {"attribute": "x"}))


def test_bands() -> None:
    """A number belongs to the first band that it is below; a band without an end takes the rest."""
    bands = (Band(name="young", below=30), Band(name="middle", below=50), Band(name="old"))
    values = pd.array([29, 30, 49, 50, None], dtype="Int64")
    assert ["young", "middle", "middle", "old", "unknown"] == told(
        {"a": values}, ("a", "integer", {"attribute": "age", "bands": bands})
    )
    assert ["unknown"] == told(
        {"a": [77.0]}, ("a", "number", {"attribute": "age", "bands": bands[:2]})
    )


def test_the_index_is_kept() -> None:
    """Groups can be joined to the rows they were told from."""
    frame = pd.DataFrame({"a": ["x", "y"]}, index=[7, 3])
    found = groups(frame, contract(("a", "string", {"attribute": "kind"})))
    assert [7, 3] == list(found.index)
    assert ["kind"] == list(found.columns)


def test_no_rows() -> None:
    """No rows have no groups, and the columns are there all the same."""
    found = groups(
        pd.DataFrame({"a": pd.array([], dtype="Int64")}),
        contract(("a", "integer", {"attribute": "kind", "group": "x"})),
    )
    assert (0, ["kind"]) == (len(found), list(found.columns))
