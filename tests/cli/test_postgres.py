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
from pipelines.adapters.postgres_ledger import create_schema
from pipelines.decisions.record import decision, draft
from pipelines.layout import State
from pipelines.ledger import verify
from pipelines.ledger.keys import ordered_id
from tests.decisions import desks, versions
from tests.ledger.conftest import cluster  # noqa: F401 - a fixture
from tests.ledger.postgres import Cluster

SUBJECT = "p-marked-7261"
LONG_AGO = int(dt.datetime(2020, 1, 15, tzinfo=dt.UTC).timestamp() * 1000)
WHO = ("--person", "ada", "--reason", "they asked")
URL = wiring.LEDGER_URL_VARIABLE


@pytest.fixture
def urls(cluster: Cluster) -> Iterator[dict[str, str]]:  # noqa: F811
    """Make the ledger's tables and roles in a schema of its own; return each role's URL."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA cli")
        for role in ("cli_writer", "cli_eraser"):
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
            connection.execute(f"GRANT USAGE ON SCHEMA cli TO {role}".encode())
    options = "options='-c search_path=cli'"
    create_schema(f"{cluster.url} {options}", "cli_writer", "cli_eraser")
    yield {
        role: f"{cluster.url.replace('user=owner', f'user=cli_{role}')} {options}"
        for role in ("writer", "eraser")
    }
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA cli CASCADE")
        connection.execute("DROP ROLE cli_writer, cli_eraser")


def clew(folder: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), URL: url},
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


def test_the_command_line_works_on_postgresql(
    scratch: Path,
    state: State,
    tmp_path: Path,
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stop, resume, receipt, export, hold, verify as the writer; erasing wants the eraser's role.

    What the writer began to erase and could not is finished by the eraser.
    """
    monkeypatch.setenv(URL, urls["writer"])
    number, bundle = recorded(state, tmp_path), tmp_path / "bundle"
    for words in (
        ("stop", *WHO),
        ("resume", *WHO),
        ("receipt", number, "--out", str(bundle), "--person", "ada"),
        ("export", SUBJECT, "--out", str(tmp_path / "export"), "--person", "ada"),
        ("hold", SUBJECT, *WHO),
        ("hold", SUBJECT, "--lift", *WHO),
        ("keys", "rotate", *WHO, "--yes"),
        ("verify",),
    ):
        done = clew(scratch, urls["writer"], *words)
        assert 0 == done.returncode, (words, done.stderr)
    assert verify.FINE == verify.verify(bundle, state.ledger_policy)[0]
    assert not state.ledger_database.exists()
    erase = ("erase", SUBJECT, *WHO, "--yes", "--json")
    refused = clew(scratch, urls["writer"], *erase)
    assert 6 == refused.returncode, refused.stderr
    done = clew(scratch, urls["eraser"], *erase)
    assert 0 == done.returncode, done.stderr
    assert 1 == json.loads(done.stdout)["erased"]
    again = ("receipt", number, "--out", str(tmp_path / "again"), "--person", "ada")
    assert "this record was erased" in clew(scratch, urls["writer"], *again).stderr
    assert "parts erased by tombstone" in clew(scratch, urls["writer"], "verify").stdout
