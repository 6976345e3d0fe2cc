"""Places where a ledger can stand in a test, one for each database, and what attackers do there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from pipelines.adapters import postgres_key_store
from pipelines.adapters.key_store import SqliteKeyStore
from pipelines.adapters.postgres_key_store import PostgresKeyStore
from pipelines.adapters.postgres_ledger import PostgresStore, create_schema
from pipelines.adapters.sql_ledger import SqliteStore
from pipelines.ledger.bundle import copy_keys
from pipelines.ledger.entry import Body, Draft
from pipelines.ledger.guard import FileGuard
from pipelines.ledger.key_store import KeyStore
from pipelines.ledger.keys import Keys, create_ring
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Signer
from pipelines.ledger.secret_files import create_signer, read_signer
from pipelines.ledger.store import Store
from tests.ledger.postgres import Cluster

ORIGIN = "example.com/decisions"
TABLES = ("entry", "part", "erased", "tile", "checkpoint", "cosigned")
FACTS: dict[str, str | int] = {
    "c": "0" * 40,
    "d": "d" * 32,
    "e": "e" * 64,
    "m": "a" * 64,
    "mv": 3,
}


def draft(subject: str = "anna", content: bytes = b"body", number: bytes = b"") -> Draft:
    """Return a decision about one person."""
    return Draft("decision", FACTS, (Body(subject, "decision", content),), number)


class Place:
    """A folder with keys, guard and policy, and a database behind `store`."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Ledger] = []
        self.stores: list[Store] = []
        create_ring(folder / "ring")
        create_signer(folder / "signer", ORIGIN)

    @property
    def signer(self) -> Signer:
        return read_signer(self.folder / "signer")

    @property
    def policy(self) -> Path:
        path = self.folder / "policy"
        path.write_text(f"log {self.signer.verifier.vkey()}\nquorum none\n")
        return path

    def keys(self) -> Keys:
        return Keys(self.key_store(), self.folder / "ring")

    def key_store(self) -> KeyStore:
        raise NotImplementedError

    def keys_file(self) -> Path:
        """Return which keys there are, as the verifier reads it."""
        path = self.folder / "copy-keys.db"
        path.unlink(missing_ok=True)
        return copy_keys(self.key_store(), path)

    def ledger(self, guard: str = "guard") -> Ledger:
        ledger = Ledger(self.store(), self.keys(), FileGuard(self.folder / guard), [self.signer])
        self.opened.append(ledger)
        return ledger

    def store(self) -> Store:
        store = self.new_store()
        self.stores.append(store)
        return store

    def new_store(self) -> Store:
        raise NotImplementedError

    def close(self) -> None:
        for ledger in self.opened:
            ledger.close()
        for store in self.stores:
            store.close()
        self.opened, self.stores = [], []

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL as somebody who may do everything; ``?`` marks a value."""
        raise NotImplementedError

    def query_keys(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL in the key store; ``?`` marks a value."""
        raise NotImplementedError

    def back_up(self) -> Any:
        raise NotImplementedError

    def restore(self, backup: Any) -> None:
        raise NotImplementedError


class SqlitePlace(Place):
    """An SQLite file in the folder."""

    name = "sqlite"

    @property
    def path(self) -> Path:
        return self.folder / "ledger.db"

    def new_store(self) -> Store:
        return SqliteStore(self.path)

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return ran(self.path, statement, values)

    def key_store(self) -> KeyStore:
        return SqliteKeyStore(self.folder / "keys.db")

    def query_keys(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return ran(self.folder / "keys.db", statement, values)

    def back_up(self) -> bytes:
        db = sqlite3.connect(self.path)
        try:
            return db.serialize()
        finally:
            db.close()

    def restore(self, backup: bytes) -> None:
        self.close()
        for path in self.folder.glob("ledger.db*"):
            path.unlink()
        self.path.write_bytes(backup)


def ran(path: Path, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


class PostgresPlace(Place):
    """Two schemas of its own in a real server: the ledger's, and the key store's."""

    name = "postgres"

    def __init__(self, folder: Path, cluster: Cluster, schema: str) -> None:
        super().__init__(folder)
        self.cluster, self.schema = cluster, schema
        for name in (schema, f"{schema}_keys"):
            self.query(f"CREATE SCHEMA {name}")
        create_schema(self.url)
        postgres_key_store.create_schema(self.keys_url)
        self.key_stores: list[PostgresKeyStore] = []

    @property
    def url(self) -> str:
        return f"{self.cluster.url} options='-c search_path={self.schema}'"

    @property
    def keys_url(self) -> str:
        return keys_url(self.url)

    def new_store(self) -> Store:
        return PostgresStore(self.url)

    def key_store(self) -> KeyStore:
        self.key_stores.append(PostgresKeyStore(self.keys_url))
        return self.key_stores[-1]

    def close(self) -> None:
        super().close()
        for store in self.key_stores:
            store.close()
        self.key_stores = []

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return queried(self.url, statement, values)

    def query_keys(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return queried(self.keys_url, statement, values)

    def back_up(self) -> str:
        place = ["-h", str(self.cluster.folder), "-p", str(self.cluster.port), "-U", "owner"]
        return self.cluster.run("pg_dump", *place, "-n", self.schema, "--inserts", "postgres")

    def restore(self, backup: str) -> None:
        self.close()
        self.query(f"DROP SCHEMA {self.schema} CASCADE")
        place = ["-h", str(self.cluster.folder), "-p", str(self.cluster.port), "-U", "owner"]
        self.cluster.run("psql", *place, "-q", "-v", "ON_ERROR_STOP=1", "postgres", text=backup)


def keys_url(url: str) -> str:
    """Return where the key store beside the ledger at `url` is."""
    return url.rstrip("'") + "_keys'"


def queried(url: str, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(statement.replace("?", "%s").encode(), values)
        return done.fetchall() if done.description else []
