"""An error of the registry is never read as an answer, nor an answer as an error."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.mlflow_registry import MlflowRegistry, prepare
from pipelines.errors import NotThere, Unavailable
from pipelines.layout import State
from tests import registries

ASKED: dict[str, Callable[[MlflowRegistry], Any]] = {
    "aliases": lambda registry: registry.aliases(),
    "version": lambda registry: registry.version("1"),
    "versions": lambda registry: registry.versions(),
    "promotions": lambda registry: registry.promotions(),
    "approvals": lambda registry: registry.approvals("1"),
}
JSON, HTML = "application/json", "text/html"
NO_ANSWERS = {
    "500": (500, HTML, "<h1>Internal Server Error</h1>"),
    "500 in MLflow's words": (500, JSON, json.dumps({"error_code": "INTERNAL_ERROR"})),
    "503 of a proxy": (503, HTML, "no backend"),
    "404 of another server": (404, HTML, "<h1>Not Found</h1>"),
    "404 of another interface": (404, JSON, json.dumps({"detail": "Not Found"})),
    "404 of a gateway": (404, JSON, json.dumps({"error_code": 404, "message": "no route"})),
    "403": (403, HTML, "Invalid Host header"),
    "200 of another server": (200, HTML, "<h1>It works!</h1>"),
    "200 and nothing": (200, JSON, "{}"),
    "200 and no list where one belongs": (
        200,
        JSON,
        json.dumps({"registered_model": {"name": "people", "aliases": "x"}}),
    ),
    "200 about another model": (200, JSON, json.dumps({"registered_model": {"name": "other"}})),
}


@pytest.fixture(autouse=True)
def _one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")


@pytest.fixture
def answering() -> Iterator[Callable[[int, str, str], str]]:
    """Start a server that answers every request alike; give its address."""
    servers: list[HTTPServer] = []

    def start(status: int, kind: str, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def opened(uri: str, home: Path) -> MlflowRegistry:
    return MlflowRegistry(uri, "applicants", State(home))


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("what", NO_ANSWERS)
def test_what_is_no_answer_of_mlflow_is_unavailable(
    answering: Callable[[int, str, str], str], tmp_path: Path, what: str, asked: str
) -> None:
    """Whatever a server says that is not MLflow's own answer makes the registry unavailable."""
    registry = opened(answering(*NO_ANSWERS[what]), tmp_path)
    with pytest.raises(Unavailable):
        ASKED[asked](registry)


@pytest.mark.parametrize("asked", ASKED)
def test_a_port_where_nobody_listens_is_unavailable(tmp_path: Path, asked: str) -> None:
    """A refused connection says nothing of what is in the registry."""
    registry = opened(f"http://127.0.0.1:{registries.free_port()}", tmp_path)
    with pytest.raises(Unavailable):
        ASKED[asked](registry)


def test_a_server_that_never_answers_is_unavailable(tmp_path: Path) -> None:
    """A server that takes the request and is silent is given up after the timeout."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = opened(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        with pytest.raises(Unavailable):
            registry.aliases()


@pytest.mark.parametrize("asked", ASKED)
def test_a_missing_database_is_unavailable_and_stays_missing(tmp_path: Path, asked: str) -> None:
    """A missing database file is not made anew: a new one would have no champion."""
    state = State(tmp_path)
    registry = opened(registries.database_uri(state), tmp_path)
    with pytest.raises(Unavailable, match="no such file"):
        ASKED[asked](registry)
    assert not state.mlflow_database.exists()


@pytest.mark.parametrize("content", [b"", b"not a database, whatever its name says"])
def test_a_file_that_is_not_mlflows_database_is_unavailable(tmp_path: Path, content: bytes) -> None:
    """An empty or foreign file is not filled with empty tables."""
    state = State(tmp_path)
    state.mlflow_database.parent.mkdir(parents=True)
    state.mlflow_database.write_bytes(content)
    with pytest.raises(Unavailable):
        opened(registries.database_uri(state), tmp_path).aliases()
    assert content == state.mlflow_database.read_bytes()


def test_a_database_that_goes_missing_after_it_was_opened_is_unavailable(
    tmp_path: Path, empty_database: Path
) -> None:
    """A registry that once answered is asked again each time."""
    registry = registries.embedded(tmp_path, "applicants", empty_database)
    assert {} == registry.aliases()
    State(tmp_path).mlflow_database.unlink()
    with pytest.raises(Unavailable):
        registry.aliases()


@pytest.mark.parametrize("asked", ASKED)
def test_a_locked_database_is_unavailable(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """A database that another process holds locked is asked later, not taken for empty."""
    monkeypatch.setattr("pipelines.adapters.mlflow_transport.PROBE_SECONDS", 0.1)
    registry = registries.embedded(tmp_path, "applicants", empty_database)
    with closing(sqlite3.connect(State(tmp_path).mlflow_database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="locked"):
            ASKED[asked](registry)
        other.rollback()
    assert {} == registry.aliases()


@pytest.mark.slow
def test_a_database_locked_between_two_questions_is_unavailable(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own report of a locked database is understood too, without the look before."""
    monkeypatch.setattr("pipelines.adapters.mlflow_transport._probe", lambda _: None)
    registry = registries.embedded(tmp_path, "applicants", empty_database)
    registry.aliases()
    with closing(sqlite3.connect(State(tmp_path).mlflow_database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable):
            registry.aliases()
        other.rollback()


def test_an_answering_server_that_has_no_such_model_says_so(
    mlflow_server: str, tmp_path: Path
) -> None:
    """From a real and empty server the answers are: no aliases, no versions, NotThere."""
    registry = MlflowRegistry(mlflow_server, "never-registered", State(tmp_path))
    assert ({}, []) == (registry.aliases(), list(registry.versions()))
    with pytest.raises(NotThere):
        registry.version("1")


def test_preparing_twice_keeps_what_is_there(tmp_path: Path, empty_database: Path) -> None:
    """Prepare makes the database once and never touches one that is there."""
    state = State(tmp_path)
    state.mlflow_artifacts.mkdir(parents=True)
    shutil.copyfile(empty_database, state.mlflow_database)
    registry = opened(registries.database_uri(state), tmp_path)
    registry.register(registries.entry(tmp_path / "work", "applicants"))
    prepare(registries.database_uri(state), state)
    assert 1 == len(registry.versions())
