"""What came after a decision: contests, overrides by people, decisions made again.

Each is an entry of its own, encrypted under the person's data key, that names the decision inside
its body; nothing of it stands in the entry itself, so who lost the key can link none of them. How
a decision stands now follows from these entries alone, found through the person's keys.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeVar

import msgspec

from pipelines.decisions.record import Decision, Recorded, Recorder
from pipelines.errors import BadRequest, Erased, IntegrityBroken
from pipelines.ledger.entry import Body, Draft, Fact, read_entry
from pipelines.ledger.keys import ID_SIZE
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import AlreadyRecorded
from pipelines.records import Record

CONTEST: Final = "contest"
OVERRIDE: Final = "override"
REDECISION: Final = "redecision"
Answer = Literal["approve", "decline", "refer"]
ANSWERS: Final[tuple[Answer, ...]] = ("approve", "decline", "refer")


class Contest(Record, frozen=True):
    """A person's own statement against a decision, who took it down, and until when it is answered.

    `former_id` is the entry that it speaks against: the decision, or what stood in its place.
    `due` is the last day for an answer by `policy`, whose digest is `policy_sha256`.
    """

    decision_id: str
    former_id: str
    statement: str
    person: str
    at: str
    due: dt.date
    policy: str
    policy_sha256: str


class Override(Record, frozen=True):
    """A named person's review of a decision: what holds from now on, and why.

    `former_id` is the entry whose outcome it takes the place of, `contests` the ids it answers.
    With the outcome `refer` it answers none.
    """

    decision_id: str
    former_id: str
    outcome: Answer
    person: str
    reason: str
    at: str
    contests: tuple[str, ...]


class Redecision(Record, frozen=True):
    """A decision made again after an incident, on the application as it was received.

    `made` is what the other model says. `outcome` is what holds: a machine takes no approval away,
    so that is `refer` where the model now declines somebody who was approved.
    """

    decision_id: str
    former_id: str
    incident_id: str
    outcome: Answer
    made: Decision
    person: str
    reason: str
    at: str


Later = Contest | Override | Redecision
KINDS: Final[dict[str, type[Later]]] = {
    CONTEST: Contest,
    OVERRIDE: Override,
    REDECISION: Redecision,
}
L = TypeVar("L", Contest, Override, Redecision)


class Changed(BadRequest):
    """Somebody else was first: look at the decision again before you go on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One later entry: its id, its place in the log, its kind, and what it says."""

    id: str
    index: int
    kind: str
    said: Later


@dataclass(frozen=True)
class Course:
    """A decision and everything that came after it, in the order of the log."""

    first: Recorded
    steps: tuple[Step, ...]

    @property
    def id(self) -> str:
        return self.first.id

    @cached_property
    def head(self) -> str:
        """The id of the entry whose outcome holds."""
        return self._holding[0]

    @cached_property
    def outcome(self) -> str:
        """The outcome that holds now."""
        return self._holding[1]

    @cached_property
    def _holding(self) -> tuple[str, str]:
        found = (self.first.id, str(self.first.made.decided.outcome))
        for step in self.steps:
            if not isinstance(step.said, Contest):
                found = (step.id, step.said.outcome)
        return found

    @cached_property
    def by_person(self) -> bool:
        """Whether a person's review holds."""
        return any(step.id == self.head and step.kind == OVERRIDE for step in self.steps)

    @cached_property
    def open(self) -> tuple[Step, ...]:
        """The contests that no review has answered."""
        return tuple(unanswered(self.steps))

    def of(self, kind: type[L]) -> Iterator[tuple[Step, L]]:
        """Yield the later entries of one kind."""
        for step in self.steps:
            if isinstance(step.said, kind):
                yield step, step.said


def unanswered(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield the contests among these entries that no override answers."""
    answered = {
        each for step in steps if isinstance(step.said, Override) for each in step.said.contests
    }
    for step in steps:
        if step.kind == CONTEST and step.id not in answered:
            yield step


def course(ledger: Ledger, number: bytes) -> Course:
    """Return a decision and what came after it. Raises NotThere, Erased, IntegrityBroken."""
    first = Recorder(ledger).read(number)
    return follow(ledger, first)


def follow(ledger: Ledger, first: Recorded) -> Course:
    """Return what came after a decision that was read."""
    subject = first.made.decided.subject
    if subject is None:
        return Course(first, ())
    keys = [each.key_id for each in ledger.keys.of_subject(subject)]
    places = sorted({seq for seq, _ in ledger.store.parts_under(keys) if seq > first.index})
    steps = (step(ledger, place) for place in places)
    return Course(
        first, tuple(each for each in steps if each and each.said.decision_id == first.id)
    )


def step(ledger: Ledger, place: int) -> Step | None:
    """Return the later entry at a place of the log; None for another kind, or an erased one."""
    row = ledger.row(place)
    kind = str(read_entry(row.entry)["t"])
    if kind not in KINDS:
        return None
    try:
        said = msgspec.json.decode(ledger.read(row.id).content, type=KINDS[kind])
    except Erased:
        return None
    except msgspec.DecodeError:
        raise IntegrityBroken("a later entry is not what its kind says", where=kind) from None
    return Step(row.id.hex(), place, kind, said)


def number_of(ledger: Ledger, kind: str, *words: str) -> bytes:
    """Return the id of an entry to be, the same for the same words; only a keyed hash is kept."""
    return ledger.keys.ref("\n".join([f"later {kind}", *words]))[:ID_SIZE]


def drafted(
    number: bytes, kind: str, said: Later, subject: str, facts: dict[str, Fact] | None = None
) -> Draft:
    """Return the draft of a later entry about a person."""
    content = msgspec.json.encode(said, order="sorted")
    return Draft(kind, facts or {}, (Body(subject, kind, content),), number)


def append(ledger: Ledger, draft: Draft) -> str:
    """Record a later entry once and return its id. Raises Changed when its place is taken."""
    try:
        return ledger.record(draft).id.hex()
    except AlreadyRecorded:
        raise Changed("somebody else was first: look again, then ask again") from None


def subject_of(found: Recorded) -> str:
    """Return whom a decision is about. Raises BadRequest where nobody was decided about."""
    subject = found.made.decided.subject
    if subject is None or found.made.decided.outcome == "refuse":
        raise BadRequest(
            "nobody was decided about: the application was sent back",
            where=found.id,
            hint="send it again, with what was wrong put right",
        )
    return subject


def now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)
