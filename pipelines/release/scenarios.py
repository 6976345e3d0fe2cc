"""Scenarios: what domain experts expect of named applicants; data, not code.

A model's stand in `policies/scenarios/<model name>.yaml`, beside the packs and as old as these are.
A person has all fields of an application, or is like another one with some values changed. A
scenario says what must come out for a person: an outcome, the outcome of another person, or a
margin that is not lower than another's. Nobody in it is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from pipelines.contract import Column, Contract, Scalar
from pipelines.data import cast
from pipelines.data.rules import required
from pipelines.errors import BadRequest, did_you_mean
from pipelines.layout import Layout
from pipelines.release.policy import Part
from pipelines.typed import read_yaml

Must = Literal["be approved", "not be approved", "be declined", "not be declined"]
ASKED = ("feature", "protected")
# The check that tests them, and where its evidence names the file that it read.
CHECK, SHA256 = "scenarios", "scenarios_sha256"


class Person(Part, frozen=True):
    """A made-up applicant: the values of all columns, or those that differ from `like`'s."""

    values: dict[str, Scalar | None]
    like: str | None = None


class Scenario(Part, frozen=True):
    """One expectation of one person, and why; just one of the three kinds.

    With `gates: false` it is shown beside the others and decides nothing; `because` says why.
    """

    name: str
    person: str
    because: str
    must: Must | None = None
    same_outcome_as: str | None = None
    margin_not_lower_than: str | None = None
    gates: bool = True

    @property
    def other(self) -> str | None:
        """The person whom this one is compared with, if any."""
        return self.same_outcome_as or self.margin_not_lower_than


class Scenarios(Part, frozen=True):
    """All people and what is expected of them."""

    people: dict[str, Person]
    scenarios: tuple[Scenario, ...]


def path(layout: Layout, model_name: str) -> Path:
    """Return where the scenarios of a model stand, if there are any."""
    return layout.policies / CHECK / f"{model_name}.yaml"


def read(file: Path, contract: Contract) -> Scenarios:
    """Read the file and check it against the contract.

    Raises NotThere, or BadRequest naming the person or scenario, the column and the rule.
    """
    found = read_yaml(file, Scenarios)
    for person, column, rule in _unfit(found, contract, file.name):
        hint = did_you_mean(column, [each.name for each in _asked(contract)])
        raise BadRequest(rule, where=f"{file.name}: people: {person}: {column}", hint=hint)
    for each in found.scenarios:
        _whole(each, found, file.name)
    names = [each.name for each in found.scenarios]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadRequest("a scenario stands twice", where=f"{file.name}: {twice[0]}")
    return found


def values_of(found: Scenarios, name: str, file: str) -> dict[str, Scalar | None]:
    """Return a person's values, those of whom they are like included. Raises BadRequest."""
    chain: list[str] = []
    each: str | None = name
    while each is not None:
        if each not in found.people or each in chain:
            rule = "a person is like themselves" if each in chain else "no such person"
            hint = did_you_mean(each, found.people)
            raise BadRequest(rule, where=f"{file}: people: {name}", observed=each, hint=hint)
        chain.append(each)
        each = found.people[each].like
    values: dict[str, Scalar | None] = {}
    for like in reversed(chain):
        values |= found.people[like].values  # noqa: PD011 - no data frame
    return values


def frame(found: Scenarios, contract: Contract) -> pd.DataFrame:
    """Return all people as typed rows by name, as an application's values are typed."""
    people = [values_of(found, name, "") for name in found.people]
    columns = {
        column.name: _typed([each[column.name] for each in people], column)[0]
        for column in _asked(contract)
    }
    return cast.frame(pa.table(columns)).set_index(pd.Index(list(found.people), dtype=object))


def _asked(contract: Contract) -> tuple[Column, ...]:
    return tuple(column for column in contract.columns if column.role in ASKED)


def _typed(values: list[Scalar | None], column: Column) -> tuple[pa.Array, pa.Array]:
    """Return typed values, and which of them are not of the column's kind."""
    texts = pa.array([None if each is None else _text(each) for each in values], pa.string())
    made = cast.cast(texts, column)
    return made.values, made.bad  # noqa: PD011 - no data frame


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unfit(found: Scenarios, contract: Contract, file: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with people: the person, the column and the rule; never a value."""
    asked = {column.name: column for column in _asked(contract)}
    people = {name: values_of(found, name, file) for name in found.people}
    for person, values in people.items():
        for name in sorted(values.keys() - asked.keys()):
            yield person, name, "no column of an application"
        for name in sorted(asked.keys() - values.keys()):
            yield person, name, "a person has all fields (null where a value may be missing)"
    for name, column in asked.items():
        made, wrong = _typed([values.get(name) for values in people.values()], column)
        for person, value, bad in zip(people, made.to_pylist(), wrong.to_pylist(), strict=True):
            if bad:
                yield person, name, f"not of the kind {column.kind}"
            elif value is None and required(column):
                yield person, name, "the contract requires a value"
            elif value is not None and not _documented(value, column):
                yield person, name, "outside what the contract documents"


def _documented(value: Scalar, column: Column) -> bool:
    if column.allowed is not None:
        return _text(value) in {_text(each) for each in column.allowed}
    if isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
        return True
    low, high = column.minimum, column.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _whole(each: Scenario, found: Scenarios, file: str) -> None:
    where = f"{file}: {each.name}"
    kinds = (each.must, each.same_outcome_as, each.margin_not_lower_than)
    if sum(kind is not None for kind in kinds) != 1:
        expected = "one of must, same_outcome_as, margin_not_lower_than"
        raise BadRequest("a scenario expects one thing", where=where, expected=expected)
    if not each.because.strip():
        raise BadRequest("a scenario gives its reason", where=where)
    for person in (each.person, each.other):
        if person is not None and person not in found.people:
            hint = did_you_mean(person, found.people)
            raise BadRequest("no such person", where=where, observed=person, hint=hint)
