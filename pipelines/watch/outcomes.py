"""Late labels: what became of the people decided about, recorded and joined by decision id.

An outcome is an entry of the ledger like any other, sealed, and encrypted under the person's key.
Its id follows from the decision's, so one decision has one outcome and the same file can be given
twice. Another outcome for the same decision is refused, row by row: a correction is a decision of
a person about the record, not of a file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from pipelines.contract import Column, Contract
from pipelines.data import read as reading
from pipelines.data.cast import cast
from pipelines.decisions import readback
from pipelines.decisions.readback import Fields, ReadBack
from pipelines.decisions.record import DECISION, as_number
from pipelines.errors import BadRequest, DataRefused, Erased, Failure, IntegrityBroken
from pipelines.ledger.entry import Body, Draft, read_entry
from pipelines.ledger.keys import ID_SIZE
from pipelines.ledger.log import Ledger
from pipelines.records import Record
from pipelines.watch.profile import Label
from pipelines.watch.window import Window

OUTCOME: Final = "outcome"
DECISION_ID, OBSERVED_AT = "decision_id", "observed_at"
NO_OUTCOME: Final = "no outcome that the contract knows, or no time in ISO 8601"
ROWS: Final = 1000
DAY_MS: Final = 86_400_000


class Observed(Record, frozen=True):
    """What became known of one decision, as it is kept, encrypted."""

    decision_id: str
    favourable: bool
    observed_at: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file of outcomes."""

    number: int
    decision: bytes
    favourable: bool
    at: dt.datetime


@dataclass
class Counted:
    """What became of a file: newly recorded, recorded before, of decisions erased since."""

    recorded: int = 0
    unchanged: int = 0
    erased: int = 0


def rows(path: Path, contract: Contract) -> Iterator[list[Row]]:
    """Yield blocks of a file of outcomes: CSV, Parquet or JSON Lines.

    Columns: `decision_id`, the contract's target, and `observed_at` (ISO 8601; UTC without an
    offset). Raises BadRequest for a column that is missing or stands twice, DataRefused with the
    rows that cannot be read.
    """
    target = contract.target
    wanted = [DECISION_ID, target.name, OBSERVED_AT]
    there = reading.names(path, "utf-8")
    for name in wanted:
        if there.count(name) != 1:
            raise BadRequest(
                "a file of outcomes lacks a column, or has it twice",
                where=path.name,
                expected=", ".join(wanted),
            )
    for table in reading.chunks([path], wanted, "utf-8", ROWS):
        yield _block(table, wanted, target)


def _block(table: pa.Table, names: Sequence[str], target: Column) -> list[Row]:
    ids, _, times = (table.column(name).to_pylist() for name in names)
    labels = _favourable(table.column(target.name).combine_chunks(), target)
    numbers = table.column("_row").to_pylist()
    found: list[Row] = []
    broken: dict[tuple[str, str], list[int]] = {}
    for number, decision, label, at in zip(numbers, ids, labels, times, strict=True):
        try:
            when = _moment(at)
            if label is None:
                raise ValueError  # noqa: TRY301
            found.append(Row(number, as_number(decision or ""), label, when))
        except BadRequest:
            broken.setdefault(("not a decision's id", DECISION_ID), []).append(number)
        except (ValueError, OverflowError):
            broken.setdefault((NO_OUTCOME, names[1]), []).append(number)
    if broken:
        raise DataRefused("outcomes that cannot be read", failures=_failures(broken))
    return found


def _favourable(texts: pa.Array, target: Column) -> list[bool | None]:
    """Return which labels are the favourable one, typed as in training; None for what is none."""
    known = None if target.allowed is None else set(_typed(target.allowed, target))
    (favourable,) = _typed([target.favourable], target)
    return [
        None if value is None or (known is not None and value not in known) else value == favourable
        for value in cast(texts, target).values.to_pylist()
    ]


def _typed(values: Iterable[object], target: Column) -> list[object]:
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
    found: list[object] = cast(pa.array(texts, pa.string()), target).values.to_pylist()
    return found


def record(ledger: Ledger, source: Iterator[list[Row]], told: Callable[[int], None]) -> Counted:
    """Record a file of outcomes; what was recorded before is left as it is.

    Raises DataRefused naming the rows of unknown decisions, or of decisions whose outcome is
    another by now; the rows of the blocks before are recorded then.
    """
    done = Counted()
    for block in source:
        _record_block(ledger, block, done)
        told(done.recorded + done.unchanged + done.erased)
    return done


