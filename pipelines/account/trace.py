"""The whole thread of one decision: what decided, who approved it, from which data, code, packages.

Every knot is named by its content id, and each was checked against the one that names it. The
record itself is shown to stand in the sealed log.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pipelines.account.knots import Knot, Servers, knots, minute
from pipelines.account.original import Opened, original
from pipelines.decisions.record import FACTS, Recorded, Recorder
from pipelines.errors import IntegrityBroken
from pipelines.layout import State
from pipelines.ledger.entry import read_entry
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import opened as opened_note
from pipelines.ledger.proof import Proof
from pipelines.ledger.tree import hash_leaf, verify_inclusion
from pipelines.records import Record


class Sealed(Record, frozen=True):
    """That the record stands in the log: checked against a checkpoint that the log signed."""

    index: int
    size: int
    log: str
    root: str


class Later(Record, frozen=True):
    """An entry that names the decision: a look, a replay, a contest; `by` whom, if it says so."""

    kind: str
    id: str
    index: int
    at_ms: int
    by: str = ""


class Thread(Record, frozen=True):
    """One decision's thread, from the decision back to the landed files; and what came after."""

    decision_id: str
    at: str
    outcome: str
    sealed: Sealed
    knots: tuple[Knot, ...]
    later: tuple[Later, ...]

    def knot(self, kind: str) -> Knot:
        """Return the knot of a kind."""
        return next(each for each in self.knots if each.kind == kind)


def trace(
    ledger: Ledger, registry: Opened, number: bytes, state: State, servers: Servers | None = None
) -> Thread:
    """Return the thread of a decision.

    Raises NotThere, Erased, Unavailable, or IntegrityBroken where one knot does not hold.
    """
    found = Recorder(ledger).read(number)
    sealed = check_sealed(ledger, found)
    refuse_other_facts(found)
    version = original(registry, found.made.origin, state)
    return Thread(
        decision_id=found.id,
        at=found.made.at,
        outcome=found.made.decided.outcome,
        sealed=sealed,
        knots=(_decision(found), *knots(version, found.made, servers or Servers())),
        later=later(ledger, found),
    )


def check_sealed(ledger: Ledger, found: Recorded) -> Sealed:
    """Check a record's proof against the log's own signed checkpoint. Raises IntegrityBroken."""
    proof = Proof.parse(found.proof)
    checkpoint = opened_note(proof.note, *ledger.verifiers)
    leaf = hash_leaf(found.entry)
    verify_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    return Sealed(
        index=proof.index,
        size=checkpoint.size,
        log=checkpoint.origin,
        root=checkpoint.root.hex(),
    )


def refuse_other_facts(found: Recorded) -> None:
    """Raise IntegrityBroken when the entry names another model or data than the record in it."""
    entry = read_entry(found.entry)
    for short, name in FACTS.items():
        if entry.get(short) != getattr(found.made.origin, name):
            raise IntegrityBroken(
                "an entry and the record in it name different things",
                where=f"{found.id}: {name}",
                observed=getattr(found.made.origin, name),
                expected=entry.get(short),
            )


def later(ledger: Ledger, found: Recorded) -> tuple[Later, ...]:
    """Return the entries about the same person that name the decision, oldest first."""
    subject = found.made.decided.subject
    if subject is None:
        return ()
    keys = [each.key_id for each in ledger.keys.of_subject(subject)]
    told = []
    for seq, n in sorted(ledger.store.parts_under(keys)):
        row = ledger.row(seq)
        content = ledger.read(row.id, n).content if seq > found.index else b""
        if found.id.encode() in content:
            fields, said = read_entry(row.entry), msgspec.json.decode(content, type=dict[str, Any])
            told.append(
                Later(
                    kind=fields["t"],
                    id=row.id.hex(),
                    index=seq,
                    at_ms=fields["ts"],
                    by=said.get("caller") or said.get("person") or "",
                )
            )
    return tuple(told)


def _decision(found: Recorded) -> Knot:
    decided = found.made.decided
    return Knot(
        kind="decision",
        id=found.id,
        told=f"{decided.outcome}, {decided.because}; by {decided.model.scorer}; "
        f"{minute(found.made.at)}",
        of=("promotion",),
    )
