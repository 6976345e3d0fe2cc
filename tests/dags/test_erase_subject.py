"""Erasing a person through a real run: approved by somebody, and nowhere a word of who it was."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import wiring
from pipelines.decisions import erasure_requests
from pipelines.decisions.load import LoadedModel
from pipelines.decisions.record import decision, draft
from pipelines.errors import Erased
from pipelines.layout import State
from pipelines.ledger import verify
from pipelines.ledger.keys import ordered_id
from tests.conftest import ROOT
from tests.dags.conftest import airflow_environment, python
from tests.decisions import desks, versions

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
SUBJECT, OTHER = "p-marked-7261", "p-other-1"
LONG_AGO = int(dt.datetime(2020, 1, 15, tzinfo=dt.UTC).timestamp() * 1000)
LATELY = int(dt.datetime.now(dt.UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return versions.loaded(tmp_path_factory.mktemp("model") / "version")


@pytest.fixture
def recorded(state: State, model: LoadedModel) -> dict[str, bytes]:
    """Record decisions about two people, one of them long ago too; return the entries' ids."""
    wiring.prepare_ledger(state)
    ledger = wiring.ledger(state)
    found = {}
    for name, who, at in (
        ("old", SUBJECT, LONG_AGO),
        ("new", SUBJECT, LATELY),
        ("other", OTHER, LONG_AGO),
    ):
        data = versions.application(person=who)
        made = decision(data, desks.decided(model, data), desks.ORIGIN, desks.CALL, at)
        found[name] = ordered_id()
        ledger.record(draft(made, found[name], at))
    ledger.close()
    ledger.store.close()
    return found


def referred(scratch: Path) -> str:
    """Return the reference that the command line makes of a person named on stdin."""
    words = ["erase", "-", "--refer", "--person", "ada", "--reason", "they asked"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=scratch,
        env=os.environ | {"PYTHONPATH": str(scratch)},
        input=f"{SUBJECT}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[1]


def run(home: Path, scratch: Path, reference: str, answer: str) -> dict[str, Any]:
    """Run erase_subject for real; a person answers through Airflow's API."""
    environment = airflow_environment(home, scratch, ROOT / "dags") | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
    }
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'dags'}"
    asked = {
        "dag": "erase_subject",
        "conf": {"reference": reference},
        "answer": answer,
        "reason": "I checked who they are",
    }
    found: dict[str, Any] = python("approved_run.py", environment, asked)
    return found


def naming(folder: Path, word: str) -> list[str]:
    """Return the files under a folder that hold a word, databases and their logs among them."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and word.encode() in path.read_bytes()
    ]


def test_an_approved_plan_is_carried_out_and_names_nobody(
    airflow_home: Path, scratch: Path, state: State, recorded: dict[str, bytes]
) -> None:
    """The old record is erased, the young one deferred, others untouched; everything verifies.

    Neither Airflow's database nor its logs, and in the end not the request either, hold the person.
    """
    reference = referred(scratch)
    done = run(airflow_home, scratch, reference, "Approve")
    assert {"plan": "success", "approve": "success", "erase": "success"} == done["tasks"]
    question = done["question"]
    assert 200 == question["status"]
    assert "deferred" in question["body"]
    assert "they asked" in question["body"]
    ledger = wiring.ledger(state)
    with pytest.raises(Erased):
        ledger.read(recorded["old"])
    assert SUBJECT.encode() in ledger.read(recorded["new"]).content
    assert OTHER.encode() in ledger.read(recorded["other"]).content
    ledger.close()
    ledger.store.close()
    found = verify.verify(state.ledger_database, state.ledger_policy, keys=state.data_keys)
    assert verify.FINE == found[0], found
    assert [] == naming(airflow_home, SUBJECT)
    assert [] == naming(state.home, SUBJECT)
    request = erasure_requests.read(state.erasure_requests, reference)
    assert ("", 1) == (request.subject, request.done["erased"])
    assert [] != naming(airflow_home, reference)


def test_a_rejection_erases_nothing_and_is_kept(
    airflow_home: Path, scratch: Path, state: State, recorded: dict[str, bytes]
) -> None:
    """A person's no ends the run in green; the record stays, and so does who said no and why."""
    reference = referred(scratch)
    done = run(airflow_home, scratch, reference, "Reject")
    assert "success" == done["state"]
    ledger = wiring.ledger(state)
    assert SUBJECT.encode() in ledger.read(recorded["old"]).content
    request = erasure_requests.read(state.erasure_requests, reference)
    kept = ledger.read(bytes.fromhex(request.done["rejected"])).content
    ledger.close()
    ledger.store.close()
    assert b"I checked who they are" in kept
    assert b"pat" in kept
    assert [] == naming(state.home, SUBJECT)
