"""Erasing what is recorded about a person, while every proof stays whole.

In order: the keys are barred from sealing more; a tombstone that counts the erased parts is
recorded; the encrypted parts are deleted; the keys are destroyed; the key-encryption key is
rotated, which reaches the copies of the wrapped keys in write-ahead logs and backups. Whatever is
cut short is finished by `finish_erasures`. What an entry says of itself stays: that a decision was
made, when, and by which model.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.errors import BadRequest, NotThere
from pipelines.ledger.entry import Draft, Erased, Fact, Sealed, seal
from pipelines.ledger.group import Receipt
from pipelines.ledger.keys import ordered_id
from pipelines.ledger.log import Ledger
from pipelines.ledger.tree import grow, hash_leaf

SALT_SIZE: Final = 32
TOMBSTONE: Final = "erasure"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would reach: data keys, their buckets, how many parts, and a legal hold."""

    key_ids: tuple[bytes, ...]
    buckets: tuple[str, ...]
    parts: int
    hold: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did: its tombstone's receipt, how many parts, the new key epoch."""

    receipt: Receipt
    parts: int
    epoch: int


def plan(ledger: Ledger, subject: str, buckets: Sequence[str] | None = None) -> Plan:
    """Return what erasing a subject (in some buckets, where named) would reach.

    Raises NotThere when nothing is recorded about the subject.
    """
    held = [
        key for key in ledger.keys.of_subject(subject) if buckets is None or key.bucket in buckets
    ]
    if not held:
        raise NotThere("nothing is recorded about this subject")
    key_ids = tuple(key.key_id for key in held)
    return Plan(
        key_ids,
        tuple(sorted({key.bucket for key in held})),
        len(ledger.store.parts_under(key_ids)),
        ledger.keys.store.hold(ledger.keys.ref(subject)),
    )


def erase(ledger: Ledger, planned: Plan, basis: str) -> Erasure:
    """Carry out a plan on a legal basis, named in the tombstone. Raises BadRequest on a hold."""
    if planned.hold:
        raise BadRequest("the subject is under a legal hold", hint="lift the hold first")
    return erase_keys(ledger, planned.key_ids, basis)


def refuse_without_right(ledger: Ledger) -> None:
    """Raise BadRequest when the roles of ledger and key store may not erase; nothing is written."""
    if not ledger.store.may_erase():
        raise BadRequest(
            "this role of the ledger's database may not erase",
            expected="one that may delete encrypted parts, as ledger_eraser",
            hint="docs/how-to/run-in-production.md",
        )
    ledger.keys.refuse_to_destroy()


def expire(ledger: Ledger, bucket: str) -> Erasure:
    """Erase everything in a retention bucket but what is under hold. Raises NotThere."""
    store = ledger.keys.store
    key_ids = [key.key_id for key in store.select(bucket=bucket) if not store.hold(key.ref)]
    if not key_ids:
        raise NotThere("nothing to expire in this bucket", where=bucket)
    return erase_keys(ledger, key_ids, f"retention of {bucket} ended")


def erase_keys(ledger: Ledger, key_ids: Sequence[bytes], basis: str) -> Erasure:
    """Erase everything sealed under these keys. Raises BadRequest where the role may not."""
    refuse_without_right(ledger)
    with ledger.keys.exclusively("erasure"):
        ledger.keys.retire(key_ids)
        with ledger.store.writing():
            pass  # who sealed with these keys has committed by now, or will be refused
        parts = ledger.store.parts_under(key_ids)
        fresh = [part for part in parts if part not in _counted(ledger, *part)]
        receipt = ledger.append(_tombstone(ledger, fresh, basis)).result()
        ledger.store.delete_parts(parts)
        ledger.keys.destroy(key_ids)
        return Erasure(receipt, len(fresh), ledger.keys.rotate())


def _counted(ledger: Ledger, seq: int, _: int) -> set[tuple[int, int]]:
    """Return the parts of an entry that a tombstone counts already."""
    return {(each.seq, each.n) for each in ledger.store.erased(seq, seq + 1)}


def finish_erasures(ledger: Ledger) -> int:
    """Finish erasures cut short after their tombstone; return how many parts were left."""
    with ledger.keys.exclusively("erasure"):
        store, size = ledger.store, ledger.checkpoint()[0].size
        counted = {(each.seq, each.n) for each in store.erased(0, size)}
        left = [(seq, n) for seq, n, _ in store.parts(0, size) if (seq, n) in counted]
        if left:
            store.delete_parts(left)
        retired = [key.key_id for key in ledger.keys.store.select() if key.retired]
        unused = [key_id for key_id in retired if not store.parts_under([key_id])]
        if unused:
            ledger.keys.destroy(unused)
            ledger.keys.rotate()
        return len(left)


def _tombstone(ledger: Ledger, parts: Sequence[tuple[int, int]], basis: str) -> Sealed:
    """Seal an entry that counts parts under a Merkle root of salted places.

    One part's opening tells nothing of the others, so a tombstone shown for one record does not
    tie it to the rest of a person's.
    """
    number = ordered_id()
    order = list(parts)
    secrets.SystemRandom().shuffle(order)
    salts = [os.urandom(SALT_SIZE) for _ in order]
    leaves = [
        hash_leaf(seq.to_bytes(8) + n.to_bytes(2) + salt)
        for (seq, n), salt in zip(order, salts, strict=True)
    ]
    tree = grow(0, {}, leaves)
    erased = [
        Erased(seq, n, number, place, salts[place], b"".join(tree.inclusion(place)))
        for place, (seq, n) in enumerate(order)
    ]
    facts: dict[str, Fact] = {"k": len(order), "r": tree.root().hex(), "basis": basis}
    return seal(Draft(TOMBSTONE, facts, id=number), ledger.origin, ledger.keys, erased)
