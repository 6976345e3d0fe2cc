"""The key store in an SQLite file of its own, apart from the ledger and its backups."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pipelines.errors import Unavailable
from pipelines.ledger.key_store import WrappedKey

BUSY_SECONDS: Final = 10.0
# Rows are found and added all over the file: SQLite's own 2 MB would be read and written out again
# and again.
CACHE: Final = "PRAGMA cache_size=-16000"
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS dek(
    key_id BLOB PRIMARY KEY, ref BLOB NOT NULL, bucket TEXT NOT NULL,
    epoch INTEGER NOT NULL, wrapped BLOB NOT NULL, retired INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dek_ref ON dek(ref, bucket);
CREATE TABLE IF NOT EXISTS hold(ref BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generation(one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER);
INSERT OR IGNORE INTO generation VALUES (1, 0);
"""
COLUMNS: Final = "key_id, epoch, wrapped, ref, bucket, retired"
# One statement for many rows costs less than as many statements. It takes one row or AT_ONCE, so
# that two prepared statements are enough; to find, it is filled up with rows that match nothing.
# What fails is rolled back whole, so that SQLite need not keep every page as it was before.
AT_ONCE: Final = 32
FIND: Final = {
    1: f"SELECT value, {COLUMNS} FROM generation"  # noqa: S608 - constants
    " LEFT JOIN dek ON ref = ? AND bucket = ? AND retired = 0",
    AT_ONCE: f"SELECT value, {COLUMNS} FROM generation"  # noqa: S608 - constants
    f" CROSS JOIN (VALUES {', '.join(['(?, ?)'] * AT_ONCE)})"
    " LEFT JOIN dek ON ref = column1 AND bucket = column2 AND retired = 0",
}
AMONG: Final = f"WHERE key_id IN ({', '.join('?' * AT_ONCE)})"
INSERT: Final = {
    count: "INSERT OR FAIL INTO dek VALUES " + ", ".join(["(?, ?, ?, ?, ?, 0)"] * count)  # noqa: S608 - constants
    for count in (1, AT_ONCE)
}
LINK: Final = (
    "UPDATE dek SET ref = ?2, bucket = ?3 WHERE key_id = ?1 AND ref = x'' AND (?4 OR NOT EXISTS"
    " (SELECT 1 FROM dek AS held WHERE held.ref = ?2 AND held.bucket = ?3 AND held.retired = 0))"
)


