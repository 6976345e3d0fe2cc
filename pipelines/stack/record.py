"""What runs, for everybody else to read: `services.json` in the state folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import msgspec

from pipelines.errors import Unavailable
from pipelines.layout import State
from pipelines.stack import processes
from pipelines.stack.settings import Ports
from pipelines.typed import plain, read_json

Status = Literal["starting", "ready", "stopped"]
HINT = "clew up"
RECORD_PAGE = "/record/"


class Running(msgspec.Struct, frozen=True):
    """One service of the stack: its process (number and start time), address and log."""

    name: str
    pid: int
    started: int
    log: str
    address: str = ""


class Services(msgspec.Struct, frozen=True):
    """The stack of a state folder. Status: starting, ready, or stopped (then nothing runs)."""

    status: Status
    host: str
    ports: Ports
    supervisor: Running
    services: tuple[Running, ...] = ()

    @property
    def airflow(self) -> str:
        """The address of Airflow's UI and REST API."""
        return f"http://{self.host}:{self.ports.airflow}"

    @property
    def mlflow(self) -> str:
        """The address of MLflow's UI and tracking server."""
        return f"http://{self.host}:{self.ports.mlflow}"

    @property
    def decisions(self) -> str:
        """The address of the decision service; empty when it is left out."""
        port = self.ports.decisions
        return f"http://{self.host}:{port}" if port else ""

    @property
    def pages(self) -> str:
        """The address of the record's first page; empty where it is left out."""
        port = self.ports.pages
        return f"http://{self.host}:{port}{RECORD_PAGE}" if port else ""

    @property
    def evidently(self) -> str:
        """The address of Evidently's pages of the watch; empty where they are left out."""
        port = self.ports.evidently
        return f"http://{self.host}:{port}" if port else ""


def running(name: str, pid: int, log: Path, address: str = "") -> Running:
    """Return the record of a process that has just been started."""
    found = processes.identity(pid)
    return Running(name, pid, found.started if found else 0, str(log), address)


def alive(one: Running) -> bool:
    """Return whether the recorded process, and not another with its number, still runs."""
    return processes.alive(processes.Identity(one.pid, one.started))


def write(state: State, services: Services) -> None:
    """Replace `services.json`, whole or not at all."""
    draft = state.services.with_name(f".{state.services.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(plain(services), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(state.services)


def last(state: State) -> Services | None:
    """Return what `services.json` says, running or not; None before the first start."""
    return read_json(state.services, Services) if state.services.is_file() else None


def ready(state: State) -> Services:
    """Return the stack that runs. Raises Unavailable when there is none, or it is not ready."""
    found = last(state)
    if found is None or found.status == "stopped" or not alive(found.supervisor):
        raise Unavailable("the stack does not run", where=str(state.home), hint=HINT)
    if found.status != "ready":
        raise Unavailable("the stack is still starting", where=str(state.home), hint="try again")
    return found
