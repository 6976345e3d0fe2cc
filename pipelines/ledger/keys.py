"""Data keys: one per subject and retention bucket, wrapped by a key-encryption key with epochs.

Destroying a data key makes every copy of what it sealed unreadable, and rotating the
key-encryption key does so for copies of the wrapped key in write-ahead logs and backups. The
wrapped keys stand in a store of their own (`KeyStore`), the key-encryption key in a file of its
own, and subjects stand in the store only as a keyed hash.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipelines.errors import BadRequest, IntegrityBroken, NotThere
from pipelines.ledger.key_store import KeyStore, WrappedKey
from pipelines.ledger.note import decode, encode
from pipelines.ledger.secret_files import create_secret, locked, read_secret, replace_secret

KEY_SIZE: Final = 32
ID_SIZE: Final = 16
TIME_SIZE: Final = 6
NONCE_SIZE: Final = 12
LENGTH_SIZE: Final = 2
SPARE: Final = (b"", "")
SPARE_KEYS: Final = 256
REMEMBERED_KEYS: Final = 10_000
DAY_MS: Final = 86_400_000


class DataKey(msgspec.Struct, frozen=True, gc=False):
    """A data key in use: its id and its cipher, and the generation it was alive in.

    `label` stands in what it seals: the label's length, then the reference and bucket of the
    subject, so that the key store's link can be found again.
    """

    key_id: bytes
    ref: bytes
    bucket: str
    generation: int
    cipher: AESGCM
    label: bytes

    def __repr__(self) -> str:
        return f"DataKey(key_id={self.key_id!r}, bucket={self.bucket!r})"


@dataclass(frozen=True, slots=True)
class Ring:
    """The key-encryption keys by epoch, and the key that turns subjects into references."""

    index: bytes = field(repr=False)
    epochs: dict[int, bytes] = field(repr=False)
    keyed: hmac.HMAC = field(init=False, repr=False, compare=False)
    _ciphers: dict[int, AESGCM] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Copying what is keyed already costs a quarter of keying anew.
        object.__setattr__(self, "keyed", hmac.new(self.index, digestmod=hashlib.sha256))

    @property
    def newest(self) -> int:
        return max(self.epochs)

    def cipher(self, epoch: int) -> AESGCM:
        """Return the cipher of an epoch's key."""
        if epoch not in self._ciphers:
            self._ciphers[epoch] = AESGCM(self.epochs[epoch])
        return self._ciphers[epoch]

    @classmethod
    def read(cls, path: Path) -> Ring:
        """Read a key ring file. Raises NotThere, BadRequest or IntegrityBroken."""
        try:
            held = json.loads(read_secret(path))
            epochs = {int(epoch): decode(key) for epoch, key in held["epochs"].items()}
            ring = cls(decode(held["index"]), epochs)
        except (ValueError, KeyError, AttributeError):
            raise IntegrityBroken("not a key ring", where=str(path)) from None
        if not ring.epochs or any(len(key) != KEY_SIZE for key in [ring.index, *epochs.values()]):
            raise IntegrityBroken("not a key ring", where=str(path))
        return ring

    def text(self) -> str:
        """Return the key ring file: for that file only."""
        epochs = {str(epoch): encode(key) for epoch, key in self.epochs.items()}
        return json.dumps({"index": encode(self.index), "epochs": epochs}) + "\n"


def create_ring(path: Path) -> None:
    """Make a key ring and its file. Raises IntegrityBroken when there is one already."""
    create_secret(path, Ring(os.urandom(KEY_SIZE), {1: os.urandom(KEY_SIZE)}).text())


def ordered_id() -> bytes:
    """Return 16 bytes that nobody can guess and that grow with time: 48 bits of it, 80 random.

    Ids that grow keep an index's new rows together on few pages.
    """
    return ordered_ids(1)[0]


