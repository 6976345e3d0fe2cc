"""The ledger's store in SQLite and in PostgreSQL: one schema, insert and select only to write.

Only whole tiles are kept, each with its root: a partial tile is leaves of `entry`, or roots of
the level below. A trigger keeps the newest checkpoint alone, and refuses one that goes back.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.ledger.entry import Erased, Part
from pipelines.ledger.guard import FileLock
from pipelines.ledger.store import (
    Addition,
    AlreadyRecorded,
    ReadRaw,
    Row,
    Stopped,
    StoredPart,
    Tile,
)
from pipelines.ledger.tiles import WIDTH

PAGE: Final = 2048
# A sealed record of two kilobytes would leave half of each page of 4096 bytes empty.
BYTES_A_PAGE: Final = 8192
BUSY_SECONDS: Final = 10.0
# SQLite's own 2 MB are less than a batch of a thousand: pages would be written twice.
CACHE: Final = "PRAGMA cache_size=-16000"
SQLITE_BUSY, SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB = 5, 10, 11, 26
DUPLICATE_CODES: Final = (1555, 2067)

COLUMNS: Final = {
    "entry": ("seq", "id", "entry", "leaf"),
    "part": ("seq", "n", "key_id", "nonce", "ct"),
    "erased": ("seq", "n", "tombstone", "place", "salt", "path"),
    "tile": ("level", "n", "root", "hashes"),
    "checkpoint": ("size", "note"),
}
# Each step of a statement lets go of Python's lock, and the threads that wait for the commit take
# it; rows that go in together cost one step. A statement that may fail half done would have SQLite
# copy every page before it is changed; there is no need, for whatever fails, all is rolled back.
AT_ONCE: Final = 16
INSERTS: Final = {
    (table, count): f"INSERT OR FAIL INTO {table}({', '.join(columns)}) VALUES "  # noqa: S608
    + ", ".join([f"({', '.join('?' * len(columns))})"] * count)
    for table, columns in COLUMNS.items()
    for count in (1, AT_ONCE)
}

SQLITE_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry(
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, entry BLOB NOT NULL, leaf BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS part(
    seq INTEGER NOT NULL, n INTEGER NOT NULL, key_id BLOB NOT NULL, nonce BLOB NOT NULL,
    ct BLOB NOT NULL, PRIMARY KEY (seq, n));
CREATE INDEX IF NOT EXISTS part_key ON part(key_id);
CREATE TABLE IF NOT EXISTS erased(
    seq INTEGER NOT NULL, n INTEGER NOT NULL, tombstone BLOB NOT NULL, place INTEGER NOT NULL,
    salt BLOB NOT NULL, path BLOB NOT NULL, PRIMARY KEY (seq, n));
CREATE TABLE IF NOT EXISTS tile(
    level INTEGER NOT NULL, n INTEGER NOT NULL, root BLOB NOT NULL, hashes BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS tile_root ON tile(level, n, root);
CREATE TABLE IF NOT EXISTS checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cosigned(
    size INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (size, note));
CREATE TRIGGER IF NOT EXISTS checkpoint_newest AFTER INSERT ON checkpoint BEGIN
    SELECT RAISE(ABORT, 'a checkpoint that goes back')
        WHERE EXISTS (SELECT 1 FROM checkpoint WHERE size > NEW.size);
    DELETE FROM checkpoint WHERE size < NEW.size;
END;
"""


