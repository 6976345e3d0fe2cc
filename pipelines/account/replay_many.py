"""Replay in bulk: a sample, or a whole log, decided again by each version that decided there.

Every version's model is loaded and its plan compiled anew. While a block is decided in the sandbox
the next one is read and decrypted here; the two sides' bytes are compared first, and only what is
not the same is looked at field by field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pipelines.account.again import Again, Surroundings, Where, again
from pipelines.account.compare import Likeness, likeness
from pipelines.account.knots import records
from pipelines.account.original import original
from pipelines.account.replay import PURPOSE, REPLAY, compared, now
from pipelines.account.rescore import Asked
from pipelines.decisions import readback
from pipelines.decisions.readback import Content
from pipelines.decisions.record import Decision
from pipelines.decisions.records import NOBODY, Stop
from pipelines.errors import IntegrityBroken
from pipelines.ledger.entry import Body, Draft
from pipelines.ledger.log import Ledger
from pipelines.records import Record

NAMED: Final = 100  # decisions that differ, named in the receipt
ALIVE: Final = 3  # versions whose processes are kept at once


class ReceiptOfMany(Record, frozen=True):
    """What replaying many found, by version; decisions that are not identical by their ids.

    `unkept` are decisions whose request was not kept, because nobody could be named in it.
    """

    asked: int
    counts: dict[str, dict[Likeness, int]]
    erased: int
    unkept: int
    unlike: tuple[str, ...]
    surroundings: dict[str, Surroundings]
    person: str
    at: str

    @property
    def replayed(self) -> int:
        """How many decisions were decided again."""
        return sum(sum(each.values()) for each in self.counts.values())

    def count(self, result: Likeness) -> int:
        """Return how many came out so."""
        return sum(each.get(result, 0) for each in self.counts.values())

    @property
    def result(self) -> Likeness:
        """The worst that came out."""
        return (
            "differs"
            if self.count("differs")
            else "within"
            if self.count("within")
            else "identical"
        )


class _Named(msgspec.Struct):
    """What tells apart the processes that decided: the version's files and the promotion."""

    files_sha256: str
    promotion_id: str


class _Sealed(msgspec.Struct):
    """A decision's record, with what was decided left as the bytes that were sealed."""

    request: bytes | None
    decided: msgspec.Raw
    origin: _Named


class _Given(msgspec.Struct):
    """What a decision was given beside the request; a challenger's score is no part of it."""

    request_id: str
    holdout_share: float
    draw: float
    stop: Stop | None = None
    shadow: msgspec.Raw | None = None


_SEALED: Final = msgspec.json.Decoder(_Sealed)
_GIVEN: Final = msgspec.json.Decoder(_Given)
_SHADOWLESS: Final = msgspec.Raw(b"null")


@dataclass(slots=True)
class _Block:
    """Decisions of one version and promotion: their records, what is asked, what was decided."""

    found: list[Content] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    decided: list[bytes] = field(default_factory=list)  # empty where the bytes tell nothing

    def add(self, each: Content, sealed: _Sealed, request: bytes) -> None:
        given = _GIVEN.decode(sealed.decided)
        self.found.append(each)
        self.asked.append(
            Asked(request, given.request_id, given.holdout_share, given.draw, given.stop)
        )
        plain = given.shadow is None or given.shadow == _SHADOWLESS
        self.decided.append(bytes(sealed.decided) if plain else b"")


@dataclass
class _Versions:
    """The processes of the versions that are replayed, each started once, a few kept at once."""

    where: Where
    alive: dict[tuple[str, str], tuple[str, Again, ExitStack]] = field(default_factory=dict)

    def of(self, found: Content) -> tuple[str, Again]:
        """Return the version that made a decision, and its process."""
        made = readback.decoded(found).made
        key = (made.origin.files_sha256, made.origin.promotion_id)
        if key not in self.alive:
            if len(self.alive) >= ALIVE:
                self._end(next(iter(self.alive)))
            self.alive[key] = self._start(made)
        version, process, _ = self.alive[key]
        return version, process

    def _start(self, made: Decision) -> tuple[str, Again, ExitStack]:
        version = original(self.where.registry, made.origin, self.where.state)
        records(version, made)
        stack = ExitStack()
        process = stack.enter_context(again(self.where, version))
        return version.record.version, process, stack

    def _end(self, key: tuple[str, str]) -> None:
        self.alive.pop(key)[2].close()

    def close(self) -> None:
        """End every process."""
        for key in list(self.alive):
            self._end(key)


