"""The one-file verifier gives each finding its own exit code, and needs nothing of the project."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadRequest, NotThere
from pipelines.ledger import tree, verify
from pipelines.ledger.bundle import copy_log, write_bundle, write_tiles
from pipelines.ledger.entry import Body, Draft, unframe
from pipelines.ledger.erasure import erase, plan
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Algorithm, Checkpoint, Signer
from tests.ledger import vectors
from tests.ledger.places import FACTS, Place, SqlitePlace, draft


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return SqlitePlace(tmp_path)


def filled(place: Place, count: int = 9) -> Ledger:
    ledger = place.ledger()
    ledger.record_many(draft(f"s{n % 3}", b"body %d" % n) for n in range(count))
    return ledger


def bundle(place: Place, ledger: Ledger, index: int = 4, **options: Any) -> Path:
    folder = place.folder / "bundle"
    return write_bundle(ledger, ledger.row(index).id, folder, **options)


def code(what: Path, place: Place, *known: Path, keys: Path | None = None) -> int:
    return verify.verify(what, place.policy, known, keys)[0]


def test_it_stands_alone(place: Place) -> None:
    """The copy in a bundle runs by itself, away from the project, and finds the bundle fine."""
    folder = bundle(place, filled(place))
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", ".", "--policy", str(place.policy)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={},
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("fine: entry 4 of example.com/decisions")


def test_it_imports_the_standard_library_and_cryptography_only() -> None:
    """No import in the verifier names anything else."""
    parsed = ast.parse(Path(verify.__file__).read_text())
    names = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else name.name
        for node in ast.walk(parsed)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    }

    assert {"cryptography"} == names - set(sys.stdlib_module_names)


def test_a_disclosed_record_is_what_was_recorded(place: Place) -> None:
    """record.bin holds the recorded bytes behind its salt and label."""
    folder = bundle(place, filled(place))

    assert b"body 4" == unframe((folder / "record.bin").read_bytes()).content
    assert 0 == code(folder, place)


def test_a_bundle_need_not_disclose(place: Place) -> None:
    """A bundle without the record proves the entry alone."""
    folder = bundle(place, filled(place), disclose=False)

    assert not (folder / "record.bin").exists()
    assert 0 == code(folder, place)


def test_two_people_two_records(place: Place) -> None:
    """A bundle of a record about two people holds both, and either can be left out."""
    ledger = place.ledger()
    bodies = (Body("anna", "decision", b"of anna"), Body("ben", "decision", b"of ben"))
    number = ledger.record(Draft("decision", FACTS, bodies)).id
    folder = write_bundle(ledger, number, place.folder / "both")

    assert 0 == code(folder, place)
    (folder / "record.bin").unlink()
    assert 0 == code(folder, place)
    (folder / "record.1.bin").write_bytes(b"forged")
    assert verify.TAMPERED == code(folder, place)


@pytest.mark.parametrize("name", ["entry.json", "record.bin", "proof.tlog-proof"])
def test_no_byte_of_a_bundle_can_change(place: Place, name: str) -> None:
    """Every flipped bit in a bundle's files ends in "tampered" or "cannot", never in "fine"."""
    path = bundle(place, filled(place)) / name
    good = path.read_bytes()
    codes = []
    for at in range(0, len(good) - (name == "proof.tlog-proof"), 3):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        codes.append(code(path.parent, place))

    assert {verify.TAMPERED, verify.CANNOT} >= set(codes)
    assert codes.count(verify.TAMPERED) >= len(codes) - 20


