"""The fork guard: the last signed checkpoint, kept in a second place.

A database restored from a backup, cut or swapped is smaller than, or inconsistent with, what this
log signed last; the guard knows that from outside the database and the log then refuses to sign.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from pipelines.errors import IntegrityBroken, Unavailable

SLOT: Final = 4096
DIGEST: Final = 32
HEADER: Final = 10


class FileLock(AbstractContextManager[None]):
    """The lock of an open file, against everybody else who opened it, first come, first served."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __enter__(self) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_UN)


class Guard(Protocol):
    """A second place for the last checkpoint, with a lock that every writer of it takes."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the guard against every other writer."""

    def last(self) -> str | None:
        """Return the last checkpoint; None when none was ever kept."""

    def swap(self, old: str | None, new: str) -> None:
        """Replace `old` by `new`. Raises IntegrityBroken when another one is kept by now."""


class FileGuard:
    """A guard in a file; put it on another volume than the database.

    Two slots are written in turn, so that a torn write leaves the checkpoint before it. There is
    no fsync for each checkpoint: after a power cut the guard may lag behind the database, which
    is harmless, and it never runs ahead of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._serial = 0
        self._content, self._note = b"", ""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            self._lock = FileLock(self._file)
        except OSError as error:
            raise Unavailable("the fork guard cannot be opened", where=str(path)) from error

    def close(self) -> None:
        """Make the guard durable and let go of the file."""
        os.fsync(self._file)
        os.close(self._file)

    def locked(self) -> AbstractContextManager[None]:
        return self._lock

    def last(self) -> str | None:
        try:
            content = os.pread(self._file, 2 * SLOT, 0)
        except OSError as error:
            raise Unavailable("the fork guard cannot be read", where=str(self._path)) from error
        if not content:
            return None
        if content == self._content:
            return self._note
        slots = [_read_slot(content[at : at + SLOT]) for at in (0, SLOT)]
        good = [slot for slot in slots if slot is not None]
        if not good:
            raise IntegrityBroken("the fork guard is broken", where=str(self._path))
        self._serial, self._note = max(good)
        self._content = content
        return self._note

    def swap(self, old: str | None, new: str) -> None:
        if self.last() != old:
            raise IntegrityBroken("another writer moved the fork guard", where=str(self._path))
        self._serial += 1
        slot = _slot(self._serial, new.encode())
        try:
            written = os.pwrite(self._file, slot, (self._serial % 2) * SLOT)
        except OSError as error:
            raise Unavailable("the fork guard cannot be written", where=str(self._path)) from error
        if written != SLOT:
            raise Unavailable("the fork guard cannot be written", where=str(self._path))
        slots = [self._content[:SLOT].ljust(SLOT, b"\0"), self._content[SLOT:]]
        slots[self._serial % 2] = slot
        self._content, self._note = b"".join(slots), new


def _slot(serial: int, note: bytes) -> bytes:
    body = serial.to_bytes(8) + len(note).to_bytes(2) + note
    if len(body) + DIGEST > SLOT:
        raise IntegrityBroken("a checkpoint too large for the fork guard")
    return (hashlib.sha256(body).digest() + body).ljust(SLOT, b"\0")


def _read_slot(slot: bytes) -> tuple[int, str] | None:
    body = slot[DIGEST:]
    length = HEADER + int.from_bytes(body[8:HEADER])
    if len(slot) < DIGEST + length or hashlib.sha256(body[:length]).digest() != slot[:DIGEST]:
        return None
    return int.from_bytes(body[:8]), body[HEADER:length].decode()
