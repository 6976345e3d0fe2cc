"""The supervisor on small real servers: order, restarts, giving up, ending, one at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.layout import State
from pipelines.stack import processes, record, supervisor
from tests.conftest import ROOT

# A supervisor over what its arguments name: healthy servers, or a service that dies at once.
PROGRAM = """
import os, sys, pathlib, signal
from pipelines.errors import ClewError
from pipelines.layout import State
from pipelines.stack import folder, supervisor
from pipelines.stack.services import Health, Service
from pipelines.stack.settings import Settings
home, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
state = State(home)
SERVER = '''
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b'{"one":{"status":"healthy"}}')
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
'''
def service(name, code, port=0, address="", vital=True):
    words = (sys.executable, "-c", code, str(port))
    health = Health(f"http://127.0.0.1:{port}/", "one")
    log = state.logs / f"{name}.log"
    return Service(name, words, dict(os.environ), home, log, health, address, vital)
def tell(line): print(line, file=sys.stderr, flush=True)
try:
    with folder.only_one(state):
        chosen = folder.prepare(state, Settings(grace_seconds=3.0))
        services = [service("server", SERVER, chosen.ports.mlflow, "http://server"),
                    service("doer", SERVER, chosen.ports.airflow)]
        if kind in ("dying", "dispensable"):
            supervisor.FIRST_DELAY_SECONDS = supervisor.LONGEST_DELAY_SECONDS = 0.1
            code, port = "raise SystemExit(7)", chosen.ports.execution
            services.append(service("weak", code, port, vital=kind == "dying"))
        tables = service("tables", "raise SystemExit(%d)" % (3 if kind == "no-tables" else 0))
        kept = tuple(map(supervisor.Kept, services))
        one = supervisor.Supervisor(state, chosen, kept, tell)
        supervisor.supervise(one, tables, lambda _: print("ready", flush=True))
except ClewError as error:
    tell(str(error)); sys.exit(error.exit_code)
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def started(state: State) -> Iterator[list[subprocess.Popen[str]]]:
    """Collect the supervisors a test starts, and leave none of them running."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for one in running:
        for pid in (*processes.descendants(one.pid), one.pid) if one.poll() is None else ():
            processes.kill(pid)
        one.communicate()


def start(state: State, kind: str, started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    one = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(state.home), kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.append(one)
    return one


def until_ready(one: subprocess.Popen[str]) -> None:
    assert one.stdout
    assert "ready\n" == one.stdout.readline()


def pid_of(state: State, name: str) -> int:
    return next(one.pid for one in record.ready(state).services if one.name == name)


def wait_for(claim: object, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.05)
    return bool(claim())  # type: ignore[operator]


def test_a_killed_service_is_started_again(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """A service killed from outside runs again under a new number, its own children gone."""
    until_ready(start(state, "well", started))
    killed = pid_of(state, "doer")
    assert wait_for(lambda: processes.descendants(killed))
    below = processes.descendants(killed)
    os.kill(killed, signal.SIGKILL)
    assert wait_for(lambda: pid_of(state, "doer") != killed)
    assert wait_for(lambda: not any(processes.identity(pid) for pid in below))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(
    state: State, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    """After the signal no process below the supervisor is left, whatever its session."""
    one = start(state, "well", started)
    until_ready(one)
    below = processes.descendants(one.pid)
    assert len(below) >= 4
    one.send_signal(number)
    assert 0 == one.wait(30)
    assert [] == [pid for pid in below if processes.identity(pid)]
    found = record.last(state)
    assert found
    assert ("stopped", ()) == (found.status, found.services)


def test_an_interrupt_ends_it_even_if_interrupts_were_ignored_at_the_start(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """A supervisor started in the background of a script still obeys SIGINT."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        one = start(state, "well", started)
    finally:
        signal.signal(signal.SIGINT, former)
    until_ready(one)
    one.send_signal(signal.SIGINT)
    assert 0 == one.wait(30)


def test_a_second_start_on_the_folder_is_refused(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """One state folder, one supervisor: the second says so, exits 2 and disturbs nothing."""
    first = start(state, "well", started)
    until_ready(first)
    second = start(state, "well", started)
    _, said = second.communicate(timeout=30)
    assert 2 == second.returncode
    assert f"observed: process {first.pid}" in said
    assert "ready" == record.ready(state).status


def test_a_start_after_a_killed_supervisor_works(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """A supervisor that was killed leaves nothing that stops the next one."""
    first = start(state, "well", started)
    until_ready(first)
    below = processes.descendants(first.pid)
    first.kill()
    first.wait(10)
    until_ready(start(state, "well", started))
    named = {one.pid for one in record.ready(state).services}
    assert set() == named & set(below)


def test_a_service_that_cannot_live_ends_the_stack_loudly(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """After five deaths within a minute all is taken down, with exit code 6 and where to look."""
    one = start(state, "dying", started)
    _, said = one.communicate(timeout=90)
    assert 6 == one.returncode
    assert "weak does not run" in said
    assert "5 deaths within a minute" in said
    assert f"tail -n 50 {state.logs / 'weak.log'}" in said
    assert 4 == said.count("starting it again")


def test_a_service_that_is_not_vital_is_gone_on_without(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """The stack is ready without it; it is started again with a bound, and the rest runs on."""
    one = start(state, "dispensable", started)
    until_ready(one)
    assert one.stderr
    said = [one.stderr.readline()]
    while "starting it again in 60.0 s" not in said[-1]:
        said.append(one.stderr.readline())
    assert [f"going on without weak: see {state.logs / 'weak.log'}\n"] == [
        line for line in said if line.startswith("going on")
    ]
    assert 5 == sum("weak ended (exit code 7)" in line for line in said)
    assert one.poll() is None
    assert {"server", "doer"} <= {each.name for each in record.ready(state).services}


def test_a_failed_migration_ends_the_start(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """Without its tables nothing is started: exit code 6 names the migration."""
    one = start(state, "no-tables", started)
    out, said = one.communicate(timeout=30)
    assert (6, "") == (one.returncode, out)
    assert "tables does not run" in said


def test_what_runs_is_written_for_others_to_read(
    state: State, started: list[subprocess.Popen[str]]
) -> None:
    """`services.json` names each process, its address and its log, and no secret."""
    until_ready(start(state, "well", started))
    read = json.loads(state.services.read_text())
    assert ["server", "doer"] == [one["name"] for one in read["services"]]
    assert ["http://server", ""] == [one["address"] for one in read["services"]]
    assert "ready" == read["status"]


@given(st.integers(1, 50))
def test_each_death_waits_longer_up_to_a_bound(deaths: int) -> None:
    """The wait before a restart never shrinks and never passes its bound."""
    assert supervisor.delay(deaths) <= supervisor.delay(deaths + 1)
    assert supervisor.delay(deaths) <= supervisor.LONGEST_DELAY_SECONDS


def test_only_deaths_of_the_last_minute_count() -> None:
    """A service that dies once a day is never given up."""
    assert [50.0, 99.0] == supervisor.recent([0.0, 39.0, 50.0, 99.0], 100.0)