@pytest.mark.parametrize("end", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
def test_a_line_ends_in_one_way(place: Place, end: bytes) -> None:
    """Other ends of lines are other bytes, though a text editor shows the same."""
    proof = bundle(place, filled(place)) / "proof.tlog-proof"
    proof.write_bytes(proof.read_bytes().replace(b"\n", end))
    assert verify.TAMPERED == code(proof.parent, place)


def test_what_a_bundle_discloses_is_all_proven(place: Place) -> None:
    """A file that looks like a record of the entry and is none of its parts is tampering."""
    folder = bundle(place, filled(place))
    for name in ("record.1.bin", "record.json"):
        (folder / name).write_bytes(b"forged")
        assert verify.TAMPERED == code(folder, place)
        (folder / name).unlink()
    assert 0 == code(folder, place)


@pytest.mark.parametrize("name", ["record.bin", "proof.tlog-proof", "entry.json"])
def test_a_file_without_an_end_is_not_read(place: Place, name: str) -> None:
    """A pipe, a device, or more than memory holds in a bundle's place: it cannot be verified."""
    file = bundle(place, filled(place)) / name
    file.unlink()
    file.symlink_to("/dev/zero")
    assert verify.CANNOT == code(file.parent, place)
    file.unlink()
    os.mkfifo(file)
    assert verify.CANNOT == code(file.parent, place)
    file.unlink()
    with file.open("wb") as sparse:
        sparse.truncate(verify.LARGEST + 1)
    assert verify.CANNOT == code(file.parent, place)


@pytest.mark.parametrize("index", [False, True])
def test_two_entries_under_one_id(place: Place, index: bool) -> None:
    """Whoever signs a log cannot keep two records under one id and show either.

    Neither with an index that says that the ids are unique.
    """
    ledger, copy = filled(place), place.folder / "copy.db"
    copy_log(ledger.store, copy)
    with sqlite3.connect(copy) as db:
        db.execute("CREATE TABLE other AS SELECT * FROM entry ORDER BY seq")
        db.execute("DROP TABLE entry")
        db.execute("ALTER TABLE other RENAME TO entry")
        rows = db.execute("SELECT seq, id, entry FROM entry").fetchall()
        (_, one, _), (seq, two, entry) = rows[2], rows[5]
        entry = entry.replace(two.hex().encode(), one.hex().encode())
        change = "UPDATE entry SET id = ?, entry = ?, leaf = ? WHERE seq = ?"
        db.execute(change, (one, entry, tree.hash_leaf(entry), seq))
        leaves = [tree.hash_leaf(entry if at == seq else old) for at, _, old in rows]
        head = Checkpoint(ledger.origin, len(rows), tree.grow(0, {}, leaves).root())
        db.execute("UPDATE checkpoint SET note = ?", (head.signed(place.signer),))
        if index:
            db.execute("ALTER TABLE entry ADD COLUMN other")
            db.execute("UPDATE entry SET other = seq")
            db.execute("CREATE UNIQUE INDEX told ON entry(other)")
            db.execute("PRAGMA writable_schema=ON")
            told = "CREATE UNIQUE INDEX told ON entry(id)"
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'told'", (told,))
    found = verify.verify(copy, place.policy)
    assert (verify.TAMPERED, "two entries have one id") == found


def test_a_byte_moved_from_one_column_of_a_part_to_the_next(place: Place) -> None:
    """A part whose columns are cut elsewhere has the same digest, and opens no more: not fine."""
    copy = place.folder / "copy.db"
    copy_log(filled(place).store, copy)
    with sqlite3.connect(copy) as db:
        nonce = "CAST(substr(key_id, length(key_id)) || nonce AS BLOB)"
        change = f"key_id = substr(key_id, 1, length(key_id) - 1), nonce = {nonce}"
        db.execute(f"UPDATE part SET {change} WHERE seq = 3")  # noqa: S608 - constants
    found, text = verify.verify(copy, place.policy)
    assert (verify.UNREADABLE, True) == (found, text.startswith("1 records unreadable"))


def test_a_key_of_a_log_is_no_witness(place: Place) -> None:
    """A log cannot be named as the witness of itself: its signatures hold no time."""
    folder, vkey = bundle(place, filled(place)), place.signer.verifier.vkey()
    policy = place.folder / "its own witness"
    policy.write_text(f"log {vkey}\nwitness w {vkey}\nquorum w\n")
    assert verify.CANNOT == verify.verify(folder, policy)[0]


def test_what_cannot_be_verified(place: Place) -> None:
    """A missing file, policy or quorum, and another log's origin, end in "cannot verify"."""
    folder = bundle(place, filled(place))
    log = f"log {place.signer.verifier.vkey()}\n"
    other = f"log {Signer.generate('example.com/other').verifier.vkey()}\n"
    witness = f"witness w {Signer.generate('w', Algorithm.COSIGNATURE).verifier.vkey()}\n"
    policies = [
        "",
        log,
        other + "quorum none",
        log + witness + "quorum w",
        log + "quorum x",
        "log x\nquorum none",
        log + witness + "group g 2 w\nquorum g",
        "quorum none",
    ]
    policy = place.folder / "other policy"
    codes = []
    for text in policies:
        policy.write_text(text)
        codes.append(verify.verify(folder, policy)[0])
    codes += [verify.verify(folder, folder / "none")[0], code(place.folder / "nothing", place)]
    (folder / "proof.tlog-proof").unlink()

    assert {verify.CANNOT} == {*codes, code(folder, place)}


def test_a_wrong_command_line_is_no_finding(place: Place) -> None:
    """A usage error ends in "cannot verify", not in the code of an unsealed tail."""
    with pytest.raises(SystemExit) as ended:
        verify.main(["--nonsense"])

    assert verify.CANNOT == ended.value.code


def test_a_forged_signature_is_tampering(place: Place) -> None:
    """A checkpoint of the right origin signed by another key is tampered with."""
    folder = bundle(place, filled(place))
    place.policy.rename(place.folder / "kept")
    key = Signer.generate(place.signer.name).verifier.vkey()
    policy = place.folder / "forged"
    policy.write_text(f"log {key}\nquorum none\n")

    assert verify.TAMPERED == verify.verify(folder, policy)[0]


def test_a_whole_log(place: Place) -> None:
    """A log in its database, in a copy and in tiles is fine, at sizes around a tile's edge."""
    ledger = place.ledger()
    for number, size in enumerate([1, 255, 256, 257, 600]):
        ledger.record_many(draft() for _ in range(size - ledger.checkpoint()[0].size))
        checkpoint, note = ledger.checkpoint()
        copy_log(ledger.store, place.folder / f"copy{number}")
        write_tiles(ledger.store, note, checkpoint.size, place.folder / f"tiles{number}")

        assert 0 == code(place.folder / "ledger.db", place, keys=place.folder / "keys.db")
        assert 0 == code(place.folder / f"copy{number}", place)
        assert 0 == code(place.folder / f"tiles{number}", place)


def test_no_byte_of_the_tiles_can_change(place: Place) -> None:
    """A flipped bit in any file of a tile folder is found, and so is a missing file."""
    ledger = filled(place, 300)
    checkpoint, note = ledger.checkpoint()
    folder = place.folder / "tiles"
    write_tiles(ledger.store, note, checkpoint.size, folder)
    codes = set()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        good = path.read_bytes()
        for at in (0, len(good) // 2, len(good) - 1):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            codes.add(code(folder, place))
        path.unlink()
        assert verify.CANNOT == code(folder, place)
        path.write_bytes(good)

    assert {verify.TAMPERED, verify.CANNOT} >= codes
    assert 0 == code(folder, place)


def test_an_erased_record(place: Place) -> None:
    """The bundle of an erased record says so, by a tombstone that is in the same log."""
    ledger = filled(place)
    number = ledger.row(4).id
    erase(ledger, plan(ledger, "s1"), "request of the person")
    folder = write_bundle(ledger, number, place.folder / "erased")

    assert verify.ERASED == code(folder, place)
    assert not (folder / "record.bin").exists()
    assert 0 == code(place.folder / "ledger.db", place, keys=place.folder / "keys.db")


@pytest.mark.parametrize("field", ["n", "place", "salt", "path"])
def test_a_tombstone_that_does_not_count_the_record(place: Place, field: str) -> None:
    """An erased record whose opening does not fit the tombstone is unreadable without one."""
    ledger = filled(place)
    erase(ledger, plan(ledger, "s1"), "request")
    folder = write_bundle(ledger, ledger.row(4).id, place.folder / "erased")
    opening = json.loads((folder / "erased.json").read_text())
    value = opening[0][field]
    opening[0][field] = value + 1 if isinstance(value, int) else "00" + value[2:]
    (folder / "erased.json").write_text(json.dumps(opening))

    assert verify.UNREADABLE == code(folder, place)


def test_another_records_tombstone(place: Place) -> None:
    """The tombstone of one record does not excuse another that is missing."""
    ledger = filled(place)
    erase(ledger, plan(ledger, "s1"), "request")
    erased = write_bundle(ledger, ledger.row(4).id, place.folder / "erased")
    other = write_bundle(ledger, ledger.row(5).id, place.folder / "other", disclose=False)
    for name in ("erased.json", "tombstone.json", "tombstone.tlog-proof"):
        shutil.copyfile(erased / name, other / name)

    assert verify.UNREADABLE == code(other, place)


def test_a_lost_key(place: Place) -> None:
    """A data key that is gone without a tombstone is found when the key store is shown."""
    ledger = filled(place)
    ledger.keys.destroy([ledger.keys.of_subject("s1")[0].key_id])

    assert 0 == code(place.folder / "ledger.db", place)
    found = code(place.folder / "ledger.db", place, keys=place.folder / "keys.db")
    assert verify.UNREADABLE == found


def test_a_bundle_is_written_once(place: Place) -> None:
    """A bundle goes into an empty folder only, and for an entry that exists."""
    ledger = filled(place)
    bundle(place, ledger)
    with pytest.raises(BadRequest):
        bundle(place, ledger)
    with pytest.raises(NotThere):
        write_bundle(ledger, b"0" * 16, place.folder / "none")


@pytest.mark.parametrize("vector", vectors.inclusion(), ids=lambda v: v["desc"])
def test_inclusion_vectors(vector: vectors.Vector) -> None:
    """The verifier's own proof check accepts and refuses each vector as it says."""
    hashes = [vectors.unb64(line) for line in vector["proof"]]
    leaf, root = vectors.unb64(vector["leafHash"]), vectors.unb64(vector["root"])
    try:
        seen = verify.root_by_path(vector["leafIdx"], vector["treeSize"], leaf, hashes)
        refused = seen != root
    except verify.Finding:
        refused = True

    assert vector["wantErr"] == refused


@pytest.mark.parametrize("size", [*range(20), 255, 256, 257, 1000])
def test_its_tree_is_the_recursive_one(size: int) -> None:
    """The verifier's own tree has the root of the recursive definition."""
    tree = verify.Tree([size])
    entries = [b"%d" % number for number in range(size)]
    leaves = [verify.sha256(b"\0" + entry) for entry in entries]
    for at in range(0, size, 97):
        tree.extend(leaves[at : at + 97])

    assert vectors.mth(entries) == tree.roots[size]


def test_a_log_that_is_being_written(place: Place) -> None:
    """A log is verified, and copied, as of one moment while it is written to."""
    ledger = place.ledger()
    going = threading.Event()

    def write() -> None:
        while not going.is_set():
            ledger.record_many(draft() for _ in range(5))

    writer = threading.Thread(target=write)
    writer.start()
    codes = []
    for number in range(15):
        copy_log(ledger.store, place.folder / f"live{number}")
        codes += [
            code(place.folder / "ledger.db", place),
            code(place.folder / f"live{number}", place),
        ]
    going.set()
    writer.join()

    assert [0] * 30 == codes


@pytest.mark.parametrize("order", ["ORDER BY seq DESC", ""])
def test_parts_stored_in_another_order(place: Place, order: str) -> None:
    """Parts that stand in another order than their entries are matched; one there twice is not."""
    ledger, copy = filled(place, 600), place.folder / "copy"
    copy_log(ledger.store, copy)
    with sqlite3.connect(copy) as db:
        db.execute(f"CREATE TABLE moved AS SELECT * FROM part {order}")  # noqa: S608 - ours
        if order:
            db.execute("DELETE FROM part")
        db.execute("INSERT INTO part SELECT * FROM moved")
    db.close()

    assert (verify.FINE if order else verify.TAMPERED) == code(copy, place)
