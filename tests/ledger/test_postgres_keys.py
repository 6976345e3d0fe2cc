"""What the key store in PostgreSQL refuses to roles, and how machines share it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.exceptions import InvalidTag

from pipelines.adapters.postgres_key_store import PostgresKeyStore, create_schema
from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.ledger.erasure import erase, plan
from pipelines.ledger.key_store import WrappedKey
from pipelines.ledger.keys import ID_SIZE, NONCE_SIZE, Keys, Ring
from tests.ledger.places import PostgresPlace, draft
from tests.ledger.postgres import Cluster
from tests.ledger.test_crashes import Writer, check

WRITER, ERASER = "keys_writer", "keys_eraser"
WRAPPED_SIZE = 60


@pytest.fixture
def shop(tmp_path: Path, cluster: Cluster) -> PostgresPlace:
    return PostgresPlace(tmp_path, cluster, f"keys_{tmp_path.name[-12:].replace('-', '_')}")


def acting(shop: PostgresPlace, role: str) -> str:
    """Make the two roles, and return the address of the key store as one of them."""
    for each in (WRITER, ERASER):
        if not shop.query_keys("SELECT 1 FROM pg_roles WHERE rolname = ?", [each]):
            shop.query_keys(f"CREATE ROLE {each} LOGIN")
        shop.query_keys(f"GRANT USAGE ON SCHEMA {shop.schema}_keys TO {each}")
    create_schema(shop.keys_url, WRITER, ERASER)
    return shop.keys_url.replace("user=owner", f"user={role}")


def linked(keys: Keys, subject: str = "anna") -> bytes:
    key = keys.data_key(subject, "b")
    keys.link([key])
    return key.key_id


DESTROYING: list[Callable[[PostgresKeyStore, bytes], None]] = [
    lambda store, key_id: store.destroy([key_id]),
    lambda store, key_id: store.retire([key_id]),
    lambda store, key_id: store.rewrap([WrappedKey(key_id, 2, b"anything")]),
]


@pytest.mark.parametrize("act", DESTROYING)
def test_the_writer_destroys_nothing(
    shop: PostgresPlace, act: Callable[[PostgresKeyStore, bytes], None]
) -> None:
    """Who decides makes, links and reads keys, and can retire, destroy or rewrap none."""
    store = PostgresKeyStore(acting(shop, WRITER))
    keys = Keys(store, shop.folder / "ring")
    key_id = linked(keys)
    before = store.select()
    with pytest.raises(Unavailable):
        act(store, key_id)

    assert before == store.select()
    assert 0 == store.generation()
    keys.cipher(key_id)
    store.close()


def test_the_writer_takes_no_key_from_a_person(shop: PostgresPlace) -> None:
    """No statement of the writer's deletes, moves or changes a key that belongs to a person."""
    url = acting(shop, WRITER)
    linked(Keys(PostgresKeyStore(url), shop.folder / "ring"))
    rows = "SELECT key_id, ref, wrapped FROM dek WHERE ref <> ''"
    before = shop.query_keys(rows)
    with psycopg.connect(url, autocommit=True) as writer:
        assert 0 == writer.execute("DELETE FROM dek WHERE ref <> ''").rowcount
        assert 0 == writer.execute("UPDATE dek SET ref = 'x' WHERE ref <> ''").rowcount
        for refused in (
            "TRUNCATE dek",
            "UPDATE dek SET wrapped = 'x'",
            "UPDATE generation SET value = 7",
            "DELETE FROM hold",
            "DROP TABLE dek",
            "ALTER TABLE dek DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                writer.execute(refused.encode())

    assert before == shop.query_keys(rows)


def test_the_writer_cannot_rotate(shop: PostgresPlace) -> None:
    """A rotation without the right role is refused before the key ring is touched."""
    keys = Keys(PostgresKeyStore(acting(shop, WRITER)), shop.folder / "ring")
    ring = (shop.folder / "ring").read_text()
    with pytest.raises(BadRequest, match="may not destroy"):
        keys.rotate()

    assert ring == (shop.folder / "ring").read_text()


def test_the_writer_opens_keys_while_another_rotates(shop: PostgresPlace) -> None:
    """A rotation cut short by the eraser does not keep the writer from deciding."""
    writer = Keys(PostgresKeyStore(acting(shop, WRITER)), shop.folder / "ring")
    key_id, ring = linked(writer), Ring.read(shop.folder / "ring")
    both = Ring(ring.index, {**ring.epochs, 2: os.urandom(32)})
    (shop.folder / "ring").write_text(both.text())
    again = Keys(PostgresKeyStore(acting(shop, WRITER)), shop.folder / "ring")
    again.cipher(key_id)
    again.cipher(linked(again, "ben"))
    assert 2 == len(Ring.read(shop.folder / "ring").epochs)
    eraser = Keys(PostgresKeyStore(acting(shop, ERASER)), shop.folder / "ring")

    assert [2] == list(Ring.read(shop.folder / "ring").epochs)
    eraser.cipher(key_id)


def test_holds_are_placed_by_the_writer_and_lifted_by_the_eraser(shop: PostgresPlace) -> None:
    """Who decides may protect a person's records, and not end the protection."""
    writer, eraser = (PostgresKeyStore(acting(shop, role)) for role in (WRITER, ERASER))
    writer.set_hold(b"ref", "complaint")
    writer.set_hold(b"ref", "complaint 7")
    with pytest.raises(Unavailable):
        writer.set_hold(b"ref", "")
    assert [(b"ref", "complaint 7")] == eraser.holds()
    eraser.set_hold(b"ref", "")

    assert "" == writer.hold(b"ref")


def test_a_rotation_of_no_keys_counts_too(shop: PostgresPlace) -> None:
    """A machine whose ring missed a rotation is refused even where no key was left to wrap."""
    ring = (shop.folder / "ring").read_text()
    shop.keys().rotate()
    (shop.folder / "other").write_text(ring)
    (shop.folder / "other").chmod(0o600)
    with pytest.raises(Unavailable, match="older than the key store"):
        Keys(shop.key_store(), shop.folder / "other").data_key("ben", "b")


def test_a_machine_with_an_old_ring_makes_no_keys(shop: PostgresPlace) -> None:
    """A machine whose ring missed a rotation is refused new keys: nothing could open them."""
    keys = shop.keys()
    linked(keys)
    (shop.folder / "other").write_text((shop.folder / "ring").read_text())
    (shop.folder / "other").chmod(0o600)
    behind = Keys(shop.key_store(), shop.folder / "other")
    keys.rotate()
    with pytest.raises(Unavailable, match="older than the key store"):
        behind.data_key("ben", "b")
    with pytest.raises(NotThere):
        behind.data_key("anna", "b")


def test_keys_made_during_a_rotation_are_not_lost(
    shop: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation that missed keys is undone in the store, and finished on the next opening."""
    keys = shop.keys()
    key_id = linked(keys)
    real, other = keys.store.rewrap, shop.key_store()
    row = other.key(key_id)
    assert row is not None

    def meanwhile(rows: object, epoch: int) -> None:
        other.add([WrappedKey(b"late", 1, row.wrapped)])
        real(rows, epoch)  # type: ignore[arg-type]

    monkeypatch.setattr(keys.store, "rewrap", meanwhile)
    with pytest.raises(Unavailable, match="while all were wrapped anew"):
        keys.rotate()
    assert {1} == {each.epoch for each in other.select()}
    other.destroy([b"late"])
    shop.keys().cipher(key_id)

    assert {2} == {each.epoch for each in other.select()}


def test_two_processes_agree_on_a_key(shop: PostgresPlace) -> None:
    """Two ledgers with the same new subjects at once record all, under one key for each."""
    ledgers = [shop.ledger(), shop.ledger()]
    start = threading.Barrier(2)

    def record(ledger: object) -> None:
        start.wait()
        for number in range(40):
            ledger.record(draft(f"s{number}"))  # type: ignore[attr-defined]

    threads = [threading.Thread(target=record, args=(each,)) for each in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 80 == ledgers[0].checkpoint()[0].size
    used = shop.query("SELECT count(DISTINCT key_id) FROM part")
    twice = "SELECT ref, bucket FROM dek WHERE ref <> '' GROUP BY 1, 2 HAVING count(*) > 1"
    assert [(40,)] == used
    assert [] == shop.query_keys(twice)


def test_a_lock_holds_against_another_machine(shop: PostgresPlace) -> None:
    """While one machine holds the keys for a purpose, another waits; other purposes go on."""
    entered = threading.Event()
    (shop.folder / "other").mkdir()
    ring = shop.folder / "other" / "ring"
    ring.write_text((shop.folder / "ring").read_text())
    ring.chmod(0o600)
    first, second = shop.keys(), Keys(shop.key_store(), ring)

    def enter() -> None:
        with second.exclusively("erasure"):
            entered.set()

    with first.exclusively("erasure"):
        waiting = threading.Thread(target=enter)
        waiting.start()
        with second.exclusively("another"):
            assert not entered.wait(0.2)
    waiting.join()

    assert entered.is_set()


def test_what_the_server_keeps_of_a_destroyed_key_opens_nothing(shop: PostgresPlace) -> None:
    """The server's files still hold a destroyed key, wrapped; no key that exists unwraps it."""
    ledger = shop.ledger()
    ledger.record(draft("anna"))
    row = ledger.keys.of_subject("anna")[0]
    assert unwrapped(shop, row.key_id)
    erase(ledger, plan(ledger, "anna"), "request")

    assert wrapped(shop, row.key_id)
    assert [] == unwrapped(shop, row.key_id)


def wrapped(shop: PostgresPlace, key_id: bytes) -> set[bytes]:
    """Return what follows a key's id, reference and bucket in any file of the server."""
    shop.query("CHECKPOINT")
    found = set()
    for path in shop.cluster.data.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        at = content.find(key_id)
        while at >= 0:
            found.add(content[at + ID_SIZE : at + ID_SIZE + 256])
            at = content.find(key_id, at + 1)
    return found


def unwrapped(shop: PostgresPlace, key_id: bytes) -> list[bytes]:
    """Return the data key, from each place that a key of the ring opens."""
    ring, opened = Ring.read(shop.folder / "ring"), []
    for content in wrapped(shop, key_id):
        for at in range(len(content) - WRAPPED_SIZE + 1):
            nonce, sealed = content[at : at + NONCE_SIZE], content[at + NONCE_SIZE :]
            for epoch in range(ring.newest + 1):
                try:
                    cipher = ring.cipher(ring.newest)
                    bound = key_id + epoch.to_bytes(8)
                    opened.append(cipher.decrypt(nonce, sealed[: WRAPPED_SIZE - NONCE_SIZE], bound))
                except InvalidTag:
                    continue
    return opened


def test_only_links_are_not_waited_for(
    shop: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, rotations and erasures are as durable as the server is set up for; links are not."""
    store, seen = PostgresKeyStore(shop.keys_url), {}
    real = psycopg.Connection.execute

    def spied(self: psycopg.Connection[Any], query: Any, *rest: Any, **more: Any) -> Any:
        mode = real(self, "SHOW synchronous_commit").fetchone()
        seen[str(query).split()[0]] = mode[0] if mode else None
        return real(self, query, *rest, **more)

    monkeypatch.setattr(psycopg.Connection, "execute", spied)
    store.add([WrappedKey(b"key", 1, b"wrapped")])
    assert "on" == seen["INSERT"]
    store.link([(b"key", b"ref", "b")])
    assert "off" == seen["UPDATE"]
    store.rewrap([WrappedKey(b"key", 2, b"wrapped anew")])
    assert "on" == seen["UPDATE"]
    store.drop_spare([b"none"])
    assert "off" == seen["DELETE"]
    store.destroy([b"key"])
    assert "on" == seen["DELETE"]
    store.close()


def test_writers_in_processes_of_their_own_agree(shop: PostgresPlace) -> None:
    """Two processes that record about the same new people seal under one key for each, all told."""
    writers = [Writer(shop) for _ in range(2)]
    shared = "SELECT count(*) FROM (SELECT 1 FROM part GROUP BY key_id HAVING count(*) > 1) AS two"
    until = time.monotonic() + 60
    while shop.query(shared)[0][0] < 20:
        assert time.monotonic() < until
        time.sleep(0.01)
    for writer in writers:
        writer.kill()
    check(shop, None)
    twice = "SELECT ref, bucket FROM dek WHERE ref <> '' GROUP BY 1, 2 HAVING count(*) > 1"

    assert [] == shop.query_keys(twice)
    assert not any("refused" in line for line in writers[0].lines())


def test_no_key_is_looked_for_among_all(shop: PostgresPlace) -> None:
    """A store that was opened when it held few keys reads only those it is asked for later."""
    store = PostgresKeyStore(acting(shop, WRITER))

    def meet(number: int) -> None:
        owner, made = (os.urandom(32), "b"), WrappedKey(os.urandom(ID_SIZE), 1, b"wrapped")
        store.find([owner])
        if number % 10 == 0:
            store.add([made])
            assert set() == store.link([(made.key_id, *owner)])

    for number in range(200):
        meet(number)
    many = [WrappedKey(os.urandom(ID_SIZE), 1, b"wrapped", b"r", str(n)) for n in range(3000)]
    store.add(many)
    before = rows_read_one_by_one(shop, store)
    meet(0)

    assert before == rows_read_one_by_one(shop, store)
    store.close()


def rows_read_one_by_one(shop: PostgresPlace, store: PostgresKeyStore) -> int:
    """Return how many rows of the keys' table the server read without an index."""
    store._fetch("SELECT pg_stat_force_next_flush()")
    named = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE schemaname = ? AND relname = 'dek'"
    return int(shop.query_keys(named, [f"{shop.schema}_keys"])[0][0])
