"""An incident: a bad model version or snapshot, whom it touched, what was done, under a clock.

The dossier is derived from the log. Its entries name versions, snapshots and each other, and no
person decided about; who opened or closed what is encrypted under the staff member's own key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from pipelines.account.afterwards import REDECISION, Redecision, now, step
from pipelines.decisions.record import DECISION
from pipelines.decisions.records import STAFF
from pipelines.errors import BadRequest, GateRefused, IntegrityBroken, NotThere, did_you_mean
from pipelines.ledger.entry import Body, Draft, Fact, read_entry
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import Row
from pipelines.records import Json, Record
from pipelines.release.approve import named, reasoned
from pipelines.release.policy import Policy

INCIDENT: Final = "incident"
ACTION: Final = "incident-action"
PURPOSE: Final = "operation"
PAGE: Final = 2048
Target = Literal["model-version", "snapshot"]
FACTS: Final[dict[Target, str]] = {"model-version": "mv", "snapshot": "d"}
Did = Literal["rolled-back", "dry-run", "redecided", "reported", "closed"]


class Incident(Record, frozen=True):
    """What is bad, since when that is known, and until when it is reported, by which pack.

    `kind` is one of the pack's kinds of incident. `due` is the last day.
    """

    target: Target
    name: str
    kind: str
    person: str
    reason: str
    known_since: str
    due: dt.date
    policy: str
    policy_sha256: str


class Action(Record, frozen=True):
    """One thing that was done about an incident, by whom, and what it came to."""

    incident_id: str
    did: Did
    person: str
    reason: str
    at: str
    came_to: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Dossier:
    """An incident with everything done about it, oldest first, by the entries' ids."""

    id: str
    incident: Incident
    actions: tuple[tuple[str, Action], ...]

    def done(self, did: Did) -> tuple[Action, ...]:
        """Return the actions of one sort."""
        return tuple(each for _, each in self.actions if each.did == did)

    def left(self, today: dt.date) -> int | None:
        """Return the days left to report it, below zero when overdue; None once reported."""
        return None if self.done("reported") else (self.incident.due - today).days


def open_incident(
    ledger: Ledger,
    target: Target,
    name: str,
    kind: str,
    person: str,
    reason: str,
    policy: Policy,
    known_since: dt.datetime | None = None,
) -> Dossier:
    """Open an incident about a version or snapshot that decided. Raises BadRequest, NotThere."""
    person, reason = named(person), reasoned(reason)
    since = known_since or now()
    kind, days = deadline(policy, kind)
    if not any(True for _ in _entries(ledger, target, name)):
        raise NotThere(f"no decision rests on this {target}", observed=name, hint="clew history")
    made = Incident(
        target=target,
        name=name,
        kind=kind,
        person=person,
        reason=reason,
        known_since=since.isoformat(timespec="seconds"),
        due=since.date() + dt.timedelta(days=days),
        policy=policy.name,
        policy_sha256=policy.sha256,
    )
    receipt = ledger.record(_draft(INCIDENT, {FACTS[target]: name}, made, person))
    return Dossier(receipt.id.hex(), made, ())


def deadline(policy: Policy, kind: str) -> tuple[str, int]:
    """Return a kind of incident of the pack, the first where none is asked for, and its days."""
    if policy.incident is None or not policy.incident.days:
        raise BadRequest(
            "the policy pack does not say until when an incident is reported",
            where=f"{policy.name}: incident",
            expected="days for each kind, and the reason for them",
            hint="docs/how-to/handle-an-incident.md",
        )
    days = policy.incident.days
    chosen = kind or next(iter(days))
    if chosen not in days:
        hint = did_you_mean(kind, days)
        raise BadRequest(
            "the policy pack knows no such kind", observed=kind, expected=", ".join(days), hint=hint
        )
    return chosen, days[chosen]


def act(
    ledger: Ledger, number: bytes, did: Did, person: str, reason: str, came_to: dict[str, Json]
) -> str:
    """Record what was done about an incident; return the entry's id. Raises NotThere."""
    made = Action(
        incident_id=dossier(ledger, number).id,
        did=did,
        person=named(person),
        reason=reasoned(reason),
        at=now().isoformat(timespec="seconds"),
        came_to=came_to,
    )
    return ledger.record(_draft(ACTION, {"of": number.hex()}, made, person)).id.hex()


def dossier(ledger: Ledger, number: bytes) -> Dossier:
    """Return an incident with all that was done about it. Raises NotThere, IntegrityBroken."""
    row = ledger.row(ledger.find(number))
    if read_entry(row.entry)["t"] != INCIDENT:
        raise NotThere("no incident under this id", where=number.hex(), hint="clew incident list")
    mark = f'"of":"{number.hex()}"'.encode()
    actions = tuple(
        (each.id.hex(), _read(ledger, each, Action))
        for each in _rows(ledger, row.seq)
        if mark in each.entry and read_entry(each.entry)["t"] == ACTION
    )
    return Dossier(number.hex(), _read(ledger, row, Incident), actions)


def incidents(ledger: Ledger) -> list[Dossier]:
    """Return all incidents, oldest first."""
    mark = f'"t":"{INCIDENT}"'.encode()
    return [dossier(ledger, row.id) for row in _rows(ledger) if mark in row.entry]


def overdue(found: list[Dossier], today: dt.date) -> GateRefused | None:
    """Return the alarm when an incident was not reported in time."""
    late = [each for each in found if (left := each.left(today)) is not None and left < 0]
    if not late:
        return None
    return GateRefused(
        "incidents were not reported in time",
        observed=f"{len(late)} overdue, the first since {late[0].incident.due}",
        expected="a report before the deadline of the policy pack",
        hint=f"clew incident report {late[0].id}",
    )


def affected(ledger: Ledger, incident: Incident) -> list[bytes]:
    """Return the ids of the decisions that rest on what is bad, in the order of the log.

    Decisions made again by it count too. Nothing but those is decrypted.
    """
    found: dict[bytes, None] = {}
    for row, kind in _entries(ledger, incident.target, incident.name):
        if kind == DECISION:
            found[row.id] = None
            continue
        again = step(ledger, row.seq)
        if again is not None and isinstance(again.said, Redecision):
            found[bytes.fromhex(again.said.decision_id)] = None
    return list(found)


def _entries(ledger: Ledger, target: Target, name: str) -> Iterator[tuple[Row, str]]:
    """Yield the entries, with their kinds, that name a version or snapshot as what decided."""
    fact = FACTS[target]
    mark = f'"{fact}":'.encode()
    for row in _rows(ledger):
        if mark in row.entry:
            fields = read_entry(row.entry)
            if fields["t"] in {DECISION, REDECISION} and fields.get(fact) == name:
                yield row, str(fields["t"])


def _rows(ledger: Ledger, first: int = 0) -> Iterator[Row]:
    for start in range(first, ledger.checkpoint()[0].size, PAGE):
        yield from ledger.store.rows(start, start + PAGE)


def _draft(kind: str, facts: dict[str, Fact], made: Record, person: str) -> Draft:
    content = msgspec.json.encode(made, order="sorted")
    return Draft(kind, facts, (Body(f"{STAFF}{person}", PURPOSE, content),))


def _read(ledger: Ledger, row: Row, kind: type[Any]) -> Any:  # noqa: ANN401
    try:
        return msgspec.json.decode(ledger.read(row.id).content, type=kind)
    except msgspec.DecodeError:
        raise IntegrityBroken("an entry about an incident is none", where=row.id.hex()) from None
