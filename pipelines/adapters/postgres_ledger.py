"""The ledger's store in PostgreSQL: the schema of `sql_ledger`, one lock for each group commit."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.adapt import Dumper
from psycopg.pq import Format

from pipelines.adapters.sql_ledger import SqlReads, rows_of, select_all
from pipelines.errors import Unavailable
from pipelines.ledger.store import Addition, AlreadyRecorded, ReadRaw, Stopped

ROWS_A_FETCH: Final = 2000
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('ledger ' || current_schema(), 0))"
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry(
    seq bigint PRIMARY KEY, id bytea NOT NULL UNIQUE, entry bytea NOT NULL, leaf bytea NOT NULL);
CREATE TABLE IF NOT EXISTS part(
    seq bigint NOT NULL, n integer NOT NULL, key_id bytea NOT NULL, nonce bytea NOT NULL,
    ct bytea NOT NULL, PRIMARY KEY (seq, n)) WITH (toast_tuple_target = 8160);
ALTER TABLE part ALTER COLUMN ct SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS part_key ON part(key_id);
CREATE TABLE IF NOT EXISTS erased(
    seq bigint NOT NULL, n integer NOT NULL, tombstone bytea NOT NULL, place bigint NOT NULL,
    salt bytea NOT NULL, path bytea NOT NULL, PRIMARY KEY (seq, n));
CREATE TABLE IF NOT EXISTS tile(
    level integer NOT NULL, n bigint NOT NULL, root bytea NOT NULL, hashes bytea NOT NULL);
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX IF NOT EXISTS tile_root ON tile(level, n) INCLUDE (root);
CREATE TABLE IF NOT EXISTS checkpoint(size bigint PRIMARY KEY, note text NOT NULL);
CREATE TABLE IF NOT EXISTS cosigned(
    size bigint NOT NULL, note text NOT NULL, PRIMARY KEY (size, note));
CREATE OR REPLACE FUNCTION keep_newest_checkpoint() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM checkpoint WHERE size > NEW.size) THEN
        RAISE EXCEPTION 'a checkpoint that goes back';
    END IF;
    DELETE FROM checkpoint WHERE size < NEW.size;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER checkpoint_newest AFTER INSERT ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION keep_newest_checkpoint();
"""
TYPES: Final = {
    "entry": ("bigint", "bytea", "bytea", "bytea"),
    "part": ("bigint", "integer", "bytea", "bytea", "bytea"),
    "erased": ("bigint", "integer", "bytea", "bigint", "bytea", "bytea"),
    "tile": ("integer", "bigint", "bytea", "bytea"),
    "checkpoint": ("bigint", "text"),
}
ELEMENT_TYPES: Final = {"bytea": 17, "bigint": 20, "integer": 23, "text": 25}
INTEGERS: Final = {"bigint": struct.Struct(">iq"), "integer": struct.Struct(">ii")}
SIZE: Final = struct.Struct(">i")
ARRAY: Final = struct.Struct(">iiIii")
INSERT: Final = {
    table: f"INSERT INTO {table} SELECT * FROM unnest("  # noqa: S608 - constants
    + ", ".join(f"%b::{kind}[]" for kind in kinds)
    + ")"
    for table, kinds in TYPES.items()
}


def create_schema(url: str, writer: str = "", eraser: str = "") -> None:
    """Create the ledger's tables as their owner, and grant two roles what they need.

    The writer may insert and select, nothing else; the eraser may also delete encrypted parts.
    """
    with (
        _postgres_errors(),
        psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection,
    ):
        connection.execute(SCHEMA)
        tables = sql.SQL("entry, part, erased, tile, checkpoint, cosigned")
        for role in filter(None, (writer, eraser)):
            grant = sql.SQL("GRANT SELECT, INSERT ON {} TO {}")
            connection.execute(grant.format(tables, sql.Identifier(role)))
        if eraser:
            grant = sql.SQL("GRANT DELETE ON part TO {}")
            connection.execute(grant.format(sql.Identifier(eraser)))


class Array(bytes):
    """A column of values as an array in the server's binary form.

    psycopg's own way from a list to it costs several times as much, for it takes any list.
    """

    @classmethod
    def of(cls, kind: str, column: Sequence[Any]) -> Array:
        """Return the array of a column of this type, without a null."""
        head = ARRAY.pack(1, 0, ELEMENT_TYPES[kind], len(column), 1)
        return cls(b"".join((head, *_elements(kind, column))))


def _elements(kind: str, column: Sequence[Any]) -> Iterable[bytes]:
    if kind in INTEGERS:
        pack, size = INTEGERS[kind].pack, INTEGERS[kind].size - SIZE.size
        return [pack(size, number) for number in column]
    values = [value.encode() for value in column] if kind == "text" else column
    return [piece for value in values for piece in (SIZE.pack(len(value)), value)]


