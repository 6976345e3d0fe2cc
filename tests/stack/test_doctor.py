"""The doctor: each check sees what is wrong, and what cannot be checked has failed."""

from __future__ import annotations

import datetime as dt
import os
import socket
import sys
from pathlib import Path

import msgspec
import pytest

from pipelines import params, wiring
from pipelines.layout import State
from pipelines.ledger.entry import Body, Draft
from pipelines.stack import credentials, doctor, record
from pipelines.stack.doctor import Finding
from pipelines.stack.settings import DEFAULT_USERS, Ports, Settings
from pipelines.watch.deeds import Deed, Deeds
from tests.conftest import ROOT

LOCK = ROOT / "infra" / "locks" / "clew.lock"


@pytest.fixture
def state(tmp_path: Path) -> State:
    one = State(tmp_path / "state")
    one.home.mkdir(mode=0o700)
    return one


def finding(
    name: str, state: State, lock: Path = LOCK, settings: Settings | None = None
) -> Finding:
    found = doctor.examine(state, ROOT, lock, settings or Settings())
    return next(one for one in found if one.name == name)


def test_a_sound_machine_lacks_only_a_running_stack(state: State) -> None:
    """On a machine that is set up everything is right but what was not started."""
    found = doctor.examine(state, ROOT, LOCK, Settings())
    assert ["services"] == [one.name for one in found if not one.ok]
    assert ["clew up"] == [one.hint for one in found if one.hint]


def test_a_package_in_another_version_is_found(state: State, tmp_path: Path) -> None:
    """What is installed is compared with the lock, package by package."""
    lock = tmp_path / "some.lock"
    lock.write_text("numpy==0.0.1 \\\n    --hash=sha256:00\npytest-not-there==1.0\n")
    found = finding("packages", state, lock)
    assert not found.ok
    assert found.observed.startswith("0 of 2 as pinned; not: numpy ")
    assert found.observed.endswith(", pytest-not-there missing")


def test_a_package_for_another_system_is_not_asked_for(state: State, tmp_path: Path) -> None:
    """A line whose marker does not hold here is no fault."""
    lock = tmp_path / "some.lock"
    lock.write_text("pytest-not-there==1.0 ; sys_platform == 'nowhere' \\\n    --hash=sha256:00\n")
    lock.write_text(lock.read_text() + "msgspec>=0\n")
    assert "1 of 1 as pinned" == finding("packages", state, lock).observed


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_lock_is_no_lock(state: State, tmp_path: Path, text: str) -> None:
    """Nothing pinned is not everything installed."""
    lock = tmp_path / "some.lock"
    lock.write_text(text)
    assert not finding("packages", state, lock).ok


def test_a_lock_that_cannot_be_read_has_failed(state: State, tmp_path: Path) -> None:
    """A check that cannot be made is a failure, not a pass."""
    found = finding("packages", state, tmp_path / "none.lock")
    assert (False, "could not be checked: FileNotFoundError") == (found.ok, found.observed)


def test_an_open_state_folder_is_found(state: State) -> None:
    """A state folder that others can read is named with its mode."""
    state.home.chmod(0o755)
    assert "state 755" == finding("state folder", state).observed


def test_an_open_password_file_is_found(state: State) -> None:
    """A password file that others can read is named with its mode."""
    credentials.ensure_users(state, DEFAULT_USERS)
    state.users.chmod(0o644)
    assert "users.json 644" == finding("state folder", state).observed


def test_a_taken_port_is_found(state: State) -> None:
    """A fixed port in other hands is a fault."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(ports=Ports(mlflow=other.getsockname()[1]))
        assert not finding("ports", state, settings=settings).ok


def test_a_damaged_database_is_found(state: State) -> None:
    """A file that is no database is a fault."""
    state.airflow.mkdir()
    state.airflow_database.write_bytes(b"not a database, " * 1024)
    assert not finding("databases", state).ok


def test_an_unreachable_database_is_found_without_its_url(state: State) -> None:
    """A database that cannot be reached is a fault, and its password is not told."""
    settings = Settings(airflow_database="postgresql+psycopg://a:hush@127.0.0.1:1/airflow")
    found = finding("databases", state, settings=settings)
    assert not found.ok
    assert "hush" not in str(found)


def test_a_stack_that_is_gone_is_not_taken_for_running(state: State) -> None:
    """A record of a process that has ended, its number used again, says nothing runs."""
    own = record.running("supervisor", os.getpid(), state.services)
    gone = record.Running("supervisor", own.pid, own.started - 1, "")
    record.write(state, record.Services("ready", "127.0.0.1", Ports(), gone))
    assert "the stack does not run" == finding("services", state).observed


def test_a_stack_that_does_not_answer_is_sick(state: State) -> None:
    """Servers that do not answer are named, every one."""
    own = record.running("supervisor", os.getpid(), state.services)
    record.write(state, record.Services("ready", "127.0.0.1", Ports(1, 2, 3), own))
    expected = "not healthy: metadatabase, scheduler, dag_processor, triggerer, mlflow, execution"
    assert expected == finding("services", state).observed
    record.write(state, record.Services("ready", "127.0.0.1", Ports(1, 2, 3, 4, 5, 6), own))
    assert f"{expected}, decisions, evidently, pages" == finding("services", state).observed


def test_the_python_that_runs_is_told(state: State) -> None:
    """The version observed is this interpreter's."""
    assert sys.version.split()[0] == finding("python", state).observed


def recorded_on(state: State, at: dt.datetime) -> None:
    """Put one record into the state folder's ledger, made at that time."""
    wiring.prepare_ledger(state)
    ledger = wiring.ledger(state)
    draft = Draft(
        "stop", {}, (Body("staff Ada", "operation", b"{}"),), time_ms=int(at.timestamp() * 1000)
    )
    ledger.record(draft)
    ledger.close()
    ledger.store.close()


def test_a_watch_that_did_not_run_is_found(state: State) -> None:
    """Windows that were due, had something to watch and were not watched fail a check by name."""
    assert "nothing was recorded yet" == finding("watch", state).observed
    recorded_on(state, dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    found = finding("watch", state)
    assert not found.ok
    assert 12 == found.observed.count("was not watched: clew watch --window 20")


def test_an_alert_that_was_not_delivered_is_found(state: State) -> None:
    """What people were not told of stays a failed check until they are."""
    known = params.read(ROOT / "params.yaml")
    journal = state.watch / known.model_name / "w" / "deeds.json"
    journal.parent.mkdir(parents=True)
    failed = Deed(
        what="alert",
        finding="drift/a/psi",
        version="1",
        report_id="r",
        target="t",
        done=False,
        said="a target did not take an alert",
        at="2026-11-22T09:00:00+00:00",
    )
    journal.write_bytes(Deeds(deeds=(failed,)).canonical())
    assert "1 alerts of the window w were not delivered" in finding("watch", state).observed
    told = msgspec.structs.replace(failed, done=True)
    journal.write_bytes(Deeds(deeds=(failed, told)).canonical())
    assert finding("watch", state).ok
