"""Finding and ending every descendant, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.stack import processes
from pipelines.stack.services import Health, Service
from tests.conftest import ROOT

# A process that starts another in a session of its own, prints its number, and sleeps.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
# A supervisor of one such process: adopts orphans, kills it, waits, then kills all below itself.
SUPERVISOR = """
import os, subprocess, sys, time
from pipelines.stack import processes
assert processes.adopt_orphans()
one = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
orphan = int(one.stdout.readline())
one.kill(); one.wait()
found = orphan in processes.descendants(os.getpid())
left = processes.kill_below(os.getpid())
print(found, len(left), processes.identity(orphan) is None)
"""


def service(tmp_path: Path, *words: str) -> Service:
    log = tmp_path / "logs" / "one.log"
    return Service("one", words, os.environ.copy(), tmp_path, log, Health(""))


def wait_for_end(pid: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while processes.identity(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return processes.identity(pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_an_orphan_in_a_session_of_its_own_is_still_found_and_ended() -> None:
    """A grandchild whose parent died and that left its group does not escape."""
    done = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, PARENT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("True 0 True", 0) == (done.stdout.strip(), done.returncode), done.stderr


def test_a_process_is_known_by_its_start_and_not_by_its_number_alone() -> None:
    """A number that another process has taken over does not stand for the one that ended."""
    own = processes.identity(os.getpid())
    assert own is not None
    assert processes.alive(own)
    assert not processes.alive(processes.Identity(own.pid, own.started - 1))


def test_a_service_logs_to_its_file_which_only_its_owner_can_read(tmp_path: Path) -> None:
    """What a service prints is kept, whole, in a private file."""
    one = service(tmp_path, sys.executable, "-c", "open('made', 'w'); print('hello')")
    assert 0 == processes.start(one).wait(30)
    assert "hello\n" == one.log.read_text()
    assert 0o600 == (tmp_path / "made").stat().st_mode & 0o777


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a child of its parent's end")
def test_a_killed_supervisor_takes_its_services_with_it(tmp_path: Path) -> None:
    """A service is told to end when the process that started it is killed."""
    code = """
import os, sys, pathlib, signal
from pipelines.stack import processes
from pipelines.stack.services import Health, Service
from tests.conftest import ROOT
here = pathlib.Path(sys.argv[1])
words = (sys.executable, "-c", "import time; time.sleep(600)")
print(processes.start(Service("one", words, dict(os.environ), here, here / "log",
                              Health(""))).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert -signal.SIGKILL == done.returncode
    assert wait_for_end(int(done.stdout))


def test_what_a_killed_supervisor_left_is_ended(tmp_path: Path) -> None:
    """Leftovers go, with what they started, and a stranger with a used number stays."""
    one = processes.start(service(tmp_path, sys.executable, "-c", PARENT))
    log = tmp_path / "logs" / "one.log"
    while not log.read_text().endswith("\n"):
        time.sleep(0.05)
    grandchild = int(log.read_text())
    left = processes.identity(one.pid)
    own = processes.identity(os.getpid())
    assert left
    assert own
    stranger = processes.Identity(own.pid, own.started - 1)
    assert 1 == processes.end_leftovers([left, stranger])
    one.wait(10)
    assert wait_for_end(grandchild)
