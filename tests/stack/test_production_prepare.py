"""What must be there before a production stack starts: a real PostgreSQL, real repositories."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pipelines.adapters.postgres_key_store import PostgresKeyStore
from pipelines.errors import BadRequest, Unavailable
from pipelines.layout import State
from pipelines.ledger.key_store import WrappedKey
from pipelines.stack import production_prepare as prepare
from pipelines.stack import production_secrets as secrets
from tests.ledger.postgres import Cluster

PASSWORDS = {role: f"word of {role}" for role in secrets.ROLES}
TABLES = ("entry", "part", "erased", "tile", "checkpoint", "cosigned")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Give the administrator's URL of a server that was prepared twice."""
    folder = tempfile.TemporaryDirectory(prefix="clew-pg-")  # one that another user can enter
    cluster = Cluster(Path(folder.name))
    url = f"postgresql://owner@127.0.0.1:{cluster.port}/postgres"
    for _ in range(2):
        prepare.databases(url, PASSWORDS)
        prepare.ledger_tables(url)
    yield url
    cluster.stop("immediate")
    folder.cleanup()


def as_role(server: str, role: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server, user=role, dbname=database, autocommit=True)


def test_the_writer_may_insert_and_select_and_nothing_else(server: str) -> None:
    """No table of the ledger can be changed, emptied or altered by the role that decides."""
    with as_role(server, secrets.WRITER, "ledger") as writer:
        for table in TABLES:
            writer.execute(f"SELECT * FROM {table}".encode())  # noqa: S608 - constants
            for refused in ("DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    writer.execute(refused.format(table).encode())
        writer.execute("INSERT INTO entry VALUES (0, 'a', 'b', 'c')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute("UPDATE entry SET leaf = 'd'")


def test_the_eraser_may_delete_encrypted_parts_alone(server: str) -> None:
    """Erasing a person needs one table's rows, and no other's."""
    with as_role(server, secrets.ERASER, "ledger") as eraser:
        eraser.execute("DELETE FROM part")
        for table in set(TABLES) - {"part"}:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                eraser.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - constants


def test_who_decides_destroys_no_key(server: str) -> None:
    """The roles that decide and that erase have the rights in the key store that are theirs."""
    keys = make_conninfo(server, dbname="keys")
    writer, eraser = (
        PostgresKeyStore(make_conninfo(keys, user=role))
        for role in (secrets.KEYS_WRITER, secrets.KEYS_ERASER)
    )
    writer.add([WrappedKey(b"key", 1, b"wrapped")])
    assert set() == writer.link([(b"key", b"ref", "b")])
    with pytest.raises(Unavailable):
        writer.destroy([b"key"])
    assert (False, True) == (writer.may_destroy(), eraser.may_destroy())
    eraser.destroy([b"key"])
    assert [] == writer.select()


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("airflow", "ledger"),
        ("mlflow", "ledger"),
        ("ledger_writer", "airflow"),
        ("ledger_writer", "keys"),
        ("ledger_eraser", "keys"),
        ("keys_writer", "ledger"),
    ],
)
def test_a_role_reaches_no_database_but_its_own(server: str, role: str, database: str) -> None:
    """What breaks into one service does not read another's tables."""
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        as_role(server, role, database)


def test_texts_are_unicode_and_passwords_are_never_kept(server: str) -> None:
    """Every database is UTF-8 whatever the server's default; of a password a verifier is kept."""
    with psycopg.connect(server) as admin:
        encodings = admin.execute(
            "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database"
            " WHERE datname IN ('airflow', 'mlflow', 'ledger', 'keys')"
        ).fetchall()
        assert [("UTF8", "C")] * 4 == encodings
        kept = admin.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = ANY(%s)", (list(secrets.ROLES),)
        ).fetchall()
    assert len(secrets.ROLES) == len(kept)
    assert [] == [text for (text,) in kept if not str(text).startswith("SCRAM-SHA-256$")]


def test_a_role_without_a_password_is_named(server: str) -> None:
    """A password file from before a role was made is refused by the role's name."""
    known = {role: word for role, word in PASSWORDS.items() if role != secrets.KEYS_ERASER}
    with pytest.raises(BadRequest) as refused:
        prepare.databases(server, known)
    assert secrets.KEYS_ERASER == refused.value.observed


def test_a_server_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preparation waits for a server that starts, and then says that there is none."""
    monkeypatch.setattr(prepare, "START_SECONDS", 0.0)
    with pytest.raises(Unavailable):
        prepare.databases("postgresql://owner@127.0.0.1:1/postgres", PASSWORDS)


def test_a_volume_is_bound_to_the_image_that_prepared_it(tmp_path: Path) -> None:
    """The checkout is the image's commit; runs recorded before stay; another image is refused."""
    source, repository = tmp_path / "source", tmp_path / "repository"
    git("init", "--quiet", str(source))
    git("-C", str(source), "commit", "--quiet", "--allow-empty", "--message", "one")
    first = prepare.checkout(source, repository)
    git("-C", str(repository), "update-ref", "refs/clew/runs/r1", first)
    git("-C", str(source), "commit", "--quiet", "--allow-empty", "--message", "two")
    second = prepare.checkout(source, repository)
    assert first != second
    assert second == git("-C", str(source), "rev-parse", "HEAD")
    assert first == git("-C", str(repository), "rev-parse", "refs/clew/runs/r1")
    with pytest.raises(Unavailable, match="not prepared"):
        prepare.require(repository)
    (repository / ".git" / prepare.MARK).write_text(
        git("-C", str(prepare.SOURCE), "rev-parse", "HEAD")
    )
    prepare.require(repository)


def test_the_wheels_of_an_old_image_stay(tmp_path: Path) -> None:
    """A new image adds its lock's wheels and takes none away: old models can still be replayed."""
    state, image = State(tmp_path / "state"), tmp_path / "image"
    (state.wheels / "old").mkdir(parents=True)
    (image / "new").mkdir(parents=True)
    (image / "new" / "a.whl").write_text("a")
    assert [1, 0] == [prepare.keep_wheels(image, state) for _ in range(2)]
    assert ["new", "old"] == sorted(each.name for each in state.wheels.iterdir())


def git(*words: str) -> str:
    """Run git as somebody."""
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    done = subprocess.run(["git", *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()
