"""Processes of one's own: start them in groups, find every descendant, leave none behind.

A descendant that started a session of its own is still found: on Linux the supervisor adopts
orphans, so the tree below it is whole. Elsewhere the process group is all that can be reached.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.stack.services import Service

PROC = Path("/proc")
SIGNAL_AT_PARENTS_DEATH, ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
PRIVATE_MASK = 0o077
LOOK_SECONDS = 0.05
STATE_FIELD, PARENT_FIELD, START_FIELD = 0, 1, 19  # of /proc/PID/stat, after the name


@dataclass(frozen=True, slots=True)
class Identity:
    """A process beyond doubt: numbers are used again, a number with its start time is not."""

    pid: int
    started: int


def adopt_orphans() -> bool:
    """Make this process the parent of its descendants' orphans. False where that is not known."""
    return _control(ADOPT_ORPHANS, 1)


def _control(option: int, value: int) -> bool:
    """Set an option of this process by Linux's prctl."""
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _end_with_parent() -> None:
    """Between fork and exec: a supervisor that is killed takes its services with it."""
    _control(SIGNAL_AT_PARENTS_DEATH, signal.SIGTERM)


def start(service: Service) -> subprocess.Popen[bytes]:
    """Start a service in a process group of its own; what it prints is appended to its log."""
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("ab") as log:
        return subprocess.Popen(
            service.command,
            env=dict(service.environment),
            cwd=service.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE_MASK,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing else runs at that point
        )


def identity(pid: int) -> Identity | None:
    """Return who has this number now, or None: nobody, or a process that has ended."""
    fields = _stat(pid)
    if fields is None or fields[STATE_FIELD] in {"Z", "X"}:
        return None
    return Identity(pid, int(fields[START_FIELD]))


def alive(one: Identity) -> bool:
    """Return whether this very process still runs."""
    return identity(one.pid) == one


def descendants(root: int) -> tuple[int, ...]:
    """Return the numbers of all running processes below `root`, ended ones left out."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None and fields[STATE_FIELD] not in {"Z", "X"}:
            children.setdefault(int(fields[PARENT_FIELD]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return tuple(found)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group; one that is gone is no fault."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def kill(pid: int) -> None:
    """Kill one process; one that is gone is no fault."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_below(root: int, patience: float = 5.0) -> tuple[int, ...]:
    """Kill everything below `root` and return what still runs after `patience` seconds."""
    end = time.monotonic() + patience
    while (left := descendants(root)) and time.monotonic() < end:
        for pid in left:
            kill(pid)
        reap()
        time.sleep(LOOK_SECONDS)
    return left


def end_leftovers(left: Iterable[Identity], patience: float = 5.0) -> int:
    """Kill what a killed supervisor left running, wait for its end, return how many there were."""
    running = [one for one in left if alive(one)]
    for one in running:
        for pid in (*descendants(one.pid), one.pid):
            kill(pid)
        signal_group(one.pid, signal.SIGKILL)
    end = time.monotonic() + patience
    while any(alive(one) for one in running) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    return len(running)


def reap(known: Iterable[int] = ()) -> None:
    """Collect adopted orphans that have ended; `known` children are their owner's to collect."""
    mine = set(known)
    for pid in _ended_children() if PROC.is_dir() else ():
        if pid not in mine:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _ended_children() -> list[int]:
    """Return the numbers of this process's own children that wait to be collected."""
    ended = []
    for entry in PROC.iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields and int(fields[PARENT_FIELD]) == os.getpid() and fields[STATE_FIELD] == "Z":
            ended.append(int(entry.name))
    return ended


def _stat(pid: int) -> list[str] | None:
    """Return /proc/PID/stat after the name (which may hold spaces and brackets)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return text.rpartition(") ")[2].split()
