"""The key store in PostgreSQL, in a database of its own, for processes on several machines.

PostgreSQL keeps deleted and replaced rows for a time: in the heap until it is vacuumed, in the
write-ahead log and in backups. What is left there of a destroyed key is wrapped by a key-encryption
key that the rotation destroys, beside a keyed hash of the person.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from pipelines.adapters.postgres_ledger import Array, ArrayDumper
from pipelines.errors import Unavailable
from pipelines.ledger.key_store import WrappedKey

Connection = psycopg.Connection[Any]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS dek(
    key_id bytea PRIMARY KEY, ref bytea NOT NULL, bucket text NOT NULL,
    epoch integer NOT NULL, wrapped bytea NOT NULL, retired boolean NOT NULL DEFAULT false)
    WITH (autovacuum_vacuum_scale_factor = 0);
CREATE INDEX IF NOT EXISTS dek_ref ON dek(ref, bucket);
CREATE TABLE IF NOT EXISTS hold(ref bytea PRIMARY KEY, reason text NOT NULL);
CREATE TABLE IF NOT EXISTS generation(
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    value bigint NOT NULL DEFAULT 0, epoch integer NOT NULL DEFAULT 0);
INSERT INTO generation DEFAULT VALUES ON CONFLICT DO NOTHING;
ALTER TABLE dek ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS seen ON dek;
CREATE POLICY seen ON dek FOR SELECT USING (true);
DROP POLICY IF EXISTS made ON dek;
CREATE POLICY made ON dek FOR INSERT WITH CHECK (true);
DROP POLICY IF EXISTS linked ON dek;
CREATE POLICY linked ON dek FOR UPDATE USING (ref = '') WITH CHECK (true);
DROP POLICY IF EXISTS unused ON dek;
CREATE POLICY unused ON dek FOR DELETE USING (ref = '');
DROP POLICY IF EXISTS erased ON dek;
"""
WRITER_MAY: Final = """
GRANT SELECT ON dek, hold, generation TO {role};
GRANT INSERT, DELETE, UPDATE (ref, bucket) ON dek TO {role};
GRANT INSERT, UPDATE (reason) ON hold TO {role};
"""
ERASER_MAY: Final = """
GRANT UPDATE ON dek TO {role};
GRANT UPDATE ON generation TO {role};
GRANT DELETE ON hold TO {role};
CREATE POLICY erased ON dek TO {role} USING (true) WITH CHECK (true);
"""
COLUMNS: Final = "key_id, epoch, wrapped, ref, bucket, retired"
# The server keeps the plan that it made while there were few keys, when to read all of them was the
# quickest. OFFSET 0 leaves it only to look up one after the other.
FIND: Final = (
    "SELECT value, held.* FROM generation LEFT JOIN (unnest(%b::bytea[], %b::text[])"  # noqa: S608
    f" AS asked(ref, bucket) CROSS JOIN LATERAL (SELECT {COLUMNS} FROM dek"
    " WHERE dek.ref = asked.ref AND dek.bucket = asked.bucket AND NOT retired OFFSET 0)"
    f" AS held({COLUMNS})) ON true ORDER BY held.key_id DESC"
)
LINK: Final = (
    "UPDATE dek SET ref = given.ref, bucket = given.bucket"
    " FROM unnest(%b::bytea[], %b::bytea[], %b::text[]) AS given(key_id, ref, bucket)"
    " WHERE dek.key_id = given.key_id AND dek.ref = '' AND (%b OR NOT EXISTS ("
    "SELECT 1 FROM dek AS held WHERE held.ref = given.ref AND held.bucket = given.bucket"
    " AND NOT held.retired OFFSET 0))"
    " RETURNING dek.key_id"
)
INSERT: Final = (
    "INSERT INTO dek(key_id, ref, bucket, epoch, wrapped)"
    " SELECT * FROM unnest(%b::bytea[], %b::bytea[], %b::text[], %b::integer[], %b::bytea[])"
)
REWRAP: Final = (
    "UPDATE dek SET epoch = given.epoch, wrapped = given.wrapped"
    " FROM unnest(%b::bytea[], %b::integer[], %b::bytea[]) AS given(key_id, epoch, wrapped)"
    " WHERE dek.key_id = given.key_id"
)
HOLD: Final = (
    "INSERT INTO hold VALUES (%s, %s) ON CONFLICT (ref) DO UPDATE SET reason = excluded.reason"
)
MAY_DESTROY: Final = (
    "SELECT has_column_privilege('dek', 'retired', 'UPDATE')"
    " AND has_table_privilege('generation', 'UPDATE')"
)
# Whoever adds keys holds it shared, whoever wraps all of them anew alone.
WRAPPING: Final = "hashtextextended('wrapping ' || current_schema(), 0)"
EXCLUSIVE: Final = "SELECT pg_advisory_lock(hashtextextended(%s || current_schema(), 0))"
ADD_ONE: Final = "UPDATE generation SET value = value + 1"


