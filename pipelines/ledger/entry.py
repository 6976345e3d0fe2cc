"""What one leaf of the log says, and what is sealed beside it.

The entry is small and public in kind: digests, versions and a time. It commits to each encrypted
body twice: to its bytes, and, salted, to what they decrypt to, for an AES-GCM ciphertext alone
does not commit to one plaintext. The salt is inside the ciphertext, so that once the key is gone
the commitment tells nothing. No subject stands in an entry, not even as a pseudonym.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger.keys import (
    ID_SIZE,
    LENGTH_SIZE,
    NONCE_SIZE,
    DataKey,
    Keys,
    bucket_of,
    ordered_ids,
)

VERSION: Final = 1
SALT_SIZE: Final = 32
REF_SIZE: Final = 32
LABEL: Final = SALT_SIZE + LENGTH_SIZE  # where a frame's label starts
FRESH_SIZE: Final = SALT_SIZE + NONCE_SIZE
LARGEST_ENTRY: Final = 600
LARGEST_INTEGER: Final = 2**53 - 1
OWN_FIELDS: Final = frozenset({"v", "t", "id", "ts", "ct", "pc"})

# It takes a fifth of orjson's time for bytes that are kept.
SORTED: Final = msgspec.json.Encoder(order="deterministic")

Fact = str | int


class Body(msgspec.Struct, frozen=True, gc=False):
    """What is recorded about one subject, for one purpose: bytes that only its key opens."""

    subject: str
    purpose: str
    content: bytes

    def __repr__(self) -> str:
        return f"Body(purpose={self.purpose!r})"


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry to be: its type, public facts about it, and one body for each person in it.

    `id` (16 bytes) is made where none is given; an id can be recorded once.
    """

    kind: str
    facts: Mapping[str, Fact] = {}
    bodies: tuple[Body, ...] = ()
    id: bytes = b""
    time_ms: int | None = None


class Part(msgspec.Struct, frozen=True, gc=False):
    """One encrypted body as it is stored."""

    key_id: bytes
    nonce: bytes
    ciphertext: bytes

    def __repr__(self) -> str:
        return f"Part(key_id={self.key_id!r})"

    def digest(self) -> str:
        """Return what the entry says of this part: SHA-256(key id || nonce || ciphertext)."""
        return hashlib.sha256(b"".join((self.key_id, self.nonce, self.ciphertext))).hexdigest()


@dataclass(frozen=True, slots=True)
class Erased:
    """The opening that shows that a part is one of those a tombstone counts."""

    seq: int
    n: int
    tombstone: bytes
    place: int
    salt: bytes
    path: bytes


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """An entry ready to be appended: its bytes and leaf hash, its parts and the keys they need."""

    id: bytes
    entry: bytes
    leaf: bytes
    parts: tuple[Part, ...] = ()
    keys: tuple[DataKey, ...] = ()
    erased: tuple[Erased, ...] = ()


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A decrypted part. `frame` is what the entry's salted digest is over: ``record.bin``."""

    frame: bytes = field(repr=False)
    ref: bytes = field(repr=False)
    bucket: str
    content: bytes = field(repr=False)


def now_ms() -> int:
    """Return the time as milliseconds since 1970, UTC: the operator's claim, no more."""
    return time.time_ns() // 1_000_000


def seal(draft: Draft, origin: str, keys: Keys, erased: Sequence[Erased] = ()) -> Sealed:
    """Encrypt the bodies of a draft and make its entry. Raises BadRequest or Unavailable."""
    return msgspec.structs.replace(seal_many([draft], origin, keys)[0], erased=tuple(erased))


def seal_many(drafts: Sequence[Draft], origin: str, keys: Keys) -> list[Sealed]:
    """Seal drafts, asking the key store once for all their keys."""
    now = now_ms()
    wanted = [
        (body.subject, bucket_of(now if draft.time_ms is None else draft.time_ms, body.purpose))
        for draft in drafts
        for body in draft.bodies
    ]
    used = keys.data_keys(wanted) if wanted else []
    fresh = os.urandom(len(used) * FRESH_SIZE)
    log, at, done = origin.encode() + b"\n", 0, []
    for draft, number in zip(drafts, ordered_ids(len(drafts)), strict=True):
        end = at + len(draft.bodies)
        random = fresh[at * FRESH_SIZE : end * FRESH_SIZE]
        done.append(_seal(draft, draft.id or number, now, used[at:end], random, log))
        at = end
    return done


