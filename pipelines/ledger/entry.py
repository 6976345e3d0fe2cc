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
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger.keys import ID_SIZE, NONCE_SIZE, DataKey, Keys, bucket_of, ordered_id
from pipelines.ledger.tree import hash_leaf

VERSION: Final = 1
SALT_SIZE: Final = 32
REF_SIZE: Final = 32
LARGEST_ENTRY: Final = 600
LARGEST_INTEGER: Final = 2**53 - 1
OWN_FIELDS: Final = frozenset({"v", "t", "id", "ts", "ct", "pc"})

Fact = str | int
_LENGTH_SIZE: Final = 2


@dataclass(frozen=True, slots=True)
class Body:
    """What is recorded about one subject, for one purpose: bytes that only its key opens."""

    subject: str = field(repr=False)
    purpose: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be: its type, public facts about it, and one body for each person in it.

    `id` (16 bytes) is made where none is given; an id can be recorded once.
    """

    kind: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    bodies: tuple[Body, ...] = ()
    id: bytes = b""
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One encrypted body as it is stored."""

    key_id: bytes
    nonce: bytes
    ciphertext: bytes = field(repr=False)

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


@dataclass(frozen=True, slots=True)
class Sealed:
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
    return replace(seal_many([draft], origin, keys)[0], erased=tuple(erased))


def seal_many(drafts: Sequence[Draft], origin: str, keys: Keys) -> list[Sealed]:
    """Seal drafts, asking the key store once for all their keys."""
    now = now_ms()
    times = [now if draft.time_ms is None else draft.time_ms for draft in drafts]
    wanted = [
        (body.subject, bucket_of(when, body.purpose))
        for draft, when in zip(drafts, times, strict=True)
        for body in draft.bodies
    ]
    found = iter(keys.data_keys(wanted)) if wanted else iter(())
    return [
        _seal(draft, when, tuple(islice(found, len(draft.bodies))), origin)
        for draft, when in zip(drafts, times, strict=True)
    ]


def _seal(draft: Draft, when: int, used: tuple[DataKey, ...], origin: str) -> Sealed:
    number = draft.id or ordered_id()
    if len(number) != ID_SIZE:
        raise BadRequest("an id of the wrong length", expected=f"{ID_SIZE} bytes")
    parts, opened, closed = [], [], []
    for n, key in enumerate(used):
        content = frame(key, draft.bodies[n].content)
        part = encrypt(key, content, bound_to(origin, number, n))
        parts.append(part)
        closed.append(part.digest())
        opened.append(hashlib.sha256(content).hexdigest())
    own: dict[str, object] = {
        "v": VERSION,
        "t": draft.kind,
        "id": number.hex(),
        "ts": when,
        "ct": closed,
        "pc": opened,
    }
    entry = entry_bytes(own, draft.facts)
    return Sealed(number, entry, hash_leaf(entry), tuple(parts), used)


def entry_bytes(own: Mapping[str, object], facts: Mapping[str, Fact]) -> bytes:
    """Return an entry's bytes: JSON with sorted ASCII keys, texts and integers below 2^53.

    In this profile sorted orjson and RFC 8785 write the same bytes. Raises BadRequest.
    """
    if any(value is True or value is False for value in facts.values()):
        raise BadRequest("a fact that is neither text nor integer")  # True would be found as 1
    check_facts(tuple(facts.items()))
    try:
        entry = orjson.dumps({**facts, **own}, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise BadRequest("an entry without a JSON form") from None
    if len(entry) > LARGEST_ENTRY:
        raise BadRequest("an entry too large", observed=len(entry), expected=LARGEST_ENTRY)
    return entry


@lru_cache(maxsize=256)
def check_facts(facts: tuple[tuple[str, Fact], ...]) -> None:
    """Refuse facts outside the profile; remembered, for a model's facts come again and again."""
    for name, value in facts:
        if name in OWN_FIELDS or not name.isascii() or not name:
            raise BadRequest("a fact under a name that is taken or not ASCII", observed=name)
        if not isinstance(value, (str, int)):
            raise BadRequest("a fact that is neither text nor integer", where=name)
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
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


def frame(key: DataKey, content: bytes) -> bytes:
    """Return what is encrypted: salt, the label's length, the label, the content.

    The label (reference and bucket of the subject) lets the key store's link be found again.
    """
    label = key.ref + key.bucket.encode()
    size = len(label).to_bytes(_LENGTH_SIZE)
    return b"".join((os.urandom(SALT_SIZE), size, label, content))


def unframe(data: bytes) -> Disclosed:
    """Split a decrypted frame. Raises IntegrityBroken."""
    start = SALT_SIZE + _LENGTH_SIZE
    end = start + int.from_bytes(data[SALT_SIZE:start])
    if len(data) < end or end < start + REF_SIZE:
        raise IntegrityBroken("a record's frame is broken")
    label = data[start:end]
    return Disclosed(data, label[:REF_SIZE], label[REF_SIZE:].decode(), data[end:])


def bound_to(origin: str, number: bytes, n: int) -> bytes:
    """Return what a part's encryption is bound to: log, entry and the part's place."""
    return origin.encode() + b"\n" + number + n.to_bytes(2)


def encrypt(key: DataKey, content: bytes, bound: bytes) -> Part:
    """Encrypt one frame under a fresh random nonce."""
    nonce = os.urandom(NONCE_SIZE)
    return Part(key.key_id, nonce, key.cipher.encrypt(nonce, content, bound))


def disclose(
    fields: Mapping[str, Any], n: int, part: Part, cipher: AESGCM, bound: bytes
) -> Disclosed:
    """Decrypt a part and check it against both digests of its entry. Raises IntegrityBroken."""
    if n >= len(fields["ct"]) or part.digest() != fields["ct"][n]:
        raise IntegrityBroken("a stored part is not what its entry says", where=f"part {n}")
    try:
        plain = cipher.decrypt(part.nonce, part.ciphertext, bound)
    except InvalidTag:
        raise IntegrityBroken("a stored part does not decrypt", where=f"part {n}") from None
    if hashlib.sha256(plain).hexdigest() != fields["pc"][n]:
        raise IntegrityBroken("a part decrypts to something else", where=f"part {n}")
    return unframe(plain)
