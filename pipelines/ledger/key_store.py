"""The port behind the data keys: where they are kept, wrapped, apart from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec


class WrappedKey(msgspec.Struct, frozen=True, gc=False):
    """A row of the key store. A spare key has no subject yet: `ref` and `bucket` are empty."""

    key_id: bytes
    epoch: int
    wrapped: bytes
    ref: bytes = b""
    bucket: str = ""
    retired: bool = False

    def __repr__(self) -> str:
        return f"WrappedKey(key_id={self.key_id!r}, epoch={self.epoch}, retired={self.retired})"


class KeyStore(Protocol):
    """Where wrapped data keys are kept. Every method raises Unavailable when it cannot answer."""

    def add(self, keys: Sequence[WrappedKey]) -> None:
        """Keep new keys, spare ones or a subject's; durable on return."""

    def find(
        self, pairs: Sequence[tuple[bytes, str]]
    ) -> tuple[int, dict[tuple[bytes, str], WrappedKey]]:
        """Return the generation, and a key not retired for each (ref, bucket) that has one."""

    def drop_spare(self, key_ids: Sequence[bytes]) -> None:
        """Delete those of these keys that no subject has."""

    def link(self, keys: Sequence[tuple[bytes, bytes, str]], *, beside: bool = False) -> set[bytes]:
        """Give each spare key to a ref and bucket that has no key, or `beside` the one it has.

        Survives the process; may be lost with power. Returns the key ids that were not given.
        """

    def key(self, key_id: bytes) -> WrappedKey | None:
        """Return one key."""

    def keys(self, key_ids: Sequence[bytes]) -> list[WrappedKey]:
        """Return those of these keys that are there, in any order."""

    def select(self, *, ref: bytes | None = None, bucket: str | None = None) -> list[WrappedKey]:
        """Return all keys, of one subject or in one bucket where asked."""

    def rewrap(self, keys: Iterable[WrappedKey], epoch: int = 0) -> None:
        """Replace epoch and wrapped form of these keys, all or none; durable on return.

        A store of several machines adds no key of an epoch before `epoch` from then on.
        """

    def retire(self, key_ids: Sequence[bytes]) -> None:
        """Bar keys from sealing anything new and count the generation up; durable on return."""

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        """Delete keys and count the generation up; durable on return."""

    def generation(self) -> int:
        """Return how often keys were retired or destroyed."""

    def set_hold(self, ref: bytes, reason: str) -> None:
        """Put a subject under legal hold, or lift it with an empty reason."""

    def holds(self) -> list[tuple[bytes, str]]:
        """Return (ref, reason) of every legal hold."""

    def hold(self, ref: bytes) -> str:
        """Return the reason of a subject's hold, empty where there is none."""

    def may_destroy(self) -> bool:
        """Return whether this role may retire, destroy and rewrap keys."""

    def exclusively(self, purpose: str) -> AbstractContextManager[None]:
        """Hold a lock, named by its purpose, against every other machine that uses the store."""
