"""Attacks on a ledger, carried out for real in both databases, and who notices each."""

# ruff: noqa: S608 - an attacker writes his own SQL

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipelines.errors import IntegrityBroken
from pipelines.ledger import tree, verify
from pipelines.ledger.bundle import copy_log, write_bundle
from pipelines.ledger.entry import SALT_SIZE, Part, bound_to, read_entry, seal
from pipelines.ledger.erasure import erase, plan
from pipelines.ledger.keys import NONCE_SIZE
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Algorithm, Checkpoint, Signer, opened
from pipelines.ledger.tiles import fold
from pipelines.ledger.witness import Witness, write_request
from tests.ledger.places import TABLES, Place, draft

WITNESS = Signer.generate("witness.example/w1", Algorithm.COSIGNATURE)
COLUMNS = {
    "entry": ("seq", "id", "entry", "leaf"),
    "part": ("seq", "n", "key_id", "nonce", "ct"),
    "erased": ("seq", "n", "tombstone", "place", "salt", "path"),
    "tile": ("level", "n", "root", "hashes"),
    "checkpoint": ("size", "note"),
    "cosigned": ("size", "note"),
}


def policy(place: Place) -> Path:
    path = place.folder / "policy with a witness"
    keys = f"log {place.signer.verifier.vkey()}\nwitness w {WITNESS.verifier.vkey()}\n"
    path.write_text(keys + "quorum none\n")
    return path


def filled(place: Place, count: int = 30) -> Ledger:
    """Return a log with tiles, an erased person and a cosigned checkpoint."""
    ledger = place.ledger()
    ledger.record_many(draft(f"s{n % 3}", b"body %d" % n) for n in range(count))
    checkpoint, note = ledger.checkpoint()
    ledger.store.add_cosigned(checkpoint.size, note + WITNESS.sign(checkpoint.text))
    return ledger


def witness(place: Place) -> Witness:
    return Witness(WITNESS, [place.signer.verifier], place.folder / "memory")


def found(place: Place, *known: str, keys: bool = False) -> int:
    """Copy the log as it stands and run the offline verifier over the copy."""
    copy = place.folder / "copy.db"
    copy.unlink(missing_ok=True)
    copy_log(place.store(), copy)
    notes = []
    for number, note in enumerate(known):
        notes.append(place.folder / f"known{number}")
        notes[-1].write_text(note)
    store = place.keys_file() if keys else None
    return verify.verify(copy, policy(place), notes, store)[0]


def test_every_column_is_named() -> None:
    """The attack on columns knows every table of the store."""
    assert TABLES == tuple(COLUMNS)


