"""The command line on a ledger in a real PostgreSQL, with the roles that production has."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pipelines import wiring
from pipelines.adapters import postgres_key_store, postgres_ledger
from pipelines.decisions.record import decision, draft
from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.ledger import verify
from pipelines.ledger.keys import ordered_id
from tests.decisions import desks, versions
from tests.ledger.conftest import cluster  # noqa: F401 - a fixture
from tests.ledger.postgres import Cluster

SUBJECT = "p-marked-7261"
LONG_AGO = int(dt.datetime(2020, 1, 15, tzinfo=dt.UTC).timestamp() * 1000)
WHO = ("--person", "ada", "--reason", "they asked")
URL, KEYS_URL = wiring.LEDGER_URL_VARIABLE, wiring.KEYS_URL_VARIABLE
ROLES = ("writer", "eraser")


@pytest.fixture
def roles(cluster: Cluster) -> Iterator[dict[str, dict[str, str]]]:  # noqa: F811
    """Make tables and roles in schemas of their own; return each role's variables."""
    places = {URL: "cli", KEYS_URL: "cli_keys"}
    names = [f"{schema}_{role}" for schema in places.values() for role in ROLES]
    options = "options='-c search_path={}'"
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        for schema in places.values():
            connection.execute(f"CREATE SCHEMA {schema}".encode())
            for role in ROLES:
                connection.execute(f"CREATE ROLE {schema}_{role} LOGIN".encode())
                connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_{role}".encode())
    for maker, schema in zip((postgres_ledger, postgres_key_store), places.values(), strict=True):
        url = f"{cluster.url} {options.format(schema)}"
        maker.create_schema(url, f"{schema}_writer", f"{schema}_eraser")
    yield {
        role: {
            variable: cluster.url.replace("user=owner", f"user={schema}_{role}")
            + f" {options.format(schema)}"
            for variable, schema in places.items()
        }
        for role in ROLES
    }
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA cli, cli_keys CASCADE")
        connection.execute(f"DROP ROLE {', '.join(names)}".encode())


def clew(folder: Path, role: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | role,
        capture_output=True,
        text=True,
        check=False,
    )


def recorded(state: State, folder: Path) -> str:
    """Record a decision that is old enough to be erased; return its id."""
    wiring.prepare_ledger(state)
    ledger = wiring.ledger(state)
    data = versions.application(person=SUBJECT)
    made = desks.decided(versions.loaded(folder / "model"), data)
    number = ordered_id()
    kept = decision(data, made, desks.ORIGIN, desks.CALL, LONG_AGO)
    ledger.record(draft(kept, number, LONG_AGO))
    ledger.close()
    ledger.store.close()
    return number.hex()


