"""The head of a log as its writer knows it, checked against the signature and the fork guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.errors import IntegrityBroken
from pipelines.ledger.note import Verifier, opened
from pipelines.ledger.store import Writing
from pipelines.ledger.tiles import ReadTile, node_lookup
from pipelines.ledger.tree import peaks_at, root_of

KEEP: Final = "keep both as they are: infra/runbook/backup-and-restore.md"


@dataclass(frozen=True, slots=True)
class Head:
    """Checkpoint, size and peaks of a log."""

    note: str
    size: int
    peaks: dict[int, bytes]


def checked_head(writing: Writing, keys: Sequence[Verifier]) -> Head:
    """Return the head that the database holds and this log signed. Raises IntegrityBroken."""
    note = writing.note()
    if note is None:
        raise IntegrityBroken("the ledger's database is empty, and it was not", hint=KEEP)
    checkpoint = opened(note, *keys)
    refuse_rows_beyond(writing, checkpoint.size)
    peaks = peaks_at(checkpoint.size, node_lookup(checkpoint.size, writing.tile))
    if root_of(peaks) != checkpoint.root:
        raise IntegrityBroken("the ledger's tree is not the one that was signed")
    return Head(note, checkpoint.size, peaks)


def refuse_rows_beyond(writing: Writing, size: int) -> None:
    """Raise IntegrityBroken unless the database holds `size` entries."""
    found = writing.next_seq()
    if found != size:
        raise IntegrityBroken("entries and checkpoint differ", observed=found, expected=size)


def check_guard(head: Head, last: str | None, keys: Sequence[Verifier], read: ReadTile) -> None:
    """Raise IntegrityBroken for a log smaller than, or other than, what was signed before."""
    if last is None:
        raise IntegrityBroken("the fork guard is missing", hint=KEEP)
    signed = opened(last, *keys)
    if head.size < signed.size:
        raise IntegrityBroken(
            "the ledger is smaller than what was signed",
            observed=head.size,
            expected=f"at least {signed.size}",
            hint=KEEP,
        )
    past = root_of(peaks_at(signed.size, node_lookup(signed.size, read)))
    if past != signed.root:
        raise IntegrityBroken("the ledger's past is not what was signed", hint=KEEP)