def _seal(
    draft: Draft, number: bytes, now: int, used: Sequence[DataKey], fresh: bytes, log: bytes
) -> Sealed:
    """Seal one draft; `fresh` holds a salt and a nonce for each part, which nothing else uses."""
    if len(number) != ID_SIZE:
        raise BadRequest("an id of the wrong length", expected=f"{ID_SIZE} bytes")
    sha256, parts, opened, closed = hashlib.sha256, [], [], []
    for n, key in enumerate(used):
        at = n * FRESH_SIZE
        nonce = fresh[at + SALT_SIZE : at + FRESH_SIZE]
        content = b"".join((fresh[at : at + SALT_SIZE], key.label, draft.bodies[n].content))
        sealed = key.cipher.encrypt(nonce, content, log + number + n.to_bytes(2))
        parts.append(Part(key.key_id, nonce, sealed))
        closed.append(sha256(b"".join((key.key_id, nonce, sealed))).hexdigest())
        opened.append(sha256(content).hexdigest())
    own = {
        "v": VERSION,
        "t": draft.kind,
        "id": number.hex(),
        "ts": now if draft.time_ms is None else draft.time_ms,
        "ct": closed,
        "pc": opened,
    }
    entry = entry_bytes(own, draft.facts)
    return Sealed(number, entry, sha256(b"\0" + entry).digest(), tuple(parts), tuple(used))


def entry_bytes(own: Mapping[str, object], facts: Mapping[str, Fact]) -> bytes:
    """Return an entry's bytes: JSON with sorted ASCII keys, texts and integers below 2^53.

    In this profile sorted JSON and RFC 8785 are the same bytes. Raises BadRequest.
    """
    for name, value in facts.items():
        if name in OWN_FIELDS or not name.isascii() or not name:
            raise BadRequest("a fact under a name that is taken or not ASCII", observed=name)
        if not isinstance(value, str):
            _check_integer(name, value)
    try:
        entry = SORTED.encode({**facts, **own})
    except (TypeError, ValueError):  # a ValueError of half a character would repeat the text
        raise BadRequest("an entry without a JSON form") from None
    if len(entry) > LARGEST_ENTRY:
        raise BadRequest("an entry too large", observed=len(entry), expected=LARGEST_ENTRY)
    return entry


def _check_integer(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequest("a fact that is neither text nor integer", where=name)
    if abs(value) > LARGEST_INTEGER:
        raise BadRequest("a fact too large", where=name, expected="an integer below 2^53")


def read_entry(entry: bytes) -> dict[str, Any]:
    """Return the fields of an entry. Raises IntegrityBroken."""
    try:
        fields = orjson.loads(entry)
    except orjson.JSONDecodeError:
        raise IntegrityBroken("an entry that is not JSON") from None
    if not isinstance(fields, dict) or not fields.keys() >= OWN_FIELDS:
        raise IntegrityBroken("an entry that lacks fields")
    return fields


def unframe(data: bytes) -> Disclosed:
    """Split a frame into salt, label (see `DataKey`) and content. Raises IntegrityBroken."""
    end = _label_end(data)
    label = data[LABEL:end]
    return Disclosed(data, label[:REF_SIZE], label[REF_SIZE:].decode(), data[end:])


def content_of(frame: bytes) -> bytes:
    """Return a frame's content alone. Raises IntegrityBroken."""
    return frame[_label_end(frame) :]


def _label_end(data: bytes) -> int:
    end = LABEL + int.from_bytes(data[SALT_SIZE:LABEL])
    if len(data) < end or end < LABEL + REF_SIZE:
        raise IntegrityBroken("a record's frame is broken")
    return end


def bound_to(origin: str, number: bytes, n: int) -> bytes:
    """Return what a part's encryption is bound to: log, entry and the part's place."""
    return origin.encode() + b"\n" + number + n.to_bytes(2)


def disclose(
    fields: Mapping[str, Any], n: int, part: Part, cipher: AESGCM, bound: bytes
) -> Disclosed:
    """Decrypt a part and check it against both digests of its entry. Raises IntegrityBroken."""
    return unframe(checked_frame(fields["ct"], fields["pc"], n, part, cipher, bound))


def checked_frame(
    closed: Sequence[str], opened: Sequence[str], n: int, part: Part, cipher: AESGCM, bound: bytes
) -> bytes:
    """Decrypt part `n` and check it against the entry's digests of what is closed and opened.

    Returns the frame, which `unframe` takes apart. Raises IntegrityBroken.
    """
    if n >= len(closed) or part.digest() != closed[n]:
        raise IntegrityBroken("a stored part is not what its entry says", where=f"part {n}")
    try:
        plain = cipher.decrypt(part.nonce, part.ciphertext, bound)
    except InvalidTag:
        raise IntegrityBroken("a stored part does not decrypt", where=f"part {n}") from None
    if hashlib.sha256(plain).hexdigest() != opened[n]:
        raise IntegrityBroken("a part decrypts to something else", where=f"part {n}")
    return plain
