"""Decide again about everybody an incident touched: first to see, then, approved, for good.

The application is taken as it was received and decided by another version. Two things a machine
does not do here: take an approval away, and overrule a person's review.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pipelines.account.afterwards import (
    KINDS,
    REDECISION,
    Answer,
    Course,
    Later,
    Redecision,
    Step,
    drafted,
    now,
    number_of,
    step,
)
from pipelines.account.incident import Dossier, act, affected, dossier
from pipelines.decisions import readback
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.readback import ReadBack
from pipelines.decisions.record import (
    DECISION,
    Call,
    Origin,
    Recorded,
    Recorder,
    decision,
    facts_of,
)
from pipelines.decisions.records import Decided
from pipelines.errors import BadRequest, GateRefused
from pipelines.ledger.entry import Draft, now_ms
from pipelines.ledger.log import Ledger
from pipelines.records import Json
from pipelines.release.approve import named, reasoned

BLOCK: Final = 1000
PAGE: Final = 2048
# Outcomes that do not rest on the model: it was stopped, chance chose, nobody was decided about.
NOT_THE_MODELS: Final = ("stopped", "holdout", "refused")


@dataclass(frozen=True, slots=True)
class Anew:
    """One decision as it stands and as it would be; `holds` is what would hold then."""

    found: ReadBack
    former_id: str
    before: str
    decided: Decided
    holds: Answer

    @property
    def changed(self) -> bool:
        return self.before != self.holds


@dataclass(slots=True)
class Tally:
    """What deciding again came to: by change, and what was left alone and why."""

    version: str
    moves: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    changed: list[str] = field(default_factory=list)

    def add(self, anew: Anew) -> None:
        """Count one decision."""
        self.moves[f"{anew.before} to {anew.holds}"] += 1
        if anew.changed:
            self.changed.append(anew.found.id.hex())

    def digest(self) -> str:
        """Return the SHA-256 of the ids whose decision changes: what an approval approves."""
        return hashlib.sha256("\n".join(sorted(self.changed)).encode()).hexdigest()

    def told(self) -> dict[str, Json]:
        """Return the figures, without ids."""
        return {
            "version": self.version,
            "decided_again": sum(self.moves.values()),
            "would_change": len(self.changed),
            "moves": dict(sorted(self.moves.items())),
            "left_alone": dict(sorted(self.left.items())),
            "changed_sha256": self.digest(),
        }


def holds(before: str, after: str) -> Answer:
    """Return what holds once a machine said `after`: it takes no approval away by itself."""
    if after == "approve":
        return "approve"
    if after == "decline" and before != "approve":
        return "decline"
    return "refer"


def dry_run(ledger: Ledger, number: bytes, model: LoadedModel, person: str, reason: str) -> Tally:
    """Decide again without recording a decision; the figures become part of the dossier."""
    person, reason = named(person), reasoned(reason)
    found, tally = dossier(ledger, number), Tally(model.name.version)
    _not_the_bad_one(found, model)
    for anew in _anew(ledger, found, model, tally):
        tally.add(anew)
    act(ledger, number, "dry-run", person, reason, tally.told())
    return tally


def redecide(
    recorder: Recorder,
    number: bytes,
    model: LoadedModel,
    origin: Origin,
    notice: str,
    person: str,
    reason: str,
) -> Tally:
    """Decide again for good: one entry for each, pointing at what it takes the place of.

    Each names the surroundings of this process, as every decision does. It carries out the newest
    dry run with this version, approved by somebody who did not open the incident. Killed, it goes
    on when started again. Raises GateRefused.
    """
    person, reason, ledger = named(person), reasoned(reason), recorder.ledger
    found, tally = dossier(ledger, number), Tally(model.name.version)
    _approvable(found, model, person)
    block: list[Anew] = []
    everybody = list(_anew(ledger, found, model, tally))
    for anew in everybody:
        tally.add(anew)
    _same_as_tried(found, tally)
    call = Call(caller="clew incident", purpose=DECISION, request_id=found.id, notice=notice)
    word = (person, reason, now().isoformat(timespec="seconds"))
    for anew in everybody:
        block.append(anew)
        if len(block) == BLOCK:
            _record(recorder, found, block, origin, call, word)
            block = []
    _record(recorder, found, block, origin, call, word)
    if not any(each.came_to == tally.told() for each in found.done("redecided")):
        act(ledger, number, "redecided", person, reason, tally.told())
    return tally


def _not_the_bad_one(found: Dossier, model: LoadedModel) -> None:
    bad = {"model-version": model.name.version, "snapshot": model.candidate.snapshot_id}
    if bad[found.incident.target] == found.incident.name:
        raise GateRefused(
            "this version is part of the incident", observed=model.name.version, hint="clew history"
        )


def _approvable(found: Dossier, model: LoadedModel, person: str) -> None:
    _not_the_bad_one(found, model)
    if person.casefold() == found.incident.person.casefold():
        raise GateRefused(
            "deciding again is approved by somebody who did not open the incident",
            observed="the same person",
            expected="another named person",
        )


def _same_as_tried(found: Dossier, tally: Tally) -> None:
    tried = [each for each in found.done("dry-run") if each.came_to["version"] == tally.version]
    if not tried or tried[-1].came_to["changed_sha256"] != tally.digest():
        raise GateRefused(
            "what would change is not what the last dry run showed" if tried else "no dry run yet",
            where=f"incident {found.id}",
            expected=f"a dry run with version {tally.version} that shows the same changes",
            hint=f"clew incident dry-run {found.id} --with {tally.version}",
        )


def _anew(ledger: Ledger, found: Dossier, model: LoadedModel, tally: Tally) -> Iterator[Anew]:
    """Yield every affected decision decided again; count in `tally` what is left alone."""
    later = _later(ledger)
    standing = Standing(model)
    for page in readback.of_ids(ledger, affected(ledger, found.incident)):
        if page.erased:
            tally.left["erased"] += page.erased
        for each in page.decisions:
            course = _course(each, later.get(each.id.hex(), ()), found.id)
            why = _left_alone(course)
            if why or each.made.request is None:
                tally.left[why or "nobody named"] += 1
                continue
            made = decide(standing, each.made.request, each.id.hex(), Holdout())
            now_holds = holds(course.outcome, made.outcome)
            yield Anew(each, course.head, course.outcome, made, now_holds)


def _left_alone(course: Course) -> str:
    if course.by_person:
        return "a person decided"
    if course.first.made.decided.because in NOT_THE_MODELS:
        return "not the model's"
    return ""


def _later(ledger: Ledger) -> dict[str, list[Step]]:
    """Return everything that came after decisions, by decision: one pass, few are decrypted."""
    marks = tuple(f'"t":"{kind}"'.encode() for kind in KINDS)
    found: dict[str, list[Step]] = {}
    for start in range(0, ledger.checkpoint()[0].size, PAGE):
        rows = ledger.store.rows(start, start + PAGE)
        places = [row.seq for row in rows if any(mark in row.entry for mark in marks)]
        for each in filter(None, (step(ledger, place) for place in places)):
            found.setdefault(each.said.decision_id, []).append(each)
    return found


def _course(found: ReadBack, steps: list[Step] | tuple[Step, ...], incident: str) -> Course:
    """Return a decision's course without what this very incident changed before it was killed."""
    first = Recorded(found.made, found.id.hex(), found.index, b"", "")
    kept = tuple(each for each in steps if not _of_incident(each.said, incident))
    return Course(first, kept)