class SqliteKeyStore:
    """Wrapped keys in one SQLite file, for many threads and processes of one machine.

    Links are written with synchronous=NORMAL: they outlive the process, and the ledger finds
    again, in what the key sealed, those that a power cut took. The rest is synchronous=FULL.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._durable: bool | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.execute(CACHE)
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable("the key store cannot be opened", where=str(path)) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, keys: Sequence[WrappedKey]) -> None:
        rows = [(key.key_id, key.ref, key.bucket, key.epoch, key.wrapped) for key in keys]
        whole = len(rows) - len(rows) % AT_ONCE
        with self._writing(durable=True) as db:
            for at in range(0, whole, AT_ONCE):
                some = chain.from_iterable(rows[at : at + AT_ONCE])
                db.execute(INSERT[AT_ONCE], list(some))
            db.executemany(INSERT[1], rows[whole:])

    def find(
        self, pairs: Sequence[tuple[bytes, str]]
    ) -> tuple[int, dict[tuple[bytes, str], WrappedKey]]:
        generation, found = 0, dict[tuple[bytes, str], WrappedKey]()
        for at in range(0, len(pairs), AT_ONCE):
            some = pairs[at : at + AT_ONCE]
            filler = [(None, None)] * (AT_ONCE - len(some)) if len(pairs) > 1 else []
            asked = [*some, *filler]
            rows = self._fetch(FIND[len(asked)], list(chain.from_iterable(asked)))
            generation = generation if at else rows[0][0]
            found |= {(row[4], row[5]): _key(row[1:]) for row in rows if row[1] is not None}
        return generation, found

    def drop_spare(self, key_ids: Sequence[bytes]) -> None:
        rows = [(each,) for each in key_ids]
        with self._writing(durable=False) as db:
            db.executemany("DELETE FROM dek WHERE key_id = ? AND ref = x''", rows)

    def link(self, keys: Sequence[tuple[bytes, bytes, str]], *, beside: bool = False) -> set[bytes]:
        with self._writing(durable=False, whole=len(keys) > 1) as db:
            done = db.executemany(LINK, [(*key, beside) for key in keys])
        if done.rowcount == len(keys):
            return set()
        statement = "SELECT 1 FROM dek WHERE key_id = ? AND ref = ? AND bucket = ?"
        return {key[0] for key in keys if not self._fetch(statement, key)}

    def key(self, key_id: bytes) -> WrappedKey | None:
        rows = self._rows("WHERE key_id = ?", (key_id,))
        return rows[0] if rows else None

    def keys(self, key_ids: Sequence[bytes]) -> list[WrappedKey]:
        found = list[WrappedKey]()
        for at in range(0, len(key_ids), AT_ONCE):
            some = key_ids[at : at + AT_ONCE]
            found += self._rows(AMONG, (*some, *[None] * (AT_ONCE - len(some))))
        return found

    def select(self, *, ref: bytes | None = None, bucket: str | None = None) -> list[WrappedKey]:
        wanted = {"ref": ref, "bucket": bucket}
        asked = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in asked)
        return self._rows(f"WHERE {where}" if where else "", tuple(asked.values()))

    def rewrap(self, keys: Iterable[WrappedKey], epoch: int = 0) -> None:  # noqa: ARG002
        rows = [(key.epoch, key.wrapped, key.key_id) for key in keys]
        with self._writing(durable=True) as db:
            db.executemany("UPDATE dek SET epoch = ?, wrapped = ? WHERE key_id = ?", rows)
        self._truncate()

    def retire(self, key_ids: Sequence[bytes]) -> None:
        rows = [(each,) for each in key_ids]
        with self._writing(durable=True) as db:
            db.executemany("UPDATE dek SET retired = 1 WHERE key_id = ?", rows)
            db.execute("UPDATE generation SET value = value + 1")

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        with self._writing(durable=True) as db:
            db.executemany("DELETE FROM dek WHERE key_id = ?", [(each,) for each in key_ids])
            db.execute("UPDATE generation SET value = value + 1")
        # secure_delete clears a deleted row's cell, but a page that was rebalanced keeps copies of
        # its former cells in the space between; only writing the file anew leaves them behind.
        self._fetch("VACUUM")
        self._truncate()

    def generation(self) -> int:
        return int(self._fetch("SELECT value FROM generation")[0][0])

    def set_hold(self, ref: bytes, reason: str) -> None:
        with self._writing(durable=True) as db:
            db.execute("DELETE FROM hold WHERE ref = ?", (ref,))
            if reason:
                db.execute("INSERT INTO hold VALUES (?, ?)", (ref, reason))

    def holds(self) -> list[tuple[bytes, str]]:
        return [(row[0], str(row[1])) for row in self._fetch("SELECT ref, reason FROM hold")]

    def hold(self, ref: bytes) -> str:
        rows = self._fetch("SELECT reason FROM hold WHERE ref = ?", (ref,))
        return str(rows[0][0]) if rows else ""

    def may_destroy(self) -> bool:
        return True

    def exclusively(self, purpose: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()  # the file is one machine's, and that has locks of its own

    def _truncate(self) -> None:
        """Empty the write-ahead log, which else keeps deleted rows; readers may hold it up."""
        self._fetch("PRAGMA wal_checkpoint(TRUNCATE)")

    def _rows(self, where: str, values: tuple[object, ...]) -> list[WrappedKey]:
        rows = self._fetch(f"SELECT {COLUMNS} FROM dek {where}", values)  # noqa: S608 - constants
        return [_key(row) for row in rows]

    def _fetch(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable("the key store does not answer") from error

    @contextmanager
    def _writing(self, *, durable: bool, whole: bool = True) -> Iterator[sqlite3.Connection]:
        """Open a transaction, unless what is to be written is one statement: that is `whole`."""
        try:
            with self._lock:
                if durable != self._durable:
                    self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    self._durable = durable
                if whole:
                    self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    if whole:
                        self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise Unavailable("the key store cannot write") from error


def _key(row: Sequence[Any]) -> WrappedKey:
    key_id, epoch, wrapped, ref, bucket, retired = row
    return WrappedKey(key_id, epoch, wrapped, ref, bucket, bool(retired))
