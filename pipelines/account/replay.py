"""Replay: the recorded request, decided again in the original environment, compared bit by bit.

What comes out is a receipt, itself a sealed entry of the ledger: identical, within so many units
in the last place, or differing, field by field and without one value of a person.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from pipelines.account import kept_plan
from pipelines.account.again import Again, Surroundings, Where, again
from pipelines.account.compare import Difference, Likeness, differences, likeness
from pipelines.account.knots import records
from pipelines.account.original import Original, original
from pipelines.account.rescore import Asked
from pipelines.account.trace import check_sealed, refuse_other_facts
from pipelines.decisions import readback
from pipelines.decisions.readback import ReadBack
from pipelines.decisions.record import NOBODY, Decision, Recorder
from pipelines.decisions.records import Decided
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.ledger.entry import Body, Draft, now_ms, read_entry
from pipelines.ledger.log import Ledger
from pipelines.records import Record

REPLAY: Final = "replay"
PURPOSE: Final = "replay"
NAMED: Final = 100  # decisions that differ, named in the receipt of many
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
        at=_now(),
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


def replay_many(ledger: Ledger, where: Where, indices: Sequence[int], person: str) -> ReceiptOfMany:
    """Decide the decisions at these places of the log again, grouped by version, and record it.

    Decisions that are erased are counted. Raises as `replay` does; a difference is no error.
    """
    counts: dict[str, Counter[Likeness]] = {}
    surroundings: dict[str, Surroundings] = {}
    unlike: list[str] = []
    left = Counter[str]()
    for group in _groups(ledger, indices):
        with ExitStack() as stack:
            for version, told, found in _replayed(ledger, where, group, left, stack):
                surroundings[version] = told
                for number, result in found:
                    counts.setdefault(version, Counter())[result] += 1
                    if result != "identical":
                        unlike.append(number)
    receipt = ReceiptOfMany(
        asked=len(indices),
        counts={version: dict(each) for version, each in counts.items()},
        erased=left["erased"],
        unkept=left["unkept"],
        unlike=tuple(unlike[:NAMED]),
        surroundings=surroundings,
        person=person,
        at=_now(),
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


def _groups(ledger: Ledger, indices: Sequence[int]) -> Iterator[list[int]]:
    """Yield places by the version that decided there, so that each version is started once."""
    by_version: dict[tuple[object, object], list[int]] = {}
    for index in sorted(set(indices)):
        fields = read_entry(ledger.row(index).entry)
        by_version.setdefault((fields.get("mv"), fields.get("m")), []).append(index)
    yield from by_version.values()


def _replayed(
    ledger: Ledger, where: Where, group: Sequence[int], left: Counter[str], stack: ExitStack
) -> Iterator[tuple[str, Surroundings, list[tuple[str, Likeness]]]]:
    """Yield blocks of results, deciding about one block while the next one is read."""
    started: dict[tuple[str, str], tuple[str, Again]] = {}
    under_way: tuple[str, Again, list[ReadBack]] | None = None
    for block in _blocks(ledger, group, left):
        origin = block[0].made.origin
        key = (origin.files_sha256, origin.promotion_id)
        if key not in started:
            version = original(where.registry, origin, where.state)
            records(version, block[0].made)
            process = stack.enter_context(again(where, version))
            started[key] = (version.record.version, process)
        asked = [asked_of(each.made) for each in block]
        if under_way is not None:
            yield _received(*under_way)
        under_way = (*started[key], block)
        started[key][1].send(asked)
    if under_way is not None:
        yield _received(*under_way)


def _received(
    version: str, process: Again, block: Sequence[ReadBack]
) -> tuple[str, Surroundings, list[tuple[str, Likeness]]]:
    answers = process.receive()
    results = [
        (each.id.hex(), likeness(compared(each.made.decided, answer)))
        for each, answer in zip(block, answers, strict=True)
    ]
    return version, process.surroundings, results


def _blocks(ledger: Ledger, group: Iterable[int], left: Counter[str]) -> Iterator[list[ReadBack]]:
    """Yield decisions that can be decided again, of one version and promotion a block."""
    for page in readback.at(ledger, group):
        left["erased"] += page.erased
        kept: dict[tuple[str, str], list[ReadBack]] = {}
        for each in page.decisions:
            if each.made.request is None:
                left["unkept"] += 1
                continue
            origin = each.made.origin
            kept.setdefault((origin.files_sha256, origin.promotion_id), []).append(each)
        yield from kept.values()


def _now() -> str:
    moment = dt.datetime.fromtimestamp(now_ms() / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds")