class ArrayDumper(Dumper):
    """Sends an array as it is; the statement says of which type."""

    format = Format.BINARY

    def dump(self, obj: Array) -> Array:
        return obj


class _PostgresReads(SqlReads):
    """Queries over one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def _fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.fetch(statement, values)

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query whose values are marked by ``?``."""
        query = statement.replace("?", "%s").encode()
        return self._connection.execute(query, values, binary=True).fetchall()


class _PostgresWriting(_PostgresReads):
    """A transaction on the writer's connection; what it adds is sent with the commit."""

    addition: Addition | None = None
    head: tuple[str | None, int] = (None, 0)

    def note(self) -> str | None:
        return self.head[0]

    def next_seq(self) -> int:
        return self.head[1]

    def begin(self) -> None:
        """Open the transaction, take the log's lock and read its head, in one round trip."""
        with self._connection.pipeline():
            self._connection.execute("BEGIN")
            self._connection.execute(LOCK)
            head = self._connection.execute(
                "SELECT (SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1),"
                " (SELECT COALESCE(MAX(seq), -1) + 1 FROM entry)"
            )
        self.head = head.fetchone() or (None, 0)

    def add(self, addition: Addition) -> None:
        self.addition = addition

    def execute(self, statement: LiteralString, values: Sequence[Any]) -> None:
        """Run one statement that gives nothing back."""
        self._connection.execute(statement, values)

    def commit(self) -> None:
        """Send every row and the commit, in one round trip."""
        with self._connection.pipeline():
            if self.addition is not None:
                for table, rows in rows_of(self.addition).items():
                    if rows:
                        columns = zip(TYPES[table], zip(*rows, strict=True), strict=True)
                        arrays = [Array.of(kind, column) for kind, column in columns]
                        self._connection.execute(INSERT[table], arrays)
            self._connection.execute("COMMIT")


class PostgresStore(SqlReads):
    """The ledger in a PostgreSQL database, for many processes and machines.

    A connection that is lost is made anew for the next call; whether a commit under way happened
    is then read from the database, for the writer looks at its head before each group.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._writer_lock = threading.Lock()
        self._writer: psycopg.Connection[Any] | None = None
        self._reader: psycopg.Connection[Any] | None = None
        self.note()

    @contextmanager
    def writing(self) -> Iterator[_PostgresWriting]:
        with self._writer_lock, _postgres_errors():
            self._writer = self._usable(self._writer)
            writing = _PostgresWriting(self._writer)
            try:
                writing.begin()
                yield writing
                writing.commit()
            except BaseException:
                self._roll_back(self._writer)
                raise

    def _roll_back(self, connection: psycopg.Connection[Any]) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def may_erase(self) -> bool:
        return bool(self._fetch("SELECT has_table_privilege('part', 'DELETE')")[0][0])

    def delete_parts(self, parts: Sequence[tuple[int, int]]) -> None:
        """Delete encrypted parts. The server's own write-ahead log and heap keep them for a time.

        VACUUM clears the heap; only destroyed keys reach the rest.
        """
        with self.writing() as writing:
            for seq, n in parts:
                writing.execute("DELETE FROM part WHERE seq = %s AND n = %s", (seq, n))

    def add_cosigned(self, size: int, note: str) -> None:
        statement = "INSERT INTO cosigned VALUES (%s, %s) ON CONFLICT DO NOTHING"
        with self.writing() as writing:
            writing.execute(statement, (size, note))

    def close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()

    def _fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _postgres_errors():
            self._reader = self._usable(self._reader)
            return _PostgresReads(self._reader).fetch(statement, values)

    @contextmanager
    def snapshot(self) -> Iterator[ReadRaw]:
        with _postgres_errors(), psycopg.connect(self._url, client_encoding="utf8") as own:
            own.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

            def read(table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
                with own.cursor(name=f"copy_{table}") as cursor:
                    cursor.itersize = ROWS_A_FETCH
                    yield from cursor.execute(select_all(table, columns).encode(), binary=True)

            yield read

    def _usable(self, connection: psycopg.Connection[Any] | None) -> psycopg.Connection[Any]:
        if connection is None or connection.closed or connection.broken:
            connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=10, client_encoding="utf8"
            )
            connection.adapters.register_dumper(Array, ArrayDumper)
        return connection


@contextmanager
def _postgres_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise AlreadyRecorded("an entry with this id is recorded already") from error
    except psycopg.errors.IoError as error:
        raise Stopped("the database failed to read or write", observed=error.sqlstate) from error
    except psycopg.Error as error:
        raise Unavailable(
            "the ledger's database does not answer",
            observed=error.sqlstate or type(error).__name__,
        ) from error