def ordered_ids(count: int) -> list[bytes]:
    """Return so many such ids, drawn at once."""
    now, size = (time.time_ns() // 1_000_000).to_bytes(TIME_SIZE), ID_SIZE - TIME_SIZE
    drawn = os.urandom(count * size)
    return [now + drawn[at : at + size] for at in range(0, len(drawn), size)]


def bucket_of(time_ms: int, purpose: str) -> str:
    """Return the retention bucket of a moment (milliseconds since 1970, UTC): month/purpose."""
    return f"{_month_of_day(time_ms // DAY_MS)}/{purpose}"


@lru_cache(maxsize=64)
def _month_of_day(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY_MS // 1000, UTC):%Y-%m}"


class Keys:
    """The data keys of one ledger, for many threads."""

    def __init__(self, store: KeyStore, ring_file: Path) -> None:
        self.store = store
        self._ring_file = ring_file
        self._lock = threading.Lock()
        self._spare: list[tuple[bytes, bytes]] = []
        self._known: dict[tuple[bytes, str], DataKey] = {}
        self._unlinked: set[bytes] = set()
        self._ring = Ring.read(ring_file)
        if len(self._ring.epochs) > 1:
            with self.exclusively(ring_file.name):
                self._ring = Ring.read(ring_file)
                if len(self._ring.epochs) > 1 and store.may_destroy():
                    self._finish_rotation()

    def ref(self, subject: str) -> bytes:
        """Return the keyed hash that stands for a subject in the key store."""
        keyed = self._ring.keyed.copy()
        keyed.update(subject.encode())
        return keyed.digest()

    def data_key(self, subject: str, bucket: str) -> DataKey:
        """Return the key that seals what is recorded about a subject in a bucket."""
        return self.data_keys([(subject, bucket)])[0]

    def data_keys(self, wanted: Sequence[tuple[str, str]]) -> list[DataKey]:
        """Return a key for each (subject, bucket), asking the store once for all."""
        pairs = [(self.ref(subject), bucket) for subject, bucket in wanted]
        known = self._known
        with self._lock:
            unknown = [pair for pair in pairs if pair not in known]
            if unknown:
                if len(known) + len(unknown) > REMEMBERED_KEYS:
                    known.clear()
                    unknown = pairs
                self._learn(list(dict.fromkeys(unknown)))
            return [known[pair] for pair in pairs]

    def cipher(self, key_id: bytes) -> AESGCM:
        """Return the cipher of a data key. Raises NotThere when the key is gone."""
        row = self.store.key(key_id)
        if row is None:
            raise NotThere("a data key that is not in the key store")
        return AESGCM(self._unwrap(row))

    def ciphers(self, key_ids: Sequence[bytes]) -> dict[bytes, AESGCM]:
        """Return the ciphers of those data keys that are not gone, asking the store at once."""
        found = {}
        for row in self.store.keys(key_ids):
            try:
                found[row.key_id] = AESGCM(self._unwrap(row))
            except NotThere:  # the key that wraps it is gone: so is this one
                continue
        return found

    def of_subject(self, subject: str) -> list[WrappedKey]:
        """Return every key of a subject."""
        return self.store.select(ref=self.ref(subject))

    def still_alive(self, keys: Iterable[DataKey]) -> set[bytes]:
        """Return the ids of those `keys` that may still seal, for they were not retired since."""
        now = self.store.generation()
        keys = list(keys)
        if all(key.generation == now for key in keys):
            return {key.key_id for key in keys}
        self.forget()
        rows = [self.store.key(key.key_id) for key in keys]
        return {row.key_id for row in rows if row is not None and not row.retired}

    def retire(self, key_ids: Sequence[bytes]) -> None:
        """Bar data keys from sealing anything new: the first step of an erasure."""
        self.store.retire(key_ids)
        self.forget()

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        """Delete data keys. What they sealed is unreadable once `rotate` has run as well."""
        self.store.destroy(key_ids)
        self.forget()

    def drop_spare(self) -> None:
        """Delete the keys that were made ahead and not used."""
        with self._lock:
            self.store.drop_spare([*self._unlinked, *(key_id for key_id, _ in self._spare)])
            self._spare, self._unlinked = [], set()
            self._known.clear()

    @contextmanager
    def exclusively(self, purpose: str) -> Iterator[None]:
        """Hold a lock, named by its purpose, against every process that uses these keys."""
        with locked(self._ring_file.with_name(purpose)), self.store.exclusively(purpose):
            yield

    def refuse_to_destroy(self) -> None:
        """Raise BadRequest when the key store's role may not destroy keys or lift holds."""
        if not self.store.may_destroy():
            raise BadRequest(
                "this role of the key store may not destroy keys, wrap them anew or lift a hold",
                expected="one that may, as keys_eraser",
                hint="docs/how-to/run-in-production.md",
            )

    def rotate(self) -> int:
        """Wrap every surviving key by a new key-encryption key, destroy the old; return the epoch.

        A crash at any point is finished on the next opening: while the file holds two epochs,
        keys of both can be read. Raises BadRequest where the store's role may not.
        """
        self.refuse_to_destroy()
        with self._lock, self.exclusively(self._ring_file.name):
            old = Ring.read(self._ring_file)
            epochs = {**old.epochs, old.newest + 1: os.urandom(KEY_SIZE)}
            self._ring = Ring(old.index, epochs)
            replace_secret(self._ring_file, self._ring.text())
            self._finish_rotation()
            return self._ring.newest

    def _finish_rotation(self) -> None:
        newest = self._ring.newest
        rows = [row for row in self.store.select() if row.epoch != newest]
        keys = ((row.key_id, self._unwrap(row), row.ref, row.bucket) for row in rows)
        self.store.rewrap(self._wrap(keys), newest)
        self._ring = Ring(self._ring.index, {newest: self._ring.epochs[newest]})
        replace_secret(self._ring_file, self._ring.text())

    def forget(self) -> None:
        """Drop the keys kept in memory."""
        with self._lock:
            self._known.clear()

    def _learn(self, pairs: Sequence[tuple[bytes, str]]) -> None:
        """Learn a key for each pair, under the lock: the one it has, or a spare, not linked yet."""
        generation, held = self.store.find(pairs)
        fresh = [pair for pair in pairs if pair not in held]
        if len(fresh) > SPARE_KEYS:
            found = self._make(fresh)
        else:
            if len(self._spare) < len(fresh):
                self._spare += self._make([SPARE] * SPARE_KEYS)
            found = [self._spare.pop() for _ in fresh]
            self._unlinked.update(key_id for key_id, _ in found)
        found += [(row.key_id, self._unwrap(row)) for row in held.values()]
        for (ref, bucket), (key_id, key) in zip([*fresh, *held], found, strict=True):
            label = ref + bucket.encode()
            label = len(label).to_bytes(LENGTH_SIZE) + label
            self._known[ref, bucket] = DataKey(key_id, ref, bucket, generation, AESGCM(key), label)

    def link(self, keys: Iterable[DataKey]) -> set[bytes]:
        """Tell the store whose these keys are, in one go; before what they seal is committed.

        Returns the ids of those whose subject was given another key by another process meanwhile.
        """
        with self._lock:
            if not self._unlinked:
                return set()
            rows = [(k.key_id, k.ref, k.bucket) for k in keys if k.key_id in self._unlinked]
        if not rows:
            return set()
        lost = self.store.link(rows)
        with self._lock:
            self._unlinked.difference_update(key_id for key_id, _, _ in rows)
            if lost:
                self._known.clear()
        if lost:
            self.store.drop_spare(list(lost))
        return lost

    def _make(self, owners: Sequence[tuple[bytes, str]]) -> list[tuple[bytes, bytes]]:
        """Make a key for each owner under the ring's lock: a rotation meanwhile would miss them."""
        drawn = os.urandom(len(owners) * KEY_SIZE)
        made = [drawn[at : at + KEY_SIZE] for at in range(0, len(drawn), KEY_SIZE)]
        fresh = list(zip(ordered_ids(len(made)), made, strict=True))
        with self.exclusively(self._ring_file.name):
            self._ring = Ring.read(self._ring_file)
            owned = ((*each, *owner) for each, owner in zip(fresh, owners, strict=True))
            self.store.add(list(self._wrap(owned)))
        return fresh

    def _wrap(self, keys: Iterable[tuple[bytes, bytes, bytes, str]]) -> Iterator[WrappedKey]:
        """Wrap each (id, key, ref, bucket) by the newest key-encryption key."""
        epoch = self._ring.newest
        encrypt = self._ring.cipher(epoch).encrypt
        for key_id, key, ref, bucket in keys:
            nonce = os.urandom(NONCE_SIZE)
            sealed = nonce + encrypt(nonce, key, _bound_to(key_id, epoch))
            yield WrappedKey(key_id, epoch, sealed, ref, bucket)

    def _unwrap(self, row: WrappedKey) -> bytes:
        if row.epoch not in self._ring.epochs:
            self._ring = Ring.read(self._ring_file)  # another process rotated
        if row.epoch not in self._ring.epochs:
            raise NotThere("the key-encryption key of this epoch is gone", observed=row.epoch)
        try:
            nonce, sealed = row.wrapped[:NONCE_SIZE], row.wrapped[NONCE_SIZE:]
            return self._ring.cipher(row.epoch).decrypt(
                nonce, sealed, _bound_to(row.key_id, row.epoch)
            )
        except (InvalidTag, ValueError):
            raise IntegrityBroken("a wrapped key was changed") from None


def _bound_to(key_id: bytes, epoch: int) -> bytes:
    return key_id + epoch.to_bytes(8)


def copy_keys(source: Keys, target: KeyStore) -> int:
    """Copy keys that a person has, and holds, into another store of the same ring; return how many.

    What is there already is left. Nobody may record meanwhile.
    """
    with source.exclusively("erasure"):
        there = {key.key_id for key in target.select()}
        missing = [key for key in source.store.select() if key.ref and key.key_id not in there]
        target.add(missing)
        target.retire([key.key_id for key in missing if key.retired])
        for ref, reason in source.store.holds():
            target.set_hold(ref, reason)
    return len(missing)
