"""Record a decision before it is given out: one durable, sealed entry of the ledger each.

What was received, what was made of it, by which model and why is encrypted under the person's
data key. The entry names model, code, data and environment, and no person. An idempotency key
becomes, through a keyed hash, the entry's id, and an id can be recorded once: the promise that a
repeated request is decided once is kept by the very transaction that records the decision.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import msgspec

from pipelines.canonical import sha256_bytes
from pipelines.decisions.records import NOBODY, Decided
from pipelines.errors import BadRequest, IntegrityBroken, NotThere
from pipelines.ledger.entry import Body, Draft, Fact, now_ms, read_entry
from pipelines.ledger.group import Receipt, Ticket
from pipelines.ledger.keys import ID_SIZE, ordered_id
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import AlreadyRecorded
from pipelines.records import Record

ENCODER: Final = msgspec.json.Encoder(order="sorted")
DECISION: Final = "decision"
LOOK: Final = "look"
REFUSAL: Final = "refusal"
# What an entry calls the fields of a decision's origin that it names in public.
FACTS: Final = {
    "m": "model_sha256",
    "mv": "version",
    "c": "commit",
    "d": "snapshot_id",
    "e": "environment_id",
}


class Origin(Record, frozen=True):
    """Where the model version that decided came from, by content id.

    `environment_id` is the record of the environment that trained it and the determinism manifest.
    """

    version: str
    files_sha256: str
    model_sha256: str
    commit: str
    environment_id: str
    snapshot_id: str
    policy: str
    policy_sha256: str
    promotion_id: str


class Call(Record, frozen=True):
    """Who asked, for what, in which request, and what a person is told of their rights."""

    caller: str
    purpose: str
    request_id: str
    notice: str


class Decision(Record, frozen=True):
    """One decision, or one refusal, as it is kept, encrypted.

    `request` holds the bytes as received (base64 in JSON); it is None where no subject could be
    read, for what nobody can find again for a person must not be kept. `decided.model` names what
    really scored it. `decided_in` are the recorded surroundings of the process that decided.
    """

    request: bytes | None
    request_sha256: str
    decided: Decided
    origin: Origin
    call: Call
    at: str
    decided_in: str | None = None


class KeyReused(BadRequest):
    """An idempotency key came with another request than before: make a fresh key."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A decision that is in the ledger, with what proves it offline.

    `proven` is the proof, or the receipt that it is made of once somebody asks for it.
    """

    made: Decision
    id: str
    index: int
    entry: bytes
    proven: str | Receipt

    def __repr__(self) -> str:
        return f"Recorded(id={self.id!r}, index={self.index})"

    @property
    def proof(self) -> str:
        """The ``.tlog-proof`` file."""
        return self.proven if isinstance(self.proven, str) else self.proven.proof.text()


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A decision that the ledger has not got yet, and the draft of its entry."""

    made: Decision
    number: bytes
    draft: Draft

    def __repr__(self) -> str:
        return f"Prepared(number={self.number.hex()!r})"


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A decision on its way into the ledger. It must not be given out yet."""

    made: Decision
    number: bytes
    ticket: Ticket

    def __repr__(self) -> str:
        return f"Pending(number={self.number.hex()!r})"


def decision(
    request: bytes,
    decided: Decided,
    origin: Origin,
    call: Call,
    at_ms: int,
    decided_in: str | None = None,
) -> Decision:
    """Return what is kept of a decision on `request`, one application's bytes as received."""
    return Decision(
        request=None if decided.subject is None else request,
        request_sha256=sha256_bytes(request),
        decided=decided,
        origin=origin,
        call=call,
        at=_stamp(at_ms),
        decided_in=decided_in,
    )


@lru_cache(maxsize=1)
def _stamp(at_ms: int) -> str:
    """Return a time as text; a whole batch has one."""
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat(timespec="milliseconds")


def draft(made: Decision, number: bytes, at_ms: int) -> Draft:
    """Return the ledger entry of a decision; its public facts name what decided, and no person."""
    content = ENCODER.encode(made)
    body = Body(made.decided.subject or NOBODY, made.call.purpose, content)
    return Draft(DECISION, facts_of(made.origin), (body,), number, at_ms)


def facts_of(origin: Origin) -> dict[str, Fact]:
    """Return what an entry says in public of where a decision's model came from."""
    return {short: getattr(origin, name) for short, name in FACTS.items()}


