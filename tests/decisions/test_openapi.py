"""The running service keeps what its own OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn

from pipelines.decisions.service import api_keys
from pipelines.decisions.service.api_keys import ApiKeys, Role
from pipelines.environments import model_python
from pipelines.layout import State
from tests.conftest import ROOT
from tests.decisions.desks import Bench
from tests.ledger.places import SqlitePlace
from tests.ledger.postgres import free_port

EXAMPLES = "30"
HOOKS = Path(__file__).parent / "fuzz"
SEED = "7"


class Served(NamedTuple):
    """A service, its address, and a key that may do anything."""

    bench: Bench
    url: str
    key: str


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Serve decisions of a small model over HTTP."""
    (tmp_path / "place").mkdir()
    place = SqlitePlace(tmp_path / "place")
    bench = Bench(place, tmp_path / "bench")
    port = free_port()
    key = api_keys.create(tmp_path / "keys.json", "fuzzer", list(Role))
    keys = ApiKeys(tmp_path / "keys.json")
    app = bench.app(keys, requests_per_second=1e6, burst=1_000_000)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", server_header=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Served(bench, f"http://127.0.0.1:{port}", key)
    server.should_exit = True
    thread.join()
    place.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_service_keeps_its_own_document(served: Served, state: State) -> None:
    """Schemathesis sends what the document allows and what it forbids: no answer breaks it.

    No server error, no undocumented status or media type, no answer outside its schema, nothing
    accepted that the document refuses; and everything that was decided on is in the ledger.
    """
    (state.home / "schemathesis.toml").write_text(f'[auth.openapi.key]\nbearer = "{served.key}"\n')
    python = model_python(ROOT / "infra" / "locks" / "http.lock", state)
    done = subprocess.run(
        [
            *(str(python), "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"),
            *("--max-examples", EXAMPLES, "--seed", SEED, "--no-color"),
        ],
        cwd=state.home,
        env=os.environ | {"PYTHONPATH": str(HOOKS), "SCHEMATHESIS_HOOKS": "fresh_keys"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout[-6000:] + done.stderr[-2000:]
    assert served.bench.size() > int(EXAMPLES)
