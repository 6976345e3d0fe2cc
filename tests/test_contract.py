"""The contract is read whole or refused with the place that is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import contract
from pipelines.errors import BadRequest, NotThere
from pipelines.typed import convert, plain

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = (ROOT / "contract.yaml", ROOT / "examples" / "adult" / "contract.yaml")


def custom(**properties: object) -> list[dict[str, object]]:
    """Return custom properties as ODCS writes them."""
    return [{"property": name, "value": value} for name, value in properties.items()]


def document() -> dict[str, Any]:
    """Return a small contract."""
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "small",
        "version": "2.0.0",
        "status": "active",
        "schema": [
            {
                "name": "people",
                "logicalType": "object",
                "properties": [
                    {
                        "name": "id",
                        "logicalType": "string",
                        "customProperties": custom(role="subject"),
                    },
                    {
                        "name": "x",
                        "logicalType": "number",
                        "customProperties": custom(role="feature"),
                    },
                    {
                        "name": "y",
                        "logicalType": "integer",
                        "customProperties": custom(role="target", favourable=1),
                    },
                ],
            }
        ],
    }


def read(folder: Path, raw: object) -> contract.Contract:
    """Write a document and read it as a contract."""
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return contract.read(path)


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_contracts_here_can_be_read(path: Path) -> None:
    """Both contracts of this repository name a subject, features, groups and a target."""
    found = contract.read(path)
    assert found.subject.unique
    assert found.target.favourable is not None
    assert {"race", "sex", "age", "marital status"} <= set(found.attributes)


@pytest.mark.parametrize("path", EXAMPLES)
def test_a_contract_survives_its_canonical_form(path: Path) -> None:
    """A contract written as plain data is read back as the same, with the same digest."""
    found = contract.read(path)
    again = convert(plain(found), contract.Contract, "contract.json")
    assert found.sha256 == again.sha256


def test_the_columns_are_found_by_role_and_name(tmp_path: Path) -> None:
    """Roles give the columns, a wrong name gives the nearest."""
    found = read(tmp_path, document())
    assert ("id", "y", None) == (found.subject.name, found.target.name, found.event_time)
    with pytest.raises(BadRequest, match="did you mean 'x'"):
        found.column("xx")


def with_custom(**properties: object) -> Callable[[Any, Any], object]:
    """Return the change that gives the second column these custom properties."""
    return lambda _, columns: columns[1].update(customProperties=custom(**properties))


CHANGES: dict[str, Callable[[Any, Any], object]] = {
    "two subjects": lambda _, columns: columns.append({**columns[0], "name": "id2"}),
    "no target": lambda _, columns: columns.pop(),
    "no feature": lambda _, columns: columns.pop(1),
    "a name twice": lambda _, columns: columns.append(columns[1]),
    "two tables": lambda raw, _: raw["schema"].append(raw["schema"][0]),
    "no favourable value": lambda _, columns: columns[2].update(
        customProperties=custom(role="target")
    ),
    "unknown role": with_custom(role="feautre"),
    "no role": lambda _, columns: columns[1].pop("customProperties"),
    "unknown property": with_custom(role="feature", monoton="increasing"),
    "unknown type": lambda _, columns: columns[1].update(logicalType="array"),
    "protected without an attribute": lambda _, columns: columns.append(
        {**columns[1], "name": "z", "customProperties": custom(role="protected")}
    ),
    "not ODCS": lambda raw, _: raw.update(schema="people"),
}


def broken(change: str) -> dict[str, Any]:
    """Return the small contract with one thing wrong."""
    raw = copy.deepcopy(document())
    CHANGES[change](raw, raw["schema"][0]["properties"])
    return raw


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("two subjects", "1 column of role subject"),
        ("no target", "1 column of role target"),
        ("no feature", "no column of role feature"),
        ("a name twice", "contract.yaml: x"),
        ("two tables", "a contract describes one table"),
        ("no favourable value", "contract.yaml: y"),
        ("unknown role", "contract.yaml: x"),
        ("no role", "contract.yaml: x"),
        ("unknown property", "did you mean 'monotone'?"),
        ("unknown type", "contract.yaml: x"),
        ("protected without an attribute", "does not name its attribute"),
        ("not ODCS", "not an ODCS document"),
    ],
)
def test_a_wrong_contract_is_refused_with_its_place(tmp_path: Path, change: str, told: str) -> None:
    """Each way to be wrong is a bad request that says where."""
    with pytest.raises(BadRequest) as caught:
        read(tmp_path, broken(change))
    assert told in str(caught.value)


def test_no_contract(tmp_path: Path) -> None:
    """A contract that is not there is not an empty one."""
    with pytest.raises(NotThere):
        contract.read(tmp_path / "contract.yaml")


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)
bounds = st.tuples(st.floats(-1e300, 0), st.floats(0, 1e300))
scalars = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), names
)


@settings(max_examples=60, deadline=None)
@given(
    name=names.filter(lambda text: text not in {"id", "x", "y"}),
    kind=st.sampled_from(["integer", "number", "string", "boolean", "date", "timestamp"]),
    required=st.booleans(),
    limits=bounds,
    sentinels=st.lists(scalars, max_size=3),
    allowed=st.lists(scalars, min_size=1, max_size=3),
    percent=st.integers(0, 100),
)
def test_what_a_contract_says_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    kind: str,
    required: bool,
    limits: tuple[float, float],
    sentinels: list[object],
    allowed: list[object],
    percent: int,
) -> None:
    """Name, type, range, sentinels, allowed values and share of a column arrive unchanged."""
    raw = document()
    raw["schema"][0]["properties"].append(
        {
            "name": name,
            "logicalType": kind,
            "required": required,
            "logicalTypeOptions": {"minimum": limits[0], "maximum": limits[1]},
            "quality": [
                {
                    "type": "library",
                    "metric": "missingValues",
                    "arguments": {"missingValues": [None, *sentinels]},
                    "mustBeLessOrEqualTo": percent,
                    "unit": "percent",
                },
                {
                    "type": "library",
                    "metric": "invalidValues",
                    "arguments": {"validValues": allowed},
                    "mustBe": 0,
                },
            ],
            "customProperties": custom(role="feature"),
        }
    )
    found = read(tmp_path_factory.mktemp("contract"), raw).column(name)
    assert (name, kind, required, *limits) == (
        found.name,
        found.kind,
        found.required,
        found.minimum,
        found.maximum,
    )
    assert (tuple(sentinels), tuple(allowed)) == (found.sentinels, found.allowed)
    assert percent / 100 == found.max_missing_share
