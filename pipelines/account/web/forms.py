"""The what-if form, made from the contract: a field for each column that the model reads.

Only what was changed goes on, as the text that was typed: the contract's own check reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.contract import Column, Contract
from pipelines.records import Json

PREFIX: Final = "f."
NOT_GIVEN: Final = "not given"
YES_NO: Final = (("true", "yes"), ("false", "no"))
INPUTS: Final = {"integer": "number", "number": "number", "date": "date"}
DIRECTIONS: Final = {
    "increase": "the person can raise it",
    "decrease": "the person can lower it",
    "any": "the person can change it",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form: what stands beside it, what may be in it, and what is in it now."""

    name: str
    label: str
    kind: str
    value: str
    hint: str
    step: str
    options: tuple[tuple[str, str], ...]
    actionable: bool

    @property
    def told(self) -> str:
        """Return what is in it, for a person to read."""
        return dict(self.options).get(self.value, self.value) or NOT_GIVEN


def fields(
    contract: Contract, features: Sequence[str], values: Mapping[str, Json]
) -> tuple[Field, ...]:
    """Return the fields for what the model reads; what the person can act on comes first."""
    known = set(features)
    found = [
        _field(column, text(values.get(column.name)))
        for column in contract.columns
        if column.name in known
    ]
    return tuple(sorted(found, key=lambda each: not each.actionable))


def changes(
    contract: Contract,
    features: Sequence[str],
    values: Mapping[str, Json],
    sent: Mapping[str, str],
) -> dict[str, str | None]:
    """Return what a sent form changes, by column; None for an emptied field.

    Fields that are no column which the model reads are left out.
    """
    known = set(features)
    return {
        column.name: sent[PREFIX + column.name].strip() or None
        for column in contract.columns
        if column.name in known
        and PREFIX + column.name in sent
        and sent[PREFIX + column.name].strip() != text(values.get(column.name))
    }


def label(column: Column) -> str:
    """Return a column in words, as a label that starts a line."""
    words = column.words or column.description or column.name
    return words[:1].upper() + words[1:]


def text(value: Json) -> str:
    """Return a value as it stands in a form; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004
        return str(int(value))
    return str(value)


def _field(column: Column, value: str) -> Field:
    options = _options(column, value)
    return Field(
        name=PREFIX + column.name,
        label=label(column),
        kind="select" if options else INPUTS.get(column.kind, "text"),
        value=value,
        hint=_hint(column),
        step="1" if column.kind == "integer" else "any",
        options=options,
        actionable=column.actionable != "no",
    )


def _options(column: Column, value: str) -> tuple[tuple[str, str], ...]:
    if column.kind == "boolean":
        found = list(YES_NO)
    elif column.allowed:
        found = [(text(each), column.meaning(each) or text(each)) for each in column.allowed]
    else:
        return ()
    if value and value not in dict(found):
        found.append((value, value))
    return (*found, ("", NOT_GIVEN))


def _hint(column: Column) -> str:
    """Return unit, range and whether the person can act on it, in words."""
    told = [column.unit] if column.unit else []
    low, high = (None, None) if column.allowed else (column.minimum, column.maximum)
    if low is not None and high is not None:
        told.append(f"{text(low)} to {text(high)}")
    elif low is not None:
        told.append(f"{text(low)} or more")
    elif high is not None:
        told.append(f"{text(high)} or less")
    if column.actionable in DIRECTIONS:
        told.append(DIRECTIONS[column.actionable])
    return "; ".join(told)
