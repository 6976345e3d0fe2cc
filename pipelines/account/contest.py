"""A person contests a decision; a named human reviews it and says what holds from now on.

GDPR, Article 22(3): to obtain human intervention, to express one's point of view and to contest
the decision. The deadline is the policy pack's on the day of the contest, and is recorded with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipelines.account.afterwards import (
    ANSWERS,
    CONTEST,
    OVERRIDE,
    Answer,
    Contest,
    Course,
    Override,
    Step,
    append,
    course,
    drafted,
    now,
    number_of,
    step,
    subject_of,
    unanswered,
)
from pipelines.canonical import sha256_bytes
from pipelines.errors import BadRequest, GateRefused, did_you_mean
from pipelines.ledger.log import Ledger
from pipelines.release.approve import named, reasoned
from pipelines.release.policy import Policy

LONGEST_STATEMENT: Final = 50_000
PAGE: Final = 2048


@dataclass(frozen=True, slots=True)
class Open:
    """A contest that waits for an answer, by ids and dates; nothing of what was said."""

    contest_id: str
    decision_id: str
    since: dt.date
    due: dt.date

    def left(self, today: dt.date) -> int:
        """Return the days that are left; below zero it is overdue."""
        return (self.due - today).days


def contest(
    ledger: Ledger,
    number: bytes,
    statement: str,
    person: str,
    policy: Policy,
    at: dt.datetime | None = None,
) -> tuple[str, Contest]:
    """Record a person's statement against a decision; return its id and what is recorded.

    `person` is who takes it down. The same statement against the same outcome is recorded once.
    Raises NotThere, Erased, BadRequest for an empty statement or a pack without a deadline.
    """
    found, person, when = course(ledger, number), named(person), at or now()
    subject = subject_of(found.first)
    text = _statement(statement)
    key = number_of(ledger, CONTEST, found.id, found.head, sha256_bytes(text.encode()))
    for known, said in found.of(Contest):
        if known.id == key.hex():
            return known.id, said
    made = Contest(
        decision_id=found.id,
        former_id=found.head,
        statement=text,
        person=person,
        at=when.isoformat(timespec="seconds"),
        due=due(policy, when.date()),
        policy=policy.name,
        policy_sha256=policy.sha256,
    )
    return append(ledger, drafted(key, CONTEST, made, subject)), made


def due(policy: Policy, day: dt.date) -> dt.date:
    """Return the last day for an answer to what came in on `day`. Raises BadRequest."""
    if policy.contest is None:
        raise BadRequest(
            "the policy pack does not say how long an answer to a contest may take",
            where=f"{policy.name}: contest",
            expected="days and the reason for them",
            hint="docs/how-to/contest-a-decision.md",
        )
    return day + dt.timedelta(days=policy.contest.days)


def override(
    ledger: Ledger, number: bytes, outcome: str, person: str, reason: str
) -> tuple[str, Override]:
    """Record a named person's review of a decision; return its id and what is recorded.

    All open contests are answered by it, unless it refers to somebody else. Raises GateRefused
    for somebody who may not review it, Changed when another review came first.
    """
    found = course(ledger, number)
    subject, person, reason = subject_of(found.first), named(person), reasoned(reason)
    answer = answered(outcome)
    refused = why_not(found, person)
    if refused:
        raise refused
    made = Override(
        decision_id=found.id,
        former_id=found.head,
        outcome=answer,
        person=person,
        reason=reason,
        at=now().isoformat(timespec="seconds"),
        contests=() if answer == "refer" else tuple(each.id for each in found.open),
    )
    key = number_of(ledger, OVERRIDE, found.id, found.head)
    return append(ledger, drafted(key, OVERRIDE, made, subject)), made


def answered(outcome: str) -> Answer:
    """Return an outcome that a person typed. Raises BadRequest with the closest one."""
    for each in ANSWERS:
        if outcome == each:
            return each
    hint = did_you_mean(outcome, ANSWERS)
    raise BadRequest("not an outcome", observed=outcome, expected=", ".join(ANSWERS), hint=hint)


def why_not(found: Course, person: str) -> GateRefused | None:
    """Return why somebody may not review a decision: four eyes, and nobody in their own case."""
    first = found.first.made
    barred = {
        "whoever asked for the decision": first.call.caller,
        "the person it is about": first.decided.subject or "",
    }
    barred |= {
        f"review {number}": each.person for number, (_, each) in enumerate(found.of(Override), 1)
    }
    for role, name in barred.items():
        if name.strip().casefold() == person.casefold():
            return GateRefused(
                "a decision is reviewed by somebody who had no part in it",
                where=found.id,
                observed=role,
                expected="another named person",
            )
    return None


def waiting(ledger: Ledger) -> list[Open]:
    """Return every contest without an answer, the most urgent first. Erased ones count no more."""
    steps = list(_all(ledger))
    found = [
        Open(
            contest_id=each.id,
            decision_id=each.said.decision_id,
            since=dt.datetime.fromisoformat(each.said.at).date(),
            due=each.said.due,
        )
        for each in unanswered(steps)
        if isinstance(each.said, Contest)
    ]
    return sorted(found, key=lambda each: (each.due, each.contest_id))


def overdue(found: list[Open], today: dt.date) -> GateRefused | None:
    """Return the alarm when a contest waits longer than its deadline."""
    late = [each for each in found if each.left(today) < 0]
    if not late:
        return None
    return GateRefused(
        "contests were not answered in time",
        observed=f"{len(late)} overdue, the first since {late[0].due}",
        expected="a named person's review before the deadline",
        hint=f"clew override {late[0].decision_id}",
    )


def _all(ledger: Ledger) -> Iterator[Step]:
    """Yield the contests and overrides of the whole log; nothing else is decrypted."""
    marks = tuple(f'"t":"{kind}"'.encode() for kind in (CONTEST, OVERRIDE))
    for start in range(0, ledger.checkpoint()[0].size, PAGE):
        places = [
            row.seq
            for row in ledger.store.rows(start, start + PAGE)
            if any(mark in row.entry for mark in marks)
        ]
        for place in places:
            found = step(ledger, place)
            if found is not None:
                yield found


def _statement(text: str) -> str:
    found = text.strip()
    if not 0 < len(found) <= LONGEST_STATEMENT:
        raise BadRequest(
            "a contest needs the person's statement",
            observed=f"{len(found)} characters",
            expected=f"1 to {LONGEST_STATEMENT} characters",
        )
    return found