@pytest.fixture
def number(
    state: State, tmp_path: Path, roles: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> str:
    for name, url in roles["writer"].items():
        monkeypatch.setenv(name, url)
    return recorded(state, tmp_path)


def test_the_command_line_works_on_postgresql(
    scratch: Path, state: State, tmp_path: Path, roles: dict[str, dict[str, str]], number: str
) -> None:
    """Stop, resume, receipt, export, hold, verify as the writer; erasing as the eraser."""
    writer, eraser, bundle = roles["writer"], roles["eraser"], tmp_path / "bundle"
    for role, words in (
        (writer, ("stop", *WHO)),
        (writer, ("resume", *WHO)),
        (writer, ("receipt", number, "--out", str(bundle), "--person", "ada")),
        (writer, ("export", SUBJECT, "--out", str(tmp_path / "export"), "--person", "ada")),
        (writer, ("hold", SUBJECT, *WHO)),
        (eraser, ("hold", SUBJECT, "--lift", *WHO)),
        (eraser, ("keys", "rotate", *WHO, "--yes")),
        (writer, ("verify",)),
    ):
        done = clew(scratch, role, *words)
        assert 0 == done.returncode, (words, done.stderr)
    assert verify.FINE == verify.verify(bundle, state.ledger_policy)[0]
    assert not state.ledger_database.exists()
    assert not state.data_keys.exists()
    done = clew(scratch, eraser, "erase", SUBJECT, *WHO, "--yes", "--json")
    assert 0 == done.returncode, done.stderr
    assert 1 == json.loads(done.stdout)["erased"]
    again = ("receipt", number, "--out", str(tmp_path / "again"), "--person", "ada")
    assert "this record was erased" in clew(scratch, writer, *again).stderr
    assert "parts erased by tombstone" in clew(scratch, writer, "verify").stdout


@pytest.mark.parametrize(
    ("words", "hold", "said"),
    [
        (("erase", SUBJECT, *WHO, "--yes"), False, "as ledger_eraser"),
        (("keys", "rotate", *WHO, "--yes"), False, "as keys_eraser"),
        (("hold", SUBJECT, "--lift", *WHO), True, "as keys_eraser"),
    ],
)
@pytest.mark.usefixtures("number")
def test_the_writer_is_refused_before_anything_is_written(
    scratch: Path,
    state: State,
    roles: dict[str, dict[str, str]],
    words: tuple[str, ...],
    hold: bool,
    said: str,
) -> None:
    """What only the eraser may do names the role it needs, and leaves log, keys and ring alone."""
    if hold:
        assert 0 == clew(scratch, roles["writer"], "hold", SUBJECT, *WHO).returncode
    before = everything(state)
    refused = clew(scratch, roles["writer"], *words)

    assert 2 == refused.returncode, refused.stderr
    assert said in refused.stderr
    assert before == everything(state)


def test_the_ledgers_eraser_alone_is_refused(
    scratch: Path, state: State, roles: dict[str, dict[str, str]], number: str
) -> None:
    """Who may delete records and not destroy keys erases nothing."""
    before = everything(state)
    mixed = {URL: roles["eraser"][URL], KEYS_URL: roles["writer"][KEYS_URL]}
    refused = clew(scratch, mixed, "erase", SUBJECT, *WHO, "--yes")

    assert 2 == refused.returncode, refused.stderr
    assert "as keys_eraser" in refused.stderr
    assert before == everything(state)
    done = ("receipt", number, "--out", str(scratch / "bundle"), "--person", "ada")
    assert 0 == clew(scratch, roles["writer"], *done).returncode


def test_a_file_of_keys_beside_the_database_is_refused(state: State, number: str) -> None:
    """Data keys in a file, which a database would hide, are never passed over."""
    state.data_keys.touch()
    with pytest.raises(BadRequest, match="in a file"):
        wiring.key_store(state)
    assert number


def test_keys_move_from_a_file_into_the_database(
    scratch: Path,
    state: State,
    tmp_path: Path,
    roles: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What keys in a file sealed is read, held and verified with the same keys in the database."""
    ledger_alone = {URL: roles["writer"][URL]}
    monkeypatch.setenv(URL, ledger_alone[URL])
    monkeypatch.delenv(KEYS_URL, raising=False)
    number = recorded(state, tmp_path)
    assert 0 == clew(scratch, ledger_alone, "hold", SUBJECT, *WHO).returncode
    refused = clew(scratch, roles["writer"], "verify")
    assert (2, True) == (refused.returncode, "clew keys move" in refused.stderr)
    refused = clew(scratch, roles["writer"], "keys", "move", *WHO, "--yes")
    assert (2, True) == (refused.returncode, "as keys_eraser" in refused.stderr)
    assert state.data_keys.exists()
    moved = clew(scratch, roles["eraser"], "keys", "move", *WHO, "--yes")
    assert 0 == moved.returncode, moved.stderr
    assert [] == list(state.keys.glob("data-keys*"))
    words = ("receipt", number, "--out", str(tmp_path / "bundle"), "--person", "ada")
    for again in (("verify",), words):
        assert 0 == clew(scratch, roles["writer"], *again).returncode
    held = clew(scratch, roles["eraser"], "erase", SUBJECT, *WHO, "--yes")
    assert (4, True) == (held.returncode, "legal hold" in held.stderr)
    assert 7 == clew(scratch, roles["eraser"], "keys", "move", *WHO, "--yes").returncode


def everything(state: State) -> tuple[object, ...]:
    """Return what an erasure, a rotation or a lifted hold would change."""
    store, keys = wiring.ledger_store(state), wiring.key_store(state)
    ids = sorted(row.key_id for row in keys.select() if row.ref)
    try:
        parts = len(list(store.parts(0, 1000)))
        return store.note(), parts, ids, keys.generation(), keys.holds(), ring(state)
    finally:
        store.close()


def ring(state: State) -> str:
    return state.ledger_ring.read_text()
