"""`clew serve` as a process of its own: a challenger, from the command line to the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines import wiring
from pipelines.decisions.record import Recorder, as_number
from pipelines.layout import State
from tests import registries
from tests.adapters.conftest import empty_database  # noqa: F401 - a fixture
from tests.decisions import desks, versions

NAME, HEADERS = "people", {"Content-Type": "application/json"}
ENTRY = {
    "dataset": {"name": "people", "sha256": "d" * 64},
    "inputs": {"income": "number"},
    "example": {"income": 1.0},
}
READY_SECONDS = 60


@pytest.fixture
def folder(scratch: Path, state: State, empty_database: Path) -> Path:  # noqa: F811
    """Make a checkout whose registry has two versions, the first in force."""
    params = scratch / "params.yaml"
    text = params.read_text()
    model_name = next(line for line in text.splitlines() if line.startswith("model_name:"))
    params.write_text(text.replace(model_name, f"model_name: {NAME}"))
    registry = registries.embedded(state.home, NAME, empty_database)
    for kind in ("linear", "trees"):
        made = scratch.parent / f"made-{kind}"
        made.mkdir()
        desks.registered(registry, made, kind, **ENTRY)
    desks.promote(registry, "1")
    return scratch


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[str]:
    """Run the decision service; give its address once it decides."""
    port = registries.free_port()
    running = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "serve", "--port", str(port), *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + READY_SECONDS
        while not decides(f"http://127.0.0.1:{port}"):
            assert running.poll() is None, running.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.communicate(timeout=READY_SECONDS)


def decides(address: str) -> bool:
    try:
        return bool(asked(f"{address}/v1/health")["decides"])
    except OSError:
        return False


def asked(url: str, data: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, data, HEADERS)  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def test_a_challenger_is_in_the_record_and_not_in_the_answer(
    folder: Path, state: State, tmp_path: Path
) -> None:
    """`--challenger 2` scores every application beside the champion, and nobody is told."""
    sent = versions.application()
    with serving(folder, "--challenger", "2") as address:
        shadowed = asked(f"{address}/v1/decisions", sent)
    with serving(folder) as address:
        alone = asked(f"{address}/v1/decisions", sent)
    ledger = wiring.ledger(state)
    recorder = Recorder(ledger)
    kept, without = (
        recorder.read(as_number(each["decision_id"])).made for each in (shadowed, alone)
    )
    ledger.close()
    trees = desks.decided(versions.loaded(tmp_path / "trees", "trees", "2"), sent)

    shadow = kept.decided.shadow
    assert shadow is not None
    assert (NAME, "2") == (shadow.model.model_name, shadow.model.version)
    assert (trees.outcome, trees.margin) == (shadow.outcome, shadow.margin)
    assert without.decided.shadow is None
    assert {"name": NAME, "version": "1"} == shadowed["model"]
    own = ("decision_id", "receipt")
    assert alone.keys() == shadowed.keys()
    assert [alone[name] for name in alone if name not in own] == [
        shadowed[name] for name in alone if name not in own
    ]
    assert str(shadow.margin) not in json.dumps(shadowed)
