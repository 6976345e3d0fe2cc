"""Replay: the recorded request, decided again in the original environment, compared bit by bit.

What comes out is a receipt, itself a sealed entry of the ledger: identical, within so many units
in the last place, or differing, field by field and without one value of a person.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from pipelines.account import kept_plan
from pipelines.account.again import Surroundings, Where, again
from pipelines.account.compare import Difference, Likeness, differences, likeness
from pipelines.account.knots import records
from pipelines.account.original import Original, original
from pipelines.account.rescore import Asked
from pipelines.account.trace import check_sealed, refuse_other_facts
from pipelines.decisions.record import Decision, Recorder
from pipelines.decisions.records import NOBODY, Decided
from pipelines.errors import NotThere
from pipelines.ledger.entry import Body, Draft, now_ms
from pipelines.ledger.log import Ledger
from pipelines.records import Record

REPLAY: Final = "replay"
PURPOSE: Final = "replay"
_encode = msgspec.json.Encoder(order="sorted").encode


class Receipt(Record, frozen=True):
    """What one replay found: how like, in which fields, in what surroundings, for whom."""

    decision_id: str
    result: Likeness
    differences: tuple[Difference, ...]
    version: str
    files_sha256: str
    surroundings: Surroundings
    person: str
    at: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: its receipt, and the entry that keeps it, with a proof to check it offline."""

    receipt: Receipt
    id: str
    entry: bytes = field(repr=False)
    proof: str = field(repr=False)


def replay(ledger: Ledger, where: Where, number: bytes, person: str) -> Replayed:
    """Decide one recorded decision again and record what came out; it is sealed when this returns.

    Raises NotThere, Erased, Unavailable, or IntegrityBroken where the record itself does not hold.
    """
    found = Recorder(ledger).read(number)
    check_sealed(ledger, found)
    refuse_other_facts(found)
    asked = asked_of(found.made)
    version = original(where.registry, found.made.origin, where.state)
    records(version, found.made)
    plan = _plan(where, version, found.made)
    with again(where, version, plan) as process:
        process.send([asked])
        (answer,) = process.receive()
        told = process.surroundings
        if told.loaded == "model":
            kept_plan.keep(version.files, process)
    differing = compared(found.made.decided, answer)
    receipt = Receipt(
        decision_id=found.id,
        result=likeness(differing),
        differences=differing,
        version=version.record.version,
        files_sha256=version.record.files_sha256,
        surroundings=told,
        person=person,
        at=now(),
    )
    facts = {"mv": receipt.version, "m": version.record.model_sha256, "r": receipt.result}
    subject = found.made.decided.subject or NOBODY
    sealed = ledger.record(Draft(REPLAY, facts, (Body(subject, PURPOSE, receipt.canonical()),)))
    return Replayed(receipt, sealed.id.hex(), sealed.entry, sealed.proof.text())


def _plan(where: Where, version: Original, made: Decision) -> Path | None:
    """Return the plan that a decision was scored by, where it is kept and may be taken."""
    if where.from_model or made.decided.model.scorer != "plan":
        return None
    return kept_plan.kept(version.files)


def asked_of(made: Decision) -> Asked:
    """Return a recorded decision as a request to decide again. Raises NotThere, IntegrityBroken."""
    if made.request is None:
        raise NotThere("the request was not kept: nobody could be named in it")
    decided = made.decided
    return Asked(
        made.request, decided.request_id, decided.holdout_share, decided.draw, decided.stop
    )


def compared(recorded: Decided, answer: bytes) -> tuple[Difference, ...]:
    """Return in what a new decision, as JSON, differs from the recorded."""
    before = _encode(
        msgspec.structs.replace(recorded, shadow=None) if recorded.shadow else recorded
    )
    if before == answer:
        return ()
    plain: dict[str, Any] = msgspec.json.decode(before)
    return differences(plain, msgspec.json.decode(answer))


def now() -> str:
    """Return the moment, as receipts say it."""
    moment = dt.datetime.fromtimestamp(now_ms() / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds")