def _record_block(ledger: Ledger, block: Sequence[Row], done: Counted) -> None:
    places = ledger.store.seq_of([row.decision for row in block])
    unknown = [row.number for row in block if row.decision not in places]
    _refuse("outcomes of decisions that are not in the ledger", "unknown decision", unknown)
    first = {row.decision: row for row in reversed(block)}
    known = _known(ledger, list(first))
    says = {decision: row.favourable for decision, row in first.items()} | known
    against = [row.number for row in block if says[row.decision] not in (None, row.favourable)]
    _refuse("another outcome stands for a decision", "contradicts it", against)
    fresh = [row for decision, row in first.items() if decision not in known]
    pages = readback.at(ledger, [places[row.decision] for row in fresh])
    made = {each.id: each for page in pages for each in page.decisions}
    drafts = [_draft(ledger, row, made[row.decision]) for row in fresh if row.decision in made]
    done.recorded += len(ledger.record_many(drafts))
    done.erased += len(fresh) - len(drafts)
    done.unchanged += len(block) - len(fresh)


def _known(ledger: Ledger, decisions: Sequence[bytes]) -> dict[bytes, bool | None]:
    """Return the outcomes recorded before; None for one that is erased since."""
    own = {entry_id(ledger, each): each for each in decisions}
    found: dict[bytes, bool | None] = {}
    for entry in ledger.store.seq_of(list(own)):
        recorded = _recorded(ledger, entry)
        found[own[entry]] = None if recorded is None else recorded.favourable
    return found


def _refuse(what: str, rule: str, numbers: Sequence[int]) -> None:
    if numbers:
        raise DataRefused(what, failures=_failures({(rule, DECISION_ID): numbers}))


def entry_id(ledger: Ledger, decision: bytes) -> bytes:
    """Return the id of the entry that holds a decision's outcome."""
    return ledger.keys.ref(f"{OUTCOME}\n{decision.hex()}")[:ID_SIZE]


def _draft(ledger: Ledger, row: Row, made: ReadBack) -> Draft:
    observed = Observed(
        decision_id=row.decision.hex(),
        favourable=row.favourable,
        observed_at=row.at.isoformat(timespec="seconds"),
    )
    subject = made.made.decided.subject
    if subject is None:
        raise BadRequest("an outcome of a request that was refused", where=f"row {row.number}")
    body = Body(subject, OUTCOME, msgspec.json.encode(observed, order="sorted"))
    return Draft(OUTCOME, {"of": row.decision.hex()}, (body,), entry_id(ledger, row.decision))


def _recorded(ledger: Ledger, own: bytes) -> Observed | None:
    """Return a recorded outcome; None once it is erased."""
    try:
        content = ledger.read(own).content
    except Erased:
        return None
    try:
        return msgspec.json.decode(content, type=Observed)
    except msgspec.DecodeError:
        raise IntegrityBroken("a record is no outcome", where=own.hex()) from None


def labels(ledger: Ledger, window: Window) -> dict[bytes, Label]:
    """Return the recorded outcomes of a window's decisions; erased ones are left out.

    An outcome may be recorded at any time after its decision, so the whole log is looked at.
    Raises IntegrityBroken, Unavailable.
    """
    low, high = (int(each.timestamp() * 1000) for each in (window.start, window.end))
    made: dict[bytes, int] = {}
    known: dict[bytes, bytes] = {}
    for row in ledger.store.rows(0, ledger.checkpoint()[0].size):
        fields = read_entry(row.entry)
        if fields["t"] == DECISION and low <= fields["ts"] < high:
            made[row.id] = fields["ts"]
        elif (decision := of_decision(fields)) in made:
            known[row.id] = decision
    return labels_of(ledger, known, made)


def of_decision(fields: Fields) -> bytes:
    """Return the id of the decision that an entry is the outcome of; no bytes of another entry."""
    return bytes.fromhex(fields["of"]) if fields["t"] == OUTCOME else b""


def labels_of(
    ledger: Ledger, known: Mapping[bytes, bytes], made: Mapping[bytes, int]
) -> dict[bytes, Label]:
    """Return the outcomes that entries hold, by decision; erased ones are left out.

    `known` gives the decision of each entry, `made` when a decision was made, in ms since 1970.
    """
    found = ((decision, _recorded(ledger, own)) for own, decision in known.items())
    return {
        decision: _label(observed, made[decision])
        for decision, observed in found
        if observed is not None
    }


def _label(observed: Observed, made_ms: int) -> Label:
    at_ms = dt.datetime.fromisoformat(observed.observed_at).timestamp() * 1000
    return Label(observed.favourable, max(int((at_ms - made_ms) // DAY_MS), 0))


def _moment(text: str | None) -> dt.datetime:
    found = dt.datetime.fromisoformat(text or "")
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _failures(broken: Mapping[tuple[str, str], Sequence[int]]) -> list[Failure]:
    return [
        Failure(rule, column, len(numbers), tuple(numbers[:ROWS]))
        for (rule, column), numbers in broken.items()
    ]
