"""What the page of one decision shows, out of the record and what came after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines.account.afterwards import Course, follow
from pipelines.account.trace import Sealed, Thread, check_sealed, trace
from pipelines.account.web.forms import Field, changes, fields, label
from pipelines.account.web.gate import Visitor
from pipelines.account.web.site import Site
from pipelines.contract import Column, Contract
from pipelines.decisions.decide import BY_MARGIN
from pipelines.decisions.record import Decision, Recorded
from pipelines.decisions.records import Concern, Refusal
from pipelines.errors import ClewError, IntegrityBroken
from pipelines.records import Candidate, Json
from pipelines.typed import read_json

OUTCOMES: Final = {
    "approve": "approved",
    "decline": "declined",
    "refer": "referred to a person",
    "refuse": "sent back",
}
BECAUSE: Final = {
    "score": "by the score",
    "band": "because the score is too near to the cutoff for a machine",
    "stopped": "because automated decisions were stopped",
    "holdout": "because it was drawn by chance for people to decide",
    "outside": "because a value is outside of what is documented",
    "no-score": "because no score could be made",
    "refused": "because the application broke the contract",
}
LATER: Final = {
    "look": "somebody looked at this record",
    "replay": "decided again, to check it",
    "contest": "the person contested it",
    "override": "a person reviewed it",
    "redecision": "decided again after an incident",
    "outcome": "what became of it was recorded",
    "export": "all that is recorded about the person was written out",
}
SCORERS: Final = {
    "plan": "the plan made from the model, proven to give its every bit",
    "scikit-learn": "the model itself, by scikit-learn",
}
ROLES: Final = ("feature", "protected", "subject", "event_time", "target", "ignored")


@dataclass(frozen=True, slots=True)
class Value:
    """One thing that was received: the column, its words, its unit, and the value as text.

    `read` says whether the model reads it; None where the model cannot be asked.
    """

    name: str
    label: str
    unit: str
    text: str
    read: bool | None


@dataclass(frozen=True, slots=True)
class Whole:
    """One decision, ready to show. `thread` is None where it could not be followed: `trouble`."""

    recorded: Recorded
    sealed: Sealed
    course: Course
    contract: Contract | None
    values: Sequence[Value]
    fields: Sequence[Field]
    thread: Thread | None
    trouble: str
    broken: bool

    @property
    def made(self) -> Decision:
        return self.recorded.made

    def received(self, name: str) -> str:
        """Return what was received for a column, with its unit."""
        found = next((each for each in self.values if each.name == name), None)
        return " ".join(filter(None, (found.text, found.unit))) if found else "not given"

    @property
    def decided_on(self) -> bool:
        """Whether a model judged an application of somebody."""
        decided = self.made.decided
        return decided.subject is not None and decided.outcome != "refuse"

    @property
    def could_flip(self) -> bool:
        """Whether another application might have been approved where this one was not."""
        decided = self.made.decided
        return decided.outcome != "approve" and decided.because in BY_MARGIN


def look(site: Site, number: bytes, visitor: Visitor, request_id: str) -> Whole:
    """Return a decision to show; that somebody looked is recorded before.

    Raises NotThere, Erased, IntegrityBroken, Unavailable.
    """
    recorded = site.recorder.look(number, visitor.name, request_id)
    return whole(site, number, recorded)


def whole(site: Site, number: bytes, recorded: Recorded) -> Whole:
    """Return everything about a decision that was looked at."""
    thread, read, trouble, broken = None, None, "", False
    sealed = check_sealed(site.ledger, recorded)
    try:
        thread = trace(site.ledger, site.registry, number, site.state, site.servers())
        read = reading(site, recorded)
    except ClewError as error:
        trouble, broken = error.what, isinstance(error, IntegrityBroken)
    contract = read.contract if read else None
    return Whole(
        recorded=recorded,
        sealed=sealed,
        course=follow(site.ledger, recorded),
        contract=contract,
        values=values(recorded, read),
        fields=read.fields() if read else (),
        thread=thread,
        trouble=trouble,
        broken=broken,
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads of an application: contract, columns, and what was received."""

    contract: Contract
    features: tuple[str, ...]
    values: Mapping[str, Json]

    def fields(self, asked: Mapping[str, str | None] | None = None) -> Sequence[Field]:
        """Return the what-if form's fields, filled in with what was received, or asked."""
        return fields(self.contract, self.features, {**self.values, **(asked or {})})

    def changes(self, sent: Mapping[str, str]) -> dict[str, str | None]:
        """Return what a sent form changes."""
        return changes(self.contract, self.features, self.values, sent)


def reading(site: Site, recorded: Recorded) -> Reading:
    """Return what the model of a decision reads."""
    files = site.version(recorded.made.origin).files
    return Reading(
        contract=read_json(files.contract, Contract),
        features=read_json(files.record, Candidate).features,
        values=recorded.made.decided.values or {},
    )


def values(recorded: Recorded, read: Reading | None) -> list[Value]:
    """Return what was received, in the contract's words; what the model reads first."""
    found = recorded.made.decided.values or {}
    if read is None:
        return [Value(name, name, "", told(item), read=None) for name, item in found.items()]
    return [
        Value(
            name=each.name,
            label=label(each),
            unit=each.unit or "",
            text=told(found[each.name], each),
            read=each.name in read.features,
        )
        for each in sorted(read.contract.columns, key=lambda each: _rank(each, read.features))
        if each.name in found
    ]


def _rank(column: Column, features: Sequence[str]) -> tuple[bool, int]:
    return column.name not in features, ROLES.index(column.role)


def told(value: Any, column: Column | None = None) -> str:  # noqa: ANN401 - any JSON value
    """Return a value for a person to read, every digit of it kept; a code with what it means."""
    meaning = column.meaning(value) if column else None
    if meaning is not None:
        return f"{meaning} ({told(value)})"
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004
        return str(int(value))
    return str(value)


def problem(found: Refusal | Concern, contract: Contract | None) -> tuple[str, str]:
    """Return what was wrong with an application: the field in words, and the rule."""
    name = found.field if isinstance(found, Refusal) else found.column
    known = {each.name: label(each) for each in contract.columns} if contract else {}
    return known.get(name, name or "the whole application"), found.rule
