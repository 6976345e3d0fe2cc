"""Registries for tests: in memory, MLflow's database in this process, a real MLflow server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.adapters.mlflow_registry import MlflowRegistry, prepare
from pipelines.layout import State
from pipelines.ports import RegistryEntry
from pipelines.records import ModelVersion, Promotion

READY_SECONDS = 120


def embedded(home: Path, name: str, template: Path) -> MlflowRegistry:
    """Return a registry on a database of its own, copied from an empty one."""
    state = State(home)
    state.mlflow_artifacts.mkdir(parents=True)
    shutil.copyfile(template, state.mlflow_database)
    return MlflowRegistry(database_uri(state), name, state)


def database_uri(state: State) -> str:
    return f"sqlite:///{state.mlflow_database}"


def empty_database(home: Path) -> Path:
    """Make MLflow's database, with nothing in it."""
    state = State(home)
    prepare(database_uri(state), state)
    return state.mlflow_database


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def server(home: Path, template: Path) -> Iterator[str]:
    """Run a real MLflow server on a copy of an empty database; give its address."""
    port = free_port()
    shutil.copyfile(template, home / "server.db")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{home / 'server.db'}"),
        *("--artifacts-destination", str(home / "served")),
    ]
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).read()  # noqa: S310 - our own http address
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"MLflow's server did not start: {process.poll()}")


def entry(folder: Path, model_name: str, **changes: Any) -> RegistryEntry:
    """Return something to register, made up; `changes` go into the version's record."""
    files = folder / "files"
    shown = folder / "shown"
    for each in (files, shown):
        each.mkdir(parents=True, exist_ok=True)
    (files / "candidate.json").write_text("{}\n")
    (shown / "index.html").write_text("<p>report</p>\n")
    made: dict[str, Any] = {
        "model_name": model_name,
        "version": "",
        "candidate_id": "c" * 64,
        "model_sha256": "a" * 64,
        "verdict_id": "b" * 64,
        "passed": True,
        "run_id": "train-1",
        "commit": "0" * 40,
        "registry_run": "",
        "files_sha256": "f" * 64,
    }
    return RegistryEntry(
        version=ModelVersion(**(made | changes)),
        files=files,
        tags={"clew.recipe": "fair"},
        params={"recipe.seed": "7"},
        metrics={"overall.roc_auc": 0.75},
        folders={"reports/checks": shown},
        dataset={"name": "applicants", "sha256": "d" * 64, "commit": "0" * 40},
        inputs={"income": "number", "job": "string"},
        example={"income": 1.0, "job": "text"},
        description="words",
    )


def promotion(model_name: str, **changes: Any) -> Promotion:
    """Return a first promotion, made up."""
    made: dict[str, Any] = {
        "number": 1,
        "former_id": None,
        "model_name": model_name,
        "version": "1",
        "former_version": None,
        "verdict_id": "b" * 64,
        "approval_id": None,
        "person": "Ada",
        "reason": "better",
        "at": "2026-11-22T09:00:00+00:00",
        "kind": "promote",
    }
    return Promotion(**(made | changes))