def replay_many(ledger: Ledger, where: Where, indices: Sequence[int], person: str) -> ReceiptOfMany:
    """Decide the decisions at these places of the log again, and record what came out.

    Decisions that are erased are counted. Raises as `replay` does; a difference is no error.
    """
    counts: dict[str, Counter[Likeness]] = {}
    surroundings: dict[str, Surroundings] = {}
    unlike: list[str] = []
    left = Counter[str]()
    with _started(where) as versions:
        for version, told, block, answers in _replayed(ledger, versions, indices, left):
            surroundings[version] = told
            counted = counts.setdefault(version, Counter())
            for each, before, answer in zip(block.found, block.decided, answers, strict=True):
                result = "identical" if before == answer else _looked_at(each, answer)
                counted[result] += 1
                if result != "identical":
                    unlike.append(each.id.hex())
    receipt = ReceiptOfMany(
        asked=len(indices),
        counts={version: dict(each) for version, each in counts.items()},
        erased=left["erased"],
        unkept=left["unkept"],
        unlike=tuple(unlike[:NAMED]),
        surroundings=surroundings,
        person=person,
        at=now(),
    )
    facts = {"r": receipt.result, "n": receipt.replayed}
    ledger.record(Draft(REPLAY, facts, (Body(NOBODY, PURPOSE, receipt.canonical()),)))
    return receipt


def drawn(ledger: Ledger, size: int, seed: str | None, version: str | None) -> list[int]:
    """Return the places of decisions drawn at random, of one version where it is named.

    Without a seed the log's newest checkpoint is it: whoever has that can draw the same again, and
    nobody chooses what is looked at.
    """
    note = ledger.checkpoint()[1]

    def wanted(fields: readback.Fields) -> bool:
        return version is None or fields.get("mv") == version

    return readback.sample(ledger, size, note if seed is None else seed, wanted)


def refuse_differing(receipt: ReceiptOfMany) -> None:
    """Raise IntegrityBroken when a decision did not come out as recorded."""
    if receipt.count("differs"):
        raise IntegrityBroken(
            "recorded decisions do not come out again",
            where=", ".join(receipt.unlike[:3]),
            observed=f"{receipt.count('differs')} of {receipt.replayed} differ",
            expected="all identical",
            hint="clew replay ID",
        )


@contextmanager
def _started(where: Where) -> Iterator[_Versions]:
    versions = _Versions(where)
    try:
        yield versions
    finally:
        versions.close()


def _replayed(
    ledger: Ledger, versions: _Versions, indices: Sequence[int], left: Counter[str]
) -> Iterator[tuple[str, Surroundings, _Block, list[bytes]]]:
    """Yield blocks with their answers, deciding about one block while the next one is read."""
    under_way: list[tuple[str, Again, _Block]] = []
    for block in _blocks(ledger, indices, left):
        done = [_received(*each) for each in under_way]
        version, process = versions.of(block.found[0])
        process.send(block.asked)
        under_way = [(version, process, block)]
        yield from done
    yield from (_received(*each) for each in under_way)


def _received(
    version: str, process: Again, block: _Block
) -> tuple[str, Surroundings, _Block, list[bytes]]:
    return version, process.surroundings, block, process.receive()


def _blocks(ledger: Ledger, indices: Sequence[int], left: Counter[str]) -> Iterator[_Block]:
    """Yield decisions that can be decided again, of one version and promotion a block."""
    for found, erased in readback.contents(ledger, indices):
        left["erased"] += erased
        kept: dict[tuple[str, str], _Block] = {}
        for each in found:
            sealed = _sealed(each)
            if sealed.request is None:
                left["unkept"] += 1
                continue
            key = (sealed.origin.files_sha256, sealed.origin.promotion_id)
            kept.setdefault(key, _Block()).add(each, sealed, sealed.request)
        yield from kept.values()


def _sealed(found: Content) -> _Sealed:
    try:
        return _SEALED.decode(found.data)
    except msgspec.DecodeError:
        raise IntegrityBroken("a record is no decision", where=found.id.hex()) from None


def _looked_at(found: Content, answer: bytes) -> Likeness:
    """Return how like an answer is whose bytes are not those on record."""
    return likeness(compared(readback.decoded(found).made.decided, answer))
