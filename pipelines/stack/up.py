"""Bring the stack up: in the foreground until Ctrl-C, or in the background for a caller.

``python -m pipelines.stack.up`` is the background form; it reads its orders from stdin.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import pipelines
from pipelines.errors import ClewError, Unavailable, by_exit_code
from pipelines.layout import State
from pipelines.stack import processes, record, supervisor
from pipelines.stack.settings import Settings
from pipelines.typed import convert, plain

LOOK_SECONDS = 0.1
LOG_NAME = "supervisor.log"
LINES_SHOWN = 8


class Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a supervisor in the background is told: folders, settings, and whose end is its own."""

    home: str
    repository: str
    settings: Settings
    parent: int = 0


def table(state: State, settings: Settings, services: record.Services) -> str:
    """Return the addresses, the users, and where (not what) their passwords are."""
    users = ", ".join(f"{user.name} ({user.role})" for user in settings.users)
    rows = (
        ("Airflow", services.airflow),
        ("MLflow", services.mlflow),
        ("decisions", f"{services.decisions}/docs" if services.decisions else "left out"),
        ("record", services.pages or "left out"),
        ("watch", services.evidently or "left out"),
        ("users", users),
        ("passwords", str(state.users)),
        ("logs", str(state.logs)),
        ("state", str(state.home)),
    )
    return "\n".join(f"{name:<10} {text}" for name, text in rows)


def run(
    state: State, repository: Path, settings: Settings, *, serve: bool = True
) -> record.Services:
    """Start the whole stack on `state` for the DAGs of `repository` and return what runs.

    With `serve` the call stays until SIGINT, SIGTERM or SIGHUP, then takes everything down, and
    the addresses are printed once all is healthy. Without, it returns when all is healthy and the
    stack runs on in the background until `stop`.
    Raises BadRequest when a stack runs on this folder, Unavailable when a service cannot live.
    """
    if not serve:
        return _start_background(state, repository, settings, parent=0)

    def show(services: record.Services) -> None:
        print(table(state, settings, services), flush=True)

    supervisor.run(state, repository, settings, _tell, show)
    return _last(state)


@contextmanager
def running(state: State, repository: Path, settings: Settings) -> Iterator[record.Services]:
    """Have a stack for the length of a ``with`` block; it also ends when this process does."""
    services = _start_background(state, repository, settings, parent=os.getpid())
    try:
        yield services
    finally:
        stop(state)


def stop(state: State) -> None:
    """End the stack of a state folder and wait until nothing of it runs. None running: no fault.

    Raises Unavailable when it does not end within three times its grace time.
    """
    found = record.last(state)
    if found is None or not record.alive(found.supervisor):
        return
    os.kill(found.supervisor.pid, signal.SIGTERM)
    end = time.monotonic() + 3 * Settings().grace_seconds
    while record.alive(found.supervisor):
        if time.monotonic() > end:
            raise Unavailable("the stack does not end", observed=f"pid {found.supervisor.pid}")
        time.sleep(LOOK_SECONDS)


def _start_background(
    state: State, repository: Path, settings: Settings, parent: int
) -> record.Services:
    orders = Orders(str(state.home), str(repository), settings, parent)
    state.logs.mkdir(parents=True, exist_ok=True)
    log = state.logs / LOG_NAME
    shown = log.stat().st_size if log.exists() else 0
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.stack.up"],
            env=os.environ | {"PYTHONPATH": str(Path(pipelines.__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    with process.stdin as orders_pipe:  # type: ignore[union-attr]
        orders_pipe.write(json.dumps(plain(orders)).encode())
    return _wait_until_ready(state, process, log, shown)


def _wait_until_ready(
    state: State, process: subprocess.Popen[bytes], log: Path, before: int
) -> record.Services:
    """Relay the supervisor's progress until it is ready; its failure is raised as its own kind."""
    shown = before
    while (code := process.poll()) is None:
        text = log.read_bytes()[shown:]
        shown += len(text)
        sys.stderr.write(text.decode(errors="replace"))
        sys.stderr.flush()
        if (found := _ready(state, process.pid)) is not None:
            return found
        time.sleep(LOOK_SECONDS)
    said = log.read_bytes()[before:].decode(errors="replace").strip()
    kind = by_exit_code(code)
    last_lines = "\n".join(said.splitlines()[-LINES_SHOWN:])
    raise kind("the stack did not start", where=str(log), observed=last_lines)


def _ready(state: State, pid: int) -> record.Services | None:
    found = record.last(state)
    is_ready = found and found.status == "ready" and found.supervisor.pid == pid
    return found if is_ready else None


def _last(state: State) -> record.Services:
    found = record.last(state)
    if found is None:
        raise Unavailable("the stack never started", where=str(state.home))
    return found


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end_with(parent: processes.Identity) -> None:
    """Ask this process to stop as soon as `parent` has ended."""
    while processes.alive(parent):
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run a supervisor on the orders that stdin holds; return its exit code."""
    orders = convert(json.load(sys.stdin), Orders, "orders")
    state = State(Path(orders.home))
    if parent := orders.parent and processes.identity(orders.parent):
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        supervisor.run(state, Path(orders.repository), orders.settings, _tell, lambda _: None)
    except ClewError as error:
        _tell(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
