"""The state folder of a stack: held by one supervisor at a time, private, its leftovers ended."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.stack import credentials, processes, record
from pipelines.stack.settings import Settings, resolve_ports

LOG_BYTES = 16 << 20


@contextmanager
def only_one(state: State) -> Iterator[None]:
    """Hold the state folder's lock. Raises BadRequest when a supervisor holds it already."""
    state.home.mkdir(mode=credentials.PRIVATE_FOLDER, parents=True, exist_ok=True)
    with state.services_lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = record.last(state)
            raise BadRequest(
                "a stack runs on this state folder already",
                where=str(state.home),
                observed=f"process {found.supervisor.pid}" if found else "a held lock",
                expected="one stack for each state folder",
                hint="stop it with Ctrl-C where it runs, or choose another CLEW_HOME",
            ) from None
        yield


def prepare(state: State, settings: Settings) -> Settings:
    """Make the state folder ready, end what a killed supervisor left, and choose the ports."""
    before = record.last(state)
    if before:
        processes.end_leftovers(processes.Identity(one.pid, one.started) for one in before.services)
    state.home.chmod(credentials.PRIVATE_FOLDER)
    for folder in _folders(state):
        folder.mkdir(mode=credentials.PRIVATE_FOLDER, parents=True, exist_ok=True)
    for log in state.logs.glob("*.log"):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
    credentials.ensure_users(state, settings.users)
    return resolve_ports(settings, before.ports if before else None)


def _folders(state: State) -> tuple[Path, ...]:
    return (
        state.airflow,
        state.airflow_bundles,
        state.logs,
        state.temporary,
        state.program_cache,
        state.lineage.parent,
        state.mlflow_database.parent,
        state.mlflow_artifacts,
    )