class Recorder:
    """Records decisions in one ledger, for many threads."""

    def __init__(self, ledger: Ledger, decided_in: str | None = None) -> None:
        """`decided_in` is the id of this process's recorded surroundings."""
        self.ledger, self.decided_in = ledger, decided_in

    def number(self, caller: str, key: str | None, place: int = 0) -> bytes:
        """Return the id of the entry to be: always the same for a caller's idempotency key.

        `place` tells the applications of one request apart. Only a keyed hash of the key is kept.
        """
        if key is None:
            return ordered_id()
        return self.ledger.keys.ref(f"idempotency\n{caller}\n{place}\n{key}")[:ID_SIZE]

    def repeated(self, number: bytes, request: bytes) -> Recorded | None:
        """Return the decision recorded under this id; None when there is none.

        Raises KeyReused when it was about another request, Erased when it was erased.
        """
        if number not in self.ledger.store.seq_of([number]):
            return None
        found = self.read(number)
        if found.made.request_sha256 != sha256_bytes(request):
            raise KeyReused(
                "the idempotency key was used with another request",
                where="Idempotency-Key",
                expected="a fresh key for each application",
            )
        return found

    def submit(
        self, request: bytes, decided: Decided, origin: Origin, call: Call, number: bytes
    ) -> Pending:
        """Hand a decision to the ledger's writer. Raises Unavailable."""
        prepared = self.prepare(request, decided, origin, call, number)
        return Pending(prepared.made, number, self.ledger.submit(prepared.draft))

    def prepare(
        self, request: bytes, decided: Decided, origin: Origin, call: Call, number: bytes
    ) -> Prepared:
        """Return a decision with the draft of its entry; the ledger knows nothing of it yet."""
        at_ms = now_ms()
        made = decision(request, decided, origin, call, at_ms, self.decided_in)
        return Prepared(made, number, draft(made, number, at_ms))

    def finish(self, pending: Pending, request: bytes, seconds: float | None = None) -> Recorded:
        """Wait for the seal and return the decision that may be given out.

        Of two requests with one idempotency key at once, one is recorded and both get it. Raises
        Unavailable: then nothing may be given out.
        """
        try:
            ticket = pending.ticket
            receipt = ticket.result() if seconds is None else ticket.result(seconds)
        except AlreadyRecorded:
            found = self.repeated(pending.number, request)
            if found is None:
                raise IntegrityBroken("an entry is in use and cannot be found") from None
            return found
        return recorded(pending.made, receipt)

    def record(
        self, request: bytes, decided: Decided, origin: Origin, call: Call, number: bytes = b""
    ) -> Recorded:
        """Record one decision and wait until it is sealed. Raises Unavailable."""
        pending = self.submit(request, decided, origin, call, number or ordered_id())
        return self.finish(pending, request)

    def record_many(
        self, many: Iterable[tuple[bytes, Decided, bytes]], origin: Origin, call: Call
    ) -> list[Recorded]:
        """Record (request, decided, id) of one batch in groups; return them in order.

        They are taken as they are needed: what makes them works while the ledger writes.
        """
        at_ms, made = now_ms(), []

        def drafts() -> Iterator[Draft]:
            for request, decided, number in many:
                made.append(decision(request, decided, origin, call, at_ms, self.decided_in))
                yield draft(made[-1], number, at_ms)

        receipts = self.ledger.record_many(drafts())
        return [recorded(*each) for each in zip(made, receipts, strict=True)]

    def refuse(self, rule: str, caller: str, request_id: str) -> None:
        """Record that a request was sent back before an application could be read in it."""
        content = msgspec.json.encode({"caller": caller, "request_id": request_id})
        self.ledger.record(Draft(REFUSAL, {"rule": rule}, (Body(NOBODY, DECISION, content),)))

    def read(self, number: bytes) -> Recorded:
        """Return a recorded decision, with a proof under the newest checkpoint.

        Raises NotThere, Erased, IntegrityBroken.
        """
        index = self.ledger.find(number)
        row = self.ledger.row(index)
        if read_entry(row.entry)["t"] != DECISION:
            raise NotThere("no decision under this id", where=number.hex())
        found = msgspec.json.decode(self.ledger.read(number).content, type=Decision)
        return Recorded(found, number.hex(), index, row.entry, self.ledger.proof(index).text())

    def look(self, number: bytes, caller: str, request_id: str) -> Recorded:
        """Return a recorded decision to who may read it; that they looked is recorded first.

        Raises NotThere, Erased, IntegrityBroken, Unavailable.
        """
        found = self.read(number)
        seen = {"caller": caller, "decision_id": found.id, "request_id": request_id}
        body = Body(
            found.made.decided.subject or NOBODY,
            LOOK,
            msgspec.json.encode(seen, order="sorted"),
        )
        self.ledger.record(Draft(LOOK, {}, (body,)))
        return found


def recorded(made: Decision, receipt: Receipt) -> Recorded:
    """Return a decision with its receipt."""
    return Recorded(made, receipt.id.hex(), receipt.index, receipt.entry, receipt)


def as_number(text: str) -> bytes:
    """Return the id that a person typed. Raises BadRequest."""
    try:
        number = bytes.fromhex(text)
    except ValueError:
        number = b""
    if len(number) != ID_SIZE:
        raise BadRequest(
            "not the id of an entry",
            expected=f"{2 * ID_SIZE} hexadecimal digits, as an answer, a letter or a list gives it",
            hint="clew pages, to search by person or day",
        )
    return number
