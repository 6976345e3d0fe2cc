"""One person's rights in the ledger: erase what may be erased, and export all there is.

Records must be kept as long as the policy pack says. What is asked to be erased before that is
deferred, and the plan says until when.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipelines.decisions.record import DECISION
from pipelines.decisions.records import STAFF
from pipelines.errors import BadRequest, Erased, GateRefused, IntegrityBroken, NotThere
from pipelines.ledger import erasure
from pipelines.ledger.entry import Body, Draft, read_entry
from pipelines.ledger.erasure import Erasure
from pipelines.ledger.log import Ledger
from pipelines.release.approve import named, reasoned
from pipelines.release.policy import Policy, Retention

EXPORT: Final = "export"
MONTHS: Final = 12
LONGEST_BASIS: Final = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What erasing a person comes to: buckets to erase now, and those deferred until a day."""

    now: tuple[str, ...]
    deferred: dict[str, dt.date]
    parts: int
    hold: str

    def lines(self) -> list[str]:
        """Return the plan for a person to read."""
        told = [f"erase      {bucket}" for bucket in self.now]
        told += [f"deferred   {each}, until {day}" for each, day in self.deferred.items()]
        return [*told, f"records    {self.parts}", f"legal hold {self.hold or 'none'}"]


def kept_until(bucket: str, retention: dict[str, Retention]) -> dt.date:
    """Return the day from which a bucket (month/purpose) may be erased.

    Counted from the end of its month, so that no record in it goes too early. A purpose without a
    rule of its own follows the rule for decisions. Raises BadRequest when the pack has none.
    """
    month, _, purpose = bucket.partition("/")
    rule = retention.get(purpose) or retention.get(DECISION)
    if rule is None:
        raise BadRequest(
            "the policy pack does not say how long records must be kept",
            where="retention",
            expected=f"months for {purpose} or {DECISION}",
            hint="docs/how-to/decide.md",
        )
    year, number = (int(each) for each in month.split("-"))
    after = year * MONTHS + number + rule.months
    return dt.date(after // MONTHS, after % MONTHS + 1, 1)


def plan(ledger: Ledger, subject: str, policy: Policy, today: dt.date) -> Plan:
    """Return what may be erased today. Raises NotThere when nothing is recorded."""
    found = erasure.plan(ledger, subject)
    days = {bucket: kept_until(bucket, policy.retention) for bucket in found.buckets}
    now = tuple(bucket for bucket, day in days.items() if day <= today)
    deferred = {bucket: day for bucket, day in days.items() if day > today}
    parts = erasure.plan(ledger, subject, now).parts if now else 0
    return Plan(now, deferred, parts, found.hold)


def erase(
    ledger: Ledger, subject: str, planned: Plan, policy: Policy, person: str, reason: str
) -> Erasure:
    """Carry out a plan; who did and why is recorded first, where the tombstone is public.

    Raises GateRefused on a legal hold, or when all of it is deferred.
    """
    person, reason = named(person), reasoned(reason)
    if planned.hold:
        raise GateRefused("the person is under a legal hold", hint="lift the hold first")
    if not planned.now:
        first = min(planned.deferred.values())
        raise GateRefused("the law wants these records kept", expected=f"erasure from {first} on")
    erasure.refuse_without_right(ledger)
    erasure.finish_erasures(ledger)
    record_act(ledger, "erase", person, reason)
    basis = f"asked for, under {policy.name}"[:LONGEST_BASIS]
    return erasure.erase(ledger, erasure.plan(ledger, subject, planned.now), basis)


def record_act(ledger: Ledger, kind: str, person: str, reason: str) -> str:
    """Record who does something about a person's rights and why, but not for whom; return its id.

    Raises BadRequest without a name or a reason.
    """
    return ledger.record(Draft(kind, {}, (act(person, reason),))).id.hex()


def act(person: str, reason: str) -> Body:
    """Return what is kept, encrypted, of who did something and why. Raises BadRequest."""
    content = msgspec.json.encode({"person": named(person), "reason": reasoned(reason)})
    return Body(f"{STAFF}{person}", "operation", content)


def nothing_recorded() -> NotThere:
    """Return what to say where nothing is known of a person."""
    return NotThere(
        "nothing is recorded about this person",
        expected="the person as in the contract's subject column",
    )


def export(ledger: Ledger, subject: str, person: str) -> dict[str, Any]:
    """Return all that is recorded about a person; that it was exported is recorded first.

    Raises NotThere when nothing is.
    """
    keys = ledger.keys.of_subject(subject)
    if not keys:
        raise nothing_recorded()
    content = msgspec.json.encode({"caller": person})
    ledger.record(Draft(EXPORT, {}, (Body(subject, EXPORT, content),)))
    parts = ledger.store.parts_under([each.key_id for each in ledger.keys.of_subject(subject)])
    return {"subject": subject, "records": list(_records(ledger, sorted(parts)))}


def _records(ledger: Ledger, parts: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for seq, n in parts:
        row = ledger.row(seq)
        entry = read_entry(row.entry)
        try:
            content = json.loads(ledger.read(row.id, n).content)
        except Erased:
            continue  # erased since the list was made
        except ValueError:
            raise IntegrityBroken("a record is not JSON", where=f"entry {seq}") from None
        if isinstance(content, dict) and isinstance(content.get("request"), str):
            content["request"] = base64.b64decode(content["request"]).decode(errors="replace")
        at = dt.datetime.fromtimestamp(entry["ts"] / 1000, dt.UTC).isoformat()
        yield {"id": row.id.hex(), "kind": entry["t"], "at": at, "entry": entry, "content": content}