@pytest.mark.parametrize(
    ("table", "column"), [(table, each) for table in TABLES for each in COLUMNS[table]]
)
def test_a_flipped_byte_in_any_column(place: Place, table: str, column: str) -> None:
    """One flipped byte in any column of any table, first, middle or last row, is found."""
    ledger = filled(place, 300)
    erase(ledger, plan(ledger, "s1"), "request")
    ledger.close()
    assert 0 == found(place)
    names = ", ".join(COLUMNS[table])
    rows = place.query(f"SELECT {names} FROM {table} ORDER BY 1, 2")
    for row in {0: rows[0], 1: rows[len(rows) // 2], 2: rows[-1]}.values():
        old = row[COLUMNS[table].index(column)]
        where = " AND ".join(f"{name} = ?" for name in COLUMNS[table][:2])
        keys = list(row[:2])
        place.query(f"UPDATE {table} SET {column} = ? WHERE {where}", [flipped(old), *keys])
        if column in COLUMNS[table][:2]:
            keys[COLUMNS[table].index(column)] = flipped(old)

        assert found(place) in (verify.TAMPERED, verify.UNREADABLE, verify.CANNOT)
        place.query(f"UPDATE {table} SET {column} = ? WHERE {where}", [old, *keys])
    assert 0 == found(place)


def flipped(value: Any) -> Any:
    """Return a value with one bit changed, in its middle, of the same type."""
    if isinstance(value, int):
        return value + 1_000_003
    if isinstance(value, str):
        middle = len(value) // 2
        return value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1 :]
    middle = len(value) // 2
    return bytes(value[:middle]) + bytes([value[middle] ^ 1]) + bytes(value[middle + 1 :])


def test_flipped_text_in_a_checkpoint(place: Place) -> None:
    """A letter changed anywhere in the stored checkpoint is found."""
    filled(place, 3).close()
    [(note,)] = place.query("SELECT note FROM checkpoint")
    for at in range(0, len(note) - 1, 13):
        forged = note[:at] + ("x" if note[at] != "x" else "y") + note[at + 1 :]
        place.query("UPDATE checkpoint SET note = ?", [forged])

        assert found(place) in (verify.TAMPERED, verify.CANNOT)


def rewrite(place: Place, ledger: Ledger, seq: int, content: bytes) -> None:
    """Give a record another body, and redo every digest, hash and tile that follows from it."""
    row = ledger.row(seq)
    fields = read_entry(row.entry)
    key = ledger.keys.data_key(f"s{seq % 3}", ledger.keys.of_subject(f"s{seq % 3}")[0].bucket)
    body, nonce = bytes(SALT_SIZE) + key.label + content, bytes(NONCE_SIZE)
    sealed = key.cipher.encrypt(nonce, body, bound_to(ledger.origin, row.id, 0))
    part = Part(key.key_id, nonce, sealed)
    entry = row.entry.replace(fields["ct"][0].encode(), part.digest().encode())
    entry = entry.replace(fields["pc"][0].encode(), hashlib.sha256(body).hexdigest().encode())
    place.query(
        "UPDATE part SET nonce = ?, ct = ? WHERE seq = ?", [part.nonce, part.ciphertext, seq]
    )
    leaf = tree.hash_leaf(entry)
    place.query("UPDATE entry SET entry = ?, leaf = ? WHERE seq = ?", [entry, leaf, seq])
    redo_tiles(place)


def redo_tiles(place: Place) -> None:
    leaves = [bytes(row[0]) for row in place.query("SELECT leaf FROM entry ORDER BY seq")]
    for (n,) in place.query("SELECT n FROM tile WHERE level = 0"):
        row = leaves[n * 256 : (n + 1) * 256]
        values = [fold(row), b"".join(row), n]
        place.query("UPDATE tile SET root = ?, hashes = ? WHERE level = 0 AND n = ?", values)


def sign_anew(place: Place, signer: Signer) -> str:
    """Sign what the database holds now, with any key, and put that in the checkpoint's place."""
    leaves = [bytes(row[0]) for row in place.query("SELECT leaf FROM entry ORDER BY seq")]
    note = Checkpoint(place.signer.name, len(leaves), tree.grow(0, {}, leaves).root()).signed(
        signer
    )
    place.query("DELETE FROM checkpoint")
    place.query("INSERT INTO checkpoint(size, note) VALUES (?, ?)", [len(leaves), note])
    return note


def test_an_edited_body(place: Place) -> None:
    """A body replaced under its own key, with every digest redone, no longer has its root."""
    ledger = filled(place, 300)
    rewrite(place, ledger, 7, b"forged")

    assert b"forged" == ledger.read(ledger.row(7).id).content
    assert verify.TAMPERED == found(place)


def test_an_edited_body_signed_by_another_key(place: Place) -> None:
    """The same, re-signed by a key that is not the log's, is refused by the policy."""
    ledger = filled(place, 300)
    rewrite(place, ledger, 7, b"forged")
    sign_anew(place, Signer.generate(place.signer.name))

    assert verify.TAMPERED == found(place)


def test_a_history_signed_anew_with_the_stolen_key(place: Place) -> None:
    """With the log's own key a forgery verifies alone; witness, guard and receipt show it."""
    ledger = filled(place, 300)
    watching = witness(place)
    receipt = ledger.record(draft("anna", b"true"))
    checkpoint, honest = ledger.checkpoint()
    assert 200 == watching.add_checkpoint(write_request(0, [], honest)).status
    place.query("DELETE FROM cosigned")
    rewrite(place, ledger, 7, b"forged")
    forged = sign_anew(place, place.signer)
    ledger.close()

    assert 0 == found(place)
    assert verify.TAMPERED == found(place, honest)
    proof = write_request(checkpoint.size, [], forged)
    assert 422 == watching.add_checkpoint(proof).status
    with pytest.raises(IntegrityBroken):
        place.ledger()
    assert opened(receipt.note, place.signer.verifier) != opened(forged, place.signer.verifier)


def test_a_deleted_middle_record(place: Place) -> None:
    """A record deleted from the middle, as it is or with the later ones moved up, is found."""
    ledger = filled(place)
    ledger.close()
    place.query("DELETE FROM part WHERE seq = 11")
    assert verify.UNREADABLE == found(place)
    place.query("DELETE FROM entry WHERE seq = 11")
    assert verify.TAMPERED == found(place)
    for seq in range(12, 30):
        for table in ("entry", "part"):
            place.query(f"UPDATE {table} SET seq = ? WHERE seq = ?", [seq - 1, seq])
    assert verify.TAMPERED == found(place)
    with pytest.raises(IntegrityBroken):
        place.ledger()


def test_a_cut_tail(place: Place) -> None:
    """Records cut from the end are found, for the checkpoint is in the same transaction as they."""
    filled(place).close()
    place.query("DELETE FROM part WHERE seq >= 25")
    place.query("DELETE FROM entry WHERE seq >= 25")

    assert verify.TAMPERED == found(place)
    with pytest.raises(IntegrityBroken):
        place.ledger()


def test_a_tail_that_no_checkpoint_covers(place: Place) -> None:
    """Entries put in after the checkpoint are told as an unsealed tail, and no writer goes on."""
    ledger = filled(place)
    ledger.close()
    row = ledger.row(29)
    entry = row.entry.replace(row.id.hex().encode(), b"f" * 32)
    values = [30, b"\xff" * 16, entry, tree.hash_leaf(entry)]
    place.query("INSERT INTO entry(seq, id, entry, leaf) VALUES (?, ?, ?, ?)", values)
    nonce = place.query("SELECT key_id, nonce, ct FROM part WHERE seq = 29")[0]
    place.query("INSERT INTO part VALUES (30, 0, ?, ?, ?)", list(nonce))

    assert verify.UNSEALED == found(place)
    with pytest.raises(IntegrityBroken):
        place.ledger()


def test_a_running_writer_meets_a_changed_database(place: Place) -> None:
    """A writer that finds its head moved behind its back signs nothing and stops for good."""
    ledger = filled(place)
    place.query("DELETE FROM entry WHERE seq >= 25")
    sign_anew(place, place.signer)
    for _ in range(2):
        with pytest.raises(IntegrityBroken):
            ledger.record(draft())

    assert 25 == place.query("SELECT COUNT(*) FROM entry")[0][0]


def test_a_restored_backup(place: Place) -> None:
    """An old backup verifies alone; guard, witness and a kept checkpoint show it is not newest."""
    ledger = filled(place)
    backup = place.back_up()
    old = ledger.checkpoint()[1]
    ledger.record_many(draft() for _ in range(5))
    _, newest = ledger.checkpoint()
    watching = witness(place)
    watching.add_checkpoint(write_request(0, [], newest))
    place.restore(backup)

    assert 0 == found(place)
    assert verify.TAMPERED == found(place, newest)
    assert 400 == watching.add_checkpoint(write_request(35, [], old)).status
    with pytest.raises(IntegrityBroken) as refused:
        place.ledger()
    assert "smaller than what was signed" in refused.value.what


def test_two_writers_that_fork(place: Place) -> None:
    """A copy of the log that was written on alone is refused by the guard of the other."""
    ledger = filled(place)
    backup = place.back_up()
    ledger.record(draft(content=b"one way"))
    place.restore(backup)
    guard = (place.folder / "guard").read_bytes()
    (place.folder / "guard").unlink()
    for name in ("guard", "other guard"):
        with pytest.raises(IntegrityBroken):
            place.ledger(name)
        (place.folder / name).unlink()
    (place.folder / "guard").write_bytes(guard)
    with pytest.raises(IntegrityBroken):
        place.ledger()


def test_a_fork_of_the_same_length(place: Place) -> None:
    """A database as long as the signed log, with another last record, is refused by the guard."""
    ledger = filled(place)
    guard = (place.folder / "guard").read_bytes()
    backup = place.back_up()
    ledger.record(draft(content=b"one way"))
    newest = (place.folder / "guard").read_bytes()
    place.restore(backup)
    (place.folder / "guard").write_bytes(guard)
    other = place.ledger()
    other.record(draft(content=b"another way"))
    other.close()
    (place.folder / "guard").write_bytes(newest)

    with pytest.raises(IntegrityBroken) as refused:
        place.ledger()
    assert "past is not what was signed" in refused.value.what


def test_a_receipt_from_another_log(place: Place) -> None:
    """A bundle, good in its own log, is not accepted by this log's policy."""
    ledger = filled(place)
    number = ledger.row(3).id
    folder = write_bundle(ledger, number, place.folder / "bundle")
    other = place.folder / "other policy"
    other.write_text(f"log {Signer.generate('example.com/other').verifier.vkey()}\nquorum none\n")
    forged = place.folder / "forged policy"
    forged.write_text(f"log {Signer.generate(ledger.origin).verifier.vkey()}\nquorum none\n")

    assert 0 == verify.verify(folder, policy(place))[0]
    assert verify.CANNOT == verify.verify(folder, other)[0]
    assert verify.TAMPERED == verify.verify(folder, forged)[0]


@pytest.mark.parametrize(
    "act",
    [
        lambda place, _: place.query("DELETE FROM part WHERE seq = 4"),
        lambda _, keys: keys.destroy([keys.of_subject("s1")[0].key_id]),
    ],
    ids=["ciphertext", "key"],
)
def test_a_record_made_unreadable(place: Place, act: Callable[[Place, Any], None]) -> None:
    """Ciphertext or key destroyed without a tombstone is told apart from an erasure."""
    ledger = filled(place)
    number = ledger.row(4).id
    act(place, ledger.keys)

    assert verify.UNREADABLE == found(place, keys=True)
    with pytest.raises(IntegrityBroken):
        ledger.read(number)


def test_a_swapped_part(place: Place) -> None:
    """The encrypted part of one record in another's place is found, and does not decrypt."""
    ledger = filled(place)
    rows = place.query("SELECT key_id, nonce, ct FROM part WHERE seq IN (3, 6) ORDER BY seq")
    for seq, row in zip((6, 3), rows, strict=True):
        place.query("UPDATE part SET key_id = ?, nonce = ?, ct = ? WHERE seq = ?", [*row, seq])

    assert verify.TAMPERED == found(place)
    with pytest.raises(IntegrityBroken):
        ledger.read(ledger.row(3).id)


def test_a_ciphertext_with_two_keys_shows_one_record(place: Place) -> None:
    """A record opened under another key than its own is refused by the salted digest."""
    ledger = filled(place)
    bundle = write_bundle(ledger, ledger.row(3).id, place.folder / "bundle")
    content = (bundle / "record.bin").read_bytes()
    (bundle / "record.bin").write_bytes(content[:32] + content[32:].replace(b"body", b"evil"))

    assert verify.TAMPERED == verify.verify(bundle, policy(place))[0]


def test_a_part_that_opens_as_something_else(place: Place) -> None:
    """An entry that commits to another plaintext than its part holds is refused on reading."""
    ledger = filled(place)
    sealed = seal(draft("anna", b"shown"), ledger.origin, ledger.keys)
    fields = read_entry(sealed.entry)
    other = hashlib.sha256(b"meant").hexdigest()
    entry = sealed.entry.replace(fields["pc"][0].encode(), other.encode())
    ledger.append(replace(sealed, entry=entry, leaf=tree.hash_leaf(entry))).result()

    assert 0 == found(place)
    with pytest.raises(IntegrityBroken):
        ledger.read(sealed.id)


def test_a_changed_leaf_that_the_guard_has_not_seen(place: Place) -> None:
    """A leaf changed after the guard's checkpoint is refused by the signed root itself."""
    ledger = filled(place)
    guard = (place.folder / "guard").read_bytes()
    ledger.record(draft())
    ledger.close()
    (place.folder / "guard").write_bytes(guard)
    place.ledger().close()
    (place.folder / "guard").write_bytes(guard)
    place.query("UPDATE entry SET leaf = ? WHERE seq = 30", [bytes(32)])

    with pytest.raises(IntegrityBroken) as refused:
        place.ledger()
    assert "not the one that was signed" in refused.value.what


@pytest.mark.parametrize(("seq", "n"), [(3, 1), (99, 0), (-1, 0)])
def test_a_part_too_many(place: Place, seq: int, n: int) -> None:
    """An encrypted part that no entry commits to is found, inside the log's range and outside."""
    filled(place).close()
    [row] = place.query("SELECT key_id, nonce, ct FROM part WHERE seq = 4")
    place.query("INSERT INTO part VALUES (?, ?, ?, ?, ?)", [seq, n, *row])

    assert verify.TAMPERED == found(place)