def create_schema(url: str, writer: str = "", eraser: str = "") -> None:
    """Create the key store's tables as their owner, and grant two roles what they need.

    The writer may read, add and link keys, delete unused ones, and put people under hold; the
    eraser may do anything with the rows.
    """
    grants = [(role, WRITER_MAY) for role in (writer, eraser) if role]
    grants += [(eraser, ERASER_MAY)] if eraser else []
    with _postgres_errors(), psycopg.connect(url, client_encoding="utf8") as connection:
        connection.execute(SCHEMA)
        for role, grant in grants:
            connection.execute(sql.SQL(grant).format(role=sql.Identifier(role)))


class PostgresKeyStore:
    """Wrapped keys in a PostgreSQL database, for many threads, processes and machines.

    Links are committed without waiting for the server's disk: they outlive this process, and the
    ledger finds again those that a crash of the server took. The rest is durable. A connection
    that is lost is made anew for the next call.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self.generation()

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()

    def add(self, keys: Sequence[WrappedKey]) -> None:
        """Keep new keys. Raises Unavailable for keys wrapped by a key that was rotated away."""
        rows = [(key.key_id, key.ref, key.bucket, key.epoch, key.wrapped) for key in keys]
        with self._writing() as db:
            db.execute(f"SELECT pg_advisory_xact_lock_shared({WRAPPING})")
            newest = _one(db.execute("SELECT epoch FROM generation"))
            oldest = min((key.epoch for key in keys), default=newest)
            if oldest < newest:
                raise Unavailable(
                    "the key ring of this machine is older than the key store",
                    observed=f"epoch {oldest}",
                    expected=f"epoch {newest}",
                    hint="docs/how-to/run-in-production.md",
                )
            db.execute(INSERT, _columns(rows, "bytea bytea text integer bytea"))

    def find(
        self, pairs: Sequence[tuple[bytes, str]]
    ) -> tuple[int, dict[tuple[bytes, str], WrappedKey]]:
        rows = self._fetch(FIND, _columns(pairs, "bytea text"))
        return rows[0][0], {(row[4], row[5]): WrappedKey(*row[1:]) for row in rows if row[1]}

    def drop_spare(self, key_ids: Sequence[bytes]) -> None:
        statement = "DELETE FROM dek WHERE key_id = ANY(%b) AND ref = '' RETURNING key_id"
        self._fetch(statement, [list(key_ids)])

    def link(self, keys: Sequence[tuple[bytes, bytes, str]], *, beside: bool = False) -> set[bytes]:
        done = self._fetch(LINK, [*_columns(keys, "bytea bytea text"), beside])
        return {key_id for key_id, _, _ in keys} - {key_id for (key_id,) in done}

    def key(self, key_id: bytes) -> WrappedKey | None:
        rows = self._select("WHERE key_id = %s", [key_id])
        return rows[0] if rows else None

    def keys(self, key_ids: Sequence[bytes]) -> list[WrappedKey]:
        return self._select("WHERE key_id = ANY(%b)", [list(key_ids)])

    def select(self, *, ref: bytes | None = None, bucket: str | None = None) -> list[WrappedKey]:
        where = "WHERE (%b::bytea IS NULL OR ref = %b) AND (%b::text IS NULL OR bucket = %b)"
        return self._select(where, [ref, ref, bucket, bucket])

    def rewrap(self, keys: Iterable[WrappedKey], epoch: int = 0) -> None:
        """Replace keys. Raises Unavailable where others were added under a former epoch."""
        rows = [(key.key_id, key.epoch, key.wrapped) for key in keys]
        newest = max((each for _, each, _ in rows), default=epoch)
        with self._writing() as db:
            db.execute(f"SELECT pg_advisory_xact_lock({WRAPPING})")
            db.execute(REWRAP, [[row[n] for row in rows] for n in range(3)])
            db.execute("UPDATE generation SET epoch = GREATEST(epoch, %s)", [newest])
            if _one(db.execute("SELECT EXISTS (SELECT 1 FROM dek WHERE epoch < %s)", [newest])):
                raise Unavailable("keys were made while all were wrapped anew", hint="try again")

    def retire(self, key_ids: Sequence[bytes]) -> None:
        with self._writing() as db:
            db.execute("UPDATE dek SET retired = true WHERE key_id = ANY(%b)", [list(key_ids)])
            db.execute(ADD_ONE)

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        with self._writing() as db:
            db.execute("DELETE FROM dek WHERE key_id = ANY(%b)", [list(key_ids)])
            db.execute(ADD_ONE)

    def generation(self) -> int:
        return int(self._fetch("SELECT value FROM generation")[0][0])

    def set_hold(self, ref: bytes, reason: str) -> None:
        with self._writing() as db:
            if reason:
                db.execute(HOLD, [ref, reason])
            else:
                db.execute("DELETE FROM hold WHERE ref = %s", [ref])

    def holds(self) -> list[tuple[bytes, str]]:
        return [(row[0], str(row[1])) for row in self._fetch("SELECT ref, reason FROM hold")]

    def hold(self, ref: bytes) -> str:
        rows = self._fetch("SELECT reason FROM hold WHERE ref = %s", [ref])
        return str(rows[0][0]) if rows else ""

    def may_destroy(self) -> bool:
        return bool(self._fetch(MAY_DESTROY)[0][0])

    @contextmanager
    def exclusively(self, purpose: str) -> Iterator[None]:
        with _postgres_errors():
            own = self._connect()
        with own, _postgres_errors():
            own.execute(EXCLUSIVE, [f"keys {purpose} "])
            yield

    def _select(self, where: LiteralString, values: Sequence[Any]) -> list[WrappedKey]:
        statement = f"SELECT {COLUMNS} FROM dek {where} ORDER BY key_id"  # noqa: S608 - constants
        return [WrappedKey(*row) for row in self._fetch(statement, values)]

    def _fetch(self, statement: LiteralString, values: Sequence[Any] = ()) -> list[Any]:
        """Run one statement, once more where the connection turns out to be lost since the last.

        What it writes is not waited for.
        """
        with self._lock, _postgres_errors():
            connection = self._usable()
            try:
                return connection.execute(statement, values, binary=True).fetchall()
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
            return self._usable().execute(statement, values, binary=True).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Open a transaction that is as durable as the server is set up for."""
        with self._lock, _postgres_errors():
            connection = self._usable()
            with connection.transaction():
                connection.execute("SET LOCAL synchronous_commit TO DEFAULT")
                yield connection

    def _usable(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = self._connect()
            self._connection.execute("SET synchronous_commit TO off")
        return self._connection

    def _connect(self) -> Connection:
        connection = psycopg.connect(
            self._url, autocommit=True, connect_timeout=10, client_encoding="utf8"
        )
        connection.adapters.register_dumper(Array, ArrayDumper)
        return connection


def _columns(rows: Sequence[Sequence[Any]], kinds: str) -> list[Array]:
    """Return rows as an array for each column of these types, as ``unnest`` takes them."""
    return [Array.of(kind, [row[n] for row in rows]) for n, kind in enumerate(kinds.split())]


def _one(cursor: psycopg.Cursor[Any]) -> int:
    return int((cursor.fetchone() or (0,))[0])


@contextmanager
def _postgres_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise Unavailable(
            "the key store does not answer", observed=error.sqlstate or type(error).__name__
        ) from error
