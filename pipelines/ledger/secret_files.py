"""Files that hold secrets: mode 0600, replaced whole, the old bytes overwritten."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest, IntegrityBroken, NotThere, Unavailable
from pipelines.ledger.note import Algorithm, Signer
from pipelines.whole_file import sync_folder

OWNER_ONLY: Final = 0o600
OTHERS: Final = 0o077


def read_secret(path: Path) -> str:
    """Return a secret file's text. Raises NotThere; BadRequest when others may read it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise NotThere("no such key file", where=str(path)) from None
    if stat.S_IMODE(mode) & OTHERS:
        raise BadRequest(
            "a key file that others can read",
            where=str(path),
            observed=oct(stat.S_IMODE(mode)),
            expected=oct(OWNER_ONLY),
            hint=f"chmod 600 {path}",
        )
    return path.read_text()


def create_secret(path: Path, text: str) -> None:
    """Write a new secret file durably. Raises IntegrityBroken when there is one already."""
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write(path, text)
        except FileExistsError:
            raise IntegrityBroken("a key file is there already", where=str(path)) from None
        sync_folder(path.parent)


def replace_secret(path: Path, text: str) -> None:
    """Put new text in a secret file's place in one step, then overwrite what the old one held.

    A crash leaves the old text or the new one. Overwriting reaches this file's own blocks only:
    a copy-on-write file system, an SSD's spare area or a backup may hold the old bytes on. Raises
    Unavailable when the disk fails.
    """
    fresh = path.with_name(path.name + ".new")
    with writing(path):
        fresh.unlink(missing_ok=True)
        _write(fresh, text)
        old = os.open(path, os.O_WRONLY)
        try:
            fresh.replace(path)
            sync_folder(path.parent)
            os.pwrite(old, bytes(os.fstat(old).st_size), 0)
            os.fsync(old)
        finally:
            os.close(old)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a disk says while a file is written into Unavailable."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            "a file of keys or trust cannot be written",
            where=str(path),
            observed=os.strerror(error.errno or 0),
        ) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that stands beside a file against every other process, and thread."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def create_signer(path: Path, name: str, algorithm: Algorithm = Algorithm.ED25519) -> Signer:
    """Make a signing key and its file. Raises IntegrityBroken when there is one already."""
    signer = Signer.generate(name, algorithm)
    create_secret(path, signer.secret() + "\n")
    return signer


def read_signer(path: Path) -> Signer:
    """Return the signing key of a file. Raises NotThere or BadRequest."""
    return Signer.parse(read_secret(path))


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
