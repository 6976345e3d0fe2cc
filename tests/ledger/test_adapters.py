"""What the databases themselves refuse, and how their faults reach a caller."""

# ruff: noqa: S608 - table names come from the test itself

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from pipelines.adapters.postgres_ledger import PostgresStore, create_schema
from pipelines.adapters.sql_ledger import BUSY_SECONDS, SqliteStore
from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.ledger.erasure import erase, plan
from pipelines.ledger.guard import FileGuard
from pipelines.ledger.log import Ledger
from tests.ledger.places import TABLES, Place, PostgresPlace, SqlitePlace, draft
from tests.ledger.postgres import Cluster


@pytest.fixture
def postgres(tmp_path: Path, cluster: Cluster) -> PostgresPlace:
    return PostgresPlace(tmp_path, cluster, f"roles_{tmp_path.name[-12:].replace('-', '_')}")


def owned(place: PostgresPlace, role: str) -> bool:
    return bool(place.query("SELECT 1 FROM pg_roles WHERE rolname = ?", [role]))


def roles(place: PostgresPlace) -> tuple[str, str]:
    """Make a writer and an eraser, and return the address of each."""
    for role in ("ledger_writer", "ledger_eraser"):
        if not owned(place, role):
            place.query(f"CREATE ROLE {role} LOGIN")
        place.query(f"GRANT USAGE ON SCHEMA {place.schema} TO {role}")
    create_schema(place.url, "ledger_writer", "ledger_eraser")
    writer = place.url.replace("user=owner", "user=ledger_writer")
    return writer, place.url.replace("user=owner", "user=ledger_eraser")


def test_the_writer_may_insert_and_select(postgres: PostgresPlace) -> None:
    """Under its own role the writer records and reads, and may change or delete in no table."""
    url, _ = roles(postgres)
    store = PostgresStore(url)
    ledger = Ledger(store, postgres.keys(), FileGuard(postgres.folder / "guard"), [postgres.signer])
    receipts = ledger.record_many(draft() for _ in range(300))
    ledger.close()

    assert b"body" == ledger.read(receipts[0].id).content
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
        for table in ("entry", "part", "checkpoint"):
            column = "note" if table == "checkpoint" else "seq"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"UPDATE {table} SET {column} = {column}".encode())
    with pytest.raises(Unavailable):
        store.delete_parts([(0, 0)])
    store.close()


def test_the_eraser_may_delete_parts_alone(postgres: PostgresPlace) -> None:
    """Under its own role the eraser erases a person, and may delete from no other table."""
    _, url = roles(postgres)
    store = PostgresStore(url)
    ledger = Ledger(store, postgres.keys(), FileGuard(postgres.folder / "guard"), [postgres.signer])
    ledger.record(draft("anna"))
    done = erase(ledger, plan(ledger, "anna"), "request")
    ledger.close()
    store.close()

    assert 1 == done.parts
    with psycopg.connect(url, autocommit=True) as connection:
        for table in set(TABLES) - {"part"}:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}".encode())


def test_no_checkpoint_goes_back(place: Place) -> None:
    """Both databases refuse a checkpoint smaller than the one they hold, and keep the newest."""
    ledger = place.ledger()
    ledger.record_many(draft() for _ in range(5))
    with pytest.raises((sqlite3.Error, psycopg.Error)):
        place.query("INSERT INTO checkpoint(size, note) VALUES (3, 'older')")

    assert [(5,)] == place.query("SELECT size FROM checkpoint")


def test_a_locked_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program keeps locked is unavailable, and recording goes on after it."""
    monkeypatch.setattr("pipelines.adapters.sql_ledger.BUSY_SECONDS", 0.1)
    place = SqlitePlace(tmp_path)
    ledger = place.ledger()
    other = sqlite3.connect(place.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        ledger.record(draft())
    other.execute("ROLLBACK")
    other.close()

    assert 0 == ledger.record(draft()).index
    assert BUSY_SECONDS > 1
    place.close()


def test_a_damaged_file_is_broken_not_empty(tmp_path: Path) -> None:
    """A file that is no database, or a folder in its place, is never opened as an empty log."""
    place = SqlitePlace(tmp_path)
    place.path.write_bytes(b"not a database " * 1000)
    with pytest.raises(IntegrityBroken):
        SqliteStore(place.path)
    place.path.unlink()
    place.path.mkdir()
    with pytest.raises(Unavailable):
        SqliteStore(place.path)


def test_no_server_is_unavailable(tmp_path: Path) -> None:
    """A server that does not answer is unavailable, never an empty log."""
    with pytest.raises(Unavailable):
        PostgresStore(f"host={tmp_path} port=1 user=nobody dbname=none")


def test_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    """The ledger's file is created for its owner alone."""
    place = SqlitePlace(tmp_path)
    place.store()

    assert 0o600 == place.path.stat().st_mode & 0o777
    place.close()
