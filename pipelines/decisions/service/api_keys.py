"""API keys and their roles. A key is 256 random bits, kept as its SHA-256 alone.

Guessing such a key is hopeless however fast its hash is, so no slow hash stands in every request.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from pipelines.errors import BadRequest, IntegrityBroken, NotThere
from pipelines.ledger.secret_files import create_secret, locked, read_secret, replace_secret

PREFIX: Final = "clew_"
BYTES: Final = 32


class NotKnown(BadRequest):
    """Nobody is known by this key: send a key that was made with `clew apikey`."""


class NotAllowed(BadRequest):
    """The key is known, and its roles do not allow this: ask for another role."""


class Role(StrEnum):
    """What the holder of a key may do."""

    DECIDE = "decide"
    READ = "read"
    AUDIT = "audit"
    ERASE = "erase"
    ADMIN = "admin"


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key as it is kept: its name, its roles and the SHA-256 of the key."""

    name: str
    roles: tuple[Role, ...]
    sha256: str

    def may(self, *roles: Role) -> bool:
        """Say whether one of these roles is among the key's."""
        return any(role in self.roles for role in roles)


LOCAL: Final = ApiKey("local", tuple(Role), "")


class ApiKeys:
    """The keys of one service, by their hashes; read again when the file changes."""

    def __init__(self, path: Path, *, open_before: bool = False) -> None:
        """With `open_before` nobody needs a key as long as the file was never there."""
        self._path, self._name = path, str(path)
        self._open = open_before
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, ApiKey] = {}

    def needed(self) -> bool:
        """Say whether callers need a key, from the moment the first is made."""
        self._open = self._open and not os.path.exists(self._name)  # noqa: PTH110 - asked each time
        return not self._open

    def caller(self, authorization: str | None) -> ApiKey:
        """Return who holds the key of an ``Authorization: Bearer`` header. Raises NotKnown."""
        kind, _, key = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise NotKnown("an API key is needed", where="Authorization", expected="Bearer KEY")
        found = self._current().get(_hash(key.strip()))
        if found is None:
            raise NotKnown("no such API key", where="Authorization")
        return found

    def holder(self, sha256: str) -> ApiKey:
        """Return the key of this hash, as long as it is in use. Raises NotKnown."""
        found = self._current().get(sha256)
        if found is None:
            raise NotKnown("this API key is out of use", where="cookie")
        return found

    def _current(self) -> dict[str, ApiKey]:
        """Return the keys; a file that cannot be read lets nobody in."""
        try:
            stat = self._path.stat()
        except OSError:
            raise NotKnown("the file of API keys is gone", where=str(self._path.name)) from None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._keys = {each.sha256: each for each in read(self._path)}
            self._stamp = stamp
        return self._keys


def needed(keys: ApiKeys | None) -> ApiKeys | None:
    """Return the keys that callers need by now; None where none are needed."""
    return keys if keys is not None and keys.needed() else None


def read(path: Path) -> tuple[ApiKey, ...]:
    """Read the file of keys. Raises NotThere, BadRequest when others can read it."""
    try:
        return msgspec.json.decode(read_secret(path), type=tuple[ApiKey, ...])
    except msgspec.DecodeError:
        raise IntegrityBroken("not a file of API keys", where=str(path)) from None


def create(path: Path, name: str, roles: Iterable[Role]) -> str:
    """Make a key with these roles, keep its hash, and return the key: it is shown this once."""
    roles = tuple(dict.fromkeys(roles))
    if not name.strip() or not name.isprintable() or not roles:
        raise BadRequest("a key has a name, in one line, and at least one role")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path):
        known = _known(path)
        if any(each.name == name for each in known):
            raise BadRequest("a key of this name is there", observed=name)
        key = PREFIX + secrets.token_urlsafe(BYTES)
        _write(path, (*known, ApiKey(name, roles, _hash(key))))
        return key


def revoke(path: Path, name: str) -> None:
    """Delete a key; a running service lets it in no more. Raises NotThere."""
    with locked(path):
        known = _known(path)
        left = tuple(each for each in known if each.name != name)
        if len(left) == len(known):
            raise NotThere("no key of this name", observed=name)
        _write(path, left)


def _known(path: Path) -> tuple[ApiKey, ...]:
    try:
        return read(path)
    except NotThere:
        return ()


def _write(path: Path, keys: tuple[ApiKey, ...]) -> None:
    text = msgspec.json.encode(keys).decode()
    (replace_secret if path.exists() else create_secret)(path, text)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
