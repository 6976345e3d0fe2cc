"""What a third party is handed: the bundle of one decision, a log's tiles, or a copy of a log."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest, Erased
from pipelines.ledger import verify
from pipelines.ledger.entry import read_entry
from pipelines.ledger.key_store import KeyStore
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import Store
from pipelines.ledger.tiles import pack_entries, tile_path, tile_widths

COPIED: Final = {
    "entry": "seq INTEGER, id BLOB, entry BLOB, leaf BLOB",
    "part": "seq INTEGER, n INTEGER, key_id BLOB, nonce BLOB, ct BLOB",
    "erased": "seq INTEGER, n INTEGER, tombstone BLOB, place INTEGER, salt BLOB, path BLOB",
    "tile": "level INTEGER, n INTEGER, root BLOB, hashes BLOB",
    "checkpoint": "size INTEGER, note TEXT",
    "cosigned": "size INTEGER, note TEXT",
}


def copy_keys(store: KeyStore, path: Path) -> Path:
    """Write which data keys there are, and no key, as the SQLite file that the verifier reads."""
    db = sqlite3.connect(path)
    try:
        db.execute("CREATE TABLE dek(key_id BLOB)")
        db.executemany("INSERT INTO dek VALUES (?)", ((key.key_id,) for key in store.select()))
        db.commit()
    finally:
        db.close()
    return path


def write_bundle(
    ledger: Ledger, number: bytes, folder: Path, *, disclose: bool = True, note: str | None = None
) -> Path:
    """Write the bundle of one entry: entry, proof, the one-file verifier, and its bodies.

    Each body goes into ``record.bin`` (``record.1.bin`` and on) as it was hashed, unless
    `disclose` is off; of erased ones, the tombstone that counts them. `note` is the checkpoint to
    prove it under, such as a cosigned one. Raises NotThere, IntegrityBroken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BadRequest("a folder that is not empty", where=str(folder))
    index = ledger.find(number)
    row = ledger.row(index)
    _write_entry(folder, "entry.json", "proof.tlog-proof", row.entry, ledger, index, note)
    shutil.copyfile(verify.__file__, folder / "verify.py")
    for n in range(len(read_entry(row.entry)["ct"]) if disclose else 0):
        try:
            record = ledger.read(number, n).frame
        except Erased:
            continue
        (folder / ("record.bin" if n == 0 else f"record.{n}.bin")).write_bytes(record)
    _write_erased(ledger, index, folder, note)
    return folder


def _write_entry(
    folder: Path, name: str, proof: str, entry: bytes, ledger: Ledger, index: int, note: str | None
) -> None:
    (folder / name).write_bytes(entry)
    (folder / proof).write_text(ledger.proof(index, note).text())


def _write_erased(ledger: Ledger, index: int, folder: Path, note: str | None) -> None:
    erased = list(ledger.store.erased(index, index + 1))
    if not erased:
        return
    seq = ledger.find(erased[0].tombstone)
    tombstone = ledger.row(seq).entry
    _write_entry(folder, "tombstone.json", "tombstone.tlog-proof", tombstone, ledger, seq, note)
    openings = [
        {"n": each.n, "place": each.place, "salt": each.salt.hex(), "path": each.path.hex()}
        for each in erased
        if each.tombstone == erased[0].tombstone
    ]
    (folder / "erased.json").write_text(json.dumps(openings))


def write_tiles(store: Store, note: str, size: int, folder: Path) -> None:
    """Write a checkpoint, its tiles and entry bundles as C2SP tlog-tiles serves them."""
    level = 0
    while size >> 8 * level:
        for n, width in tile_widths(size, level):
            _write(folder / tile_path(level, n, width), store.tile(level, n, width))
        level += 1
    for n, width in tile_widths(size):
        entries = [row.entry for row in store.rows(n * 256, n * 256 + width)]
        _write(folder / tile_path("entries", n, width), pack_entries(entries))
    _write(folder / "checkpoint", note.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def copy_log(store: Store, path: Path) -> None:
    """Copy every row of a log, as of one moment, into a new SQLite file for the verifier.

    Nothing is checked or mended on the way: what is wrong in the log is wrong in the copy.
    """
    if path.exists():
        raise BadRequest("a file that exists", where=str(path))
    with store.snapshot() as read, sqlite3.connect(path, isolation_level=None) as copy:
        copy.execute("PRAGMA synchronous=OFF")
        copy.execute("BEGIN")
        for table, columns in COPIED.items():
            copy.execute(f"CREATE TABLE {table}({columns})")
            marks = ", ".join("?" * len(columns.split(",")))
            rows = read(table, [column.split()[0] for column in columns.split(", ")])
            copy.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
        copy.execute("CREATE INDEX entry_id ON entry(id)")
        copy.execute("COMMIT")
    copy.close()