def _of_incident(said: Later, incident: str) -> bool:
    return isinstance(said, Redecision) and said.incident_id == incident


def _record(
    recorder: Recorder,
    found: Dossier,
    block: list[Anew],
    origin: Origin,
    call: Call,
    word: tuple[str, str, str],
) -> None:
    """Record those of a block that are not in the log yet."""
    ledger, surroundings = recorder.ledger, recorder.decided_in
    numbers = [number_of(ledger, REDECISION, found.id, each.found.id.hex()) for each in block]
    known = ledger.store.seq_of(numbers)
    ledger.record_many(
        _draft(number, found, anew, origin, call, word, surroundings)
        for number, anew in zip(numbers, block, strict=True)
        if number not in known
    )


def _draft(
    number: bytes,
    found: Dossier,
    anew: Anew,
    origin: Origin,
    call: Call,
    word: tuple[str, ...],
    surroundings: str | None,
) -> Draft:
    request, subject = anew.found.made.request, anew.found.made.decided.subject
    if request is None or subject is None:
        raise BadRequest("nobody was decided about", where=anew.found.id.hex())
    said = Redecision(
        decision_id=anew.found.id.hex(),
        former_id=anew.former_id,
        incident_id=found.id,
        outcome=anew.holds,
        made=decision(request, anew.decided, origin, call, now_ms(), surroundings),
        person=word[0],
        reason=word[1],
        at=word[2],
    )
    return drafted(number, REDECISION, said, subject, facts_of(origin))