class SqlReads:
    """What a store reads, in SQL that both databases understand; ``?`` marks a value."""

    @abstractmethod
    def _fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query. Raises Unavailable."""

    def note(self) -> str | None:
        rows = self._fetch("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        return str(rows[0][0]) if rows else None

    def next_seq(self) -> int:
        return int(self._fetch("SELECT COALESCE(MAX(seq), -1) + 1 FROM entry")[0][0])

    def tile(self, level: int, n: int, width: int) -> bytes:
        if width == WIDTH:
            whole = self._fetch("SELECT hashes FROM tile WHERE level = ? AND n = ?", (level, n))
            if whole:
                return bytes(whole[0][0])
        leaves = "SELECT leaf FROM entry WHERE 0 = ? AND seq >= ? AND seq < ? ORDER BY seq"
        roots = "SELECT root FROM tile WHERE level = ? - 1 AND n >= ? AND n < ? ORDER BY n"
        values = (level, n * WIDTH, n * WIDTH + width)
        return b"".join(bytes(row[0]) for row in self._fetch(roots if level else leaves, values))

    def seq_of(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for number in ids:
            rows = self._fetch("SELECT seq FROM entry WHERE id = ?", (number,))
            if rows:
                found[number] = int(rows[0][0])
        return found

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        query = "SELECT seq, id, entry, leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
        for row in self._paged(query, start, stop):
            yield Row(row[0], bytes(row[1]), bytes(row[2]), bytes(row[3]))

    def parts(self, start: int, stop: int) -> Iterator[StoredPart]:
        query = (
            "SELECT seq, n, key_id, nonce, ct FROM part WHERE seq >= ? AND seq < ? ORDER BY seq, n"
        )
        for seq, n, *part in self._paged(query, start, stop):
            yield seq, n, Part(*(bytes(each) for each in part))

    def erased(self, start: int, stop: int) -> Iterator[Erased]:
        query = (
            "SELECT seq, n, tombstone, place, salt, path FROM erased"
            " WHERE seq >= ? AND seq < ? ORDER BY seq, n"
        )
        for seq, n, tombstone, place, salt, path in self._paged(query, start, stop):
            yield Erased(seq, n, bytes(tombstone), place, bytes(salt), bytes(path))

    def tiles(self) -> Iterator[Tile]:
        for level, n in self._fetch("SELECT level, n FROM tile ORDER BY level, n"):
            query = "SELECT root, hashes FROM tile WHERE level = ? AND n = ?"
            for root, hashes in self._fetch(query, (level, n)):
                yield level, n, bytes(root), bytes(hashes)

    def parts_under(self, key_ids: Sequence[bytes]) -> list[tuple[int, int]]:
        query = "SELECT seq, n FROM part WHERE key_id = ? ORDER BY seq, n"
        return [(seq, n) for key_id in key_ids for seq, n in self._fetch(query, (key_id,))]

    def cosigned(self) -> list[tuple[int, str]]:
        rows = self._fetch("SELECT size, note FROM cosigned ORDER BY size, LENGTH(note)")
        return [(size, note) for size, note in rows]

    def _paged(self, query: str, start: int, stop: int) -> Iterator[tuple[Any, ...]]:
        for at in range(start, stop, PAGE):
            rows = self._fetch(query, (at, min(at + PAGE, stop)))
            if not rows and at > self.next_seq():
                return
            yield from rows


class _SqliteWriting(SqlReads):
    """A transaction on the writer's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, values).fetchall()

    def execute(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run one statement for each row of values."""
        self._db.executemany(statement, rows)

    def add(self, addition: Addition) -> None:
        for table, rows in rows_of(addition).items():
            whole = len(rows) - len(rows) % AT_ONCE
            for at in range(0, whole, AT_ONCE):
                values = list(chain.from_iterable(rows[at : at + AT_ONCE]))
                self._db.execute(INSERTS[table, AT_ONCE], values)
            for row in rows[whole:]:
                self._db.execute(INSERTS[table, 1], row)


class SqliteStore(SqlReads):
    """The ledger in one SQLite file: WAL, synchronous=FULL, for processes of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._writer_lock = threading.Lock()
        self._errors = SqliteErrors(str(path))
        with self._errors:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._queue = os.open(
                path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600
            )
            # SQLite's own waiting behind other processes sleeps and is unfair.
            self._in_line = FileLock(self._queue)
            self._writer = self._connect()
            self._writer.execute(f"PRAGMA page_size={BYTES_A_PAGE}")
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA secure_delete=ON")
            self._writer.execute(CACHE)
            self._writer.executescript(SQLITE_SCHEMA)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only=ON")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA synchronous=FULL")
        return db

    @contextmanager
    def writing(self) -> Iterator[_SqliteWriting]:
        with self._writer_lock, self._in_line, self._errors:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteWriting(self._writer)
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._commit()

    def _commit(self) -> None:
        """Commit; after any failure but "busy" nobody knows what is on disk: stop for good."""
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if _code(error) & 0xFF == SQLITE_BUSY and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
                raise
            raise Stopped("a commit failed", where=str(self._path), observed=str(error)) from error

    def may_erase(self) -> bool:
        return True

    def delete_parts(self, parts: Sequence[tuple[int, int]]) -> None:
        """Delete encrypted parts, also from the write-ahead log."""
        with self.writing() as writing:
            writing.execute("DELETE FROM part WHERE seq = ? AND n = ?", parts)
        self.truncate()

    def truncate(self) -> None:
        """Empty the write-ahead log, which else keeps deleted rows; readers may hold it up."""
        with self._writer_lock, self._errors:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def add_cosigned(self, size: int, note: str) -> None:
        statement = "INSERT OR IGNORE INTO cosigned(size, note) VALUES (?, ?)"
        with self.writing() as writing:
            writing.execute(statement, [(size, note)])

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        os.close(self._queue)

    @contextmanager
    def snapshot(self) -> Iterator[ReadRaw]:
        with self._errors:
            own = self._connect()
            own.execute("BEGIN")
            try:
                yield lambda table, columns: own.execute(select_all(table, columns))
            finally:
                own.close()

    def _fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._errors:
            return self._reader.execute(statement, values).fetchall()


def select_all(table: str, columns: Sequence[str]) -> str:
    """Return the query for every row of a table, in order."""
    return f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2"  # noqa: S608 - constants


def rows_of(addition: Addition) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that an addition puts into each table."""
    numbered = list(enumerate(addition.sealed, start=addition.first))
    return {
        "entry": [(seq, one.id, one.entry, one.leaf) for seq, one in numbered],
        "part": [
            (seq, n, part.key_id, part.nonce, part.ciphertext)
            for seq, one in numbered
            for n, part in enumerate(one.parts)
        ],
        "erased": [
            (each.seq, each.n, each.tombstone, each.place, each.salt, each.path)
            for one in addition.sealed
            for each in one.erased
        ],
        "tile": [(level, n, root, hashes) for level, n, root, hashes in addition.tiles],
        "checkpoint": [(addition.size, addition.note)],
    }


class SqliteErrors(AbstractContextManager[None]):
    """Turns what SQLite and the file system raise into the ledger's own errors."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _translated(error, self._where) from error
        if isinstance(error, OSError):
            raise Unavailable("the ledger cannot be opened", where=self._where) from error


def _translated(error: sqlite3.Error, where: str) -> Exception:
    code = _code(error)
    if code in DUPLICATE_CODES:
        return AlreadyRecorded("an entry with this id is recorded already")
    if code & 0xFF in (SQLITE_CORRUPT, SQLITE_NOTADB):
        return IntegrityBroken("the ledger's file is damaged", where=where, observed=str(error))
    if code & 0xFF == SQLITE_IOERR:
        return Stopped("reading or writing failed", where=where, observed=str(error))
    return Unavailable("the ledger does not answer", where=where, observed=str(error))


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0)
