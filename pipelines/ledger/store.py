"""The port behind the log: where entries, parts, tiles and checkpoints are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.errors import BadRequest, Unavailable
from pipelines.ledger.entry import Erased, Part, Sealed

Tile = tuple[int, int, bytes, bytes]
StoredPart = tuple[int, int, Part]
ReadRaw = Callable[[str, Sequence[str]], Iterator[tuple[Any, ...]]]


class Stopped(Unavailable):
    """A write failed in a way that leaves unknown what is on disk: start the process anew."""


class AlreadyRecorded(BadRequest):
    """An entry with this id is in the log: read it instead of recording it again."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is stored."""

    seq: int
    id: bytes
    entry: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Addition:
    """What one group commit writes, all or nothing."""

    first: int
    sealed: Sequence[Sealed]
    tiles: Sequence[Tile]
    size: int
    note: str


class Writing(Protocol):
    """A transaction that holds the log's lock. Leaving it without an error commits it."""

    def note(self) -> str | None:
        """Return the newest checkpoint, or None in an empty log."""

    def next_seq(self) -> int:
        """Return one more than the last entry's place."""

    def tile(self, level: int, n: int, width: int) -> bytes:
        """Return the first `width` hashes of a tile."""

    def add(self, addition: Addition) -> None:
        """Write entries, parts, tiles and checkpoint. Raises AlreadyRecorded for an id in use."""


class Store(Protocol):
    """An append-only store. Whatever cannot be answered raises Unavailable, never "empty"."""

    def writing(self) -> AbstractContextManager[Writing]:
        """Open the one writing transaction of the log. Raises Unavailable or Stopped."""

    def note(self) -> str | None:
        """Return the newest checkpoint, or None in an empty log."""

    def tile(self, level: int, n: int, width: int) -> bytes:
        """Return the first `width` hashes of a tile."""

    def seq_of(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """Return the places of those ids that are in the log."""

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """Yield entries in order."""

    def tiles(self) -> Iterator[Tile]:
        """Yield every whole tile: level, number, root, hashes."""

    def parts(self, start: int, stop: int) -> Iterator[StoredPart]:
        """Yield (seq, n, part) of the parts that are still kept, in order."""

    def parts_under(self, key_ids: Sequence[bytes]) -> list[tuple[int, int]]:
        """Return (seq, n) of every part sealed under one of these keys."""

    def erased(self, start: int, stop: int) -> Iterator[Erased]:
        """Yield the openings of erased parts, in order."""

    def may_erase(self) -> bool:
        """Return whether this role may delete encrypted parts."""

    def delete_parts(self, parts: Sequence[tuple[int, int]]) -> None:
        """Delete encrypted parts; durable on return."""

    def cosigned(self) -> list[tuple[int, str]]:
        """Return (size, note) of checkpoints that witnesses cosigned, oldest first."""

    def add_cosigned(self, size: int, note: str) -> None:
        """Keep a checkpoint that witnesses cosigned."""

    def snapshot(self) -> AbstractContextManager[ReadRaw]:
        """Open one moment of the log; what is given yields every row of a table as it stands."""

    def close(self) -> None:
        """Let go of the database."""
