"""A witness in a process of its own, from key to quorum, and what it sees that the log hides."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.decisions.record import Recorder
from pipelines.layout import State
from pipelines.ledger import verify
from tests.decisions import desks, versions


def clew(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def witnessing(folder: Path, place: Path, logs: Path) -> Iterator[str]:
    """Run a witness on another folder than the log's; give its address, then kill it."""
    files = ["--key", str(place / "key"), "--logs", str(logs), "--memory", str(place / "memory")]
    running = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "witness", "serve", *files, "--port", "0"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stderr
        yield running.stderr.readline().split()[-1]
    finally:
        running.kill()
        running.communicate()


@pytest.fixture
def decided(state: State, tmp_path: Path) -> str:
    """Record a decision; return its id."""
    model = versions.loaded(tmp_path / "model")
    wiring.prepare_ledger(state)
    ledger = wiring.ledger(state)
    data = versions.application()
    made = Recorder(ledger).record(data, desks.decided(model, data), desks.ORIGIN, desks.CALL)
    ledger.close()
    ledger.store.close()
    return made.id


def test_a_quorum_names_a_witness_in_another_process(
    scratch: Path, state: State, tmp_path: Path, decided: str
) -> None:
    """What the witness cosigned verifies under a policy that asks for it, and nothing else does.

    Killed and started again it remembers: an older backup of the log is refused.
    """
    place = tmp_path / "witness"
    place.mkdir()
    logs = place / "logs"
    shutil.copy(state.ledger_policy, logs)
    vkey = clew(scratch, "witness", "keygen", "w.example/1", "--key", str(place / "key")).stdout
    backup, guard = tmp_path / "backup", tmp_path / "guard"
    with witnessing(scratch, place, logs) as url:
        shutil.copytree(state.ledger, backup)
        shutil.copy(state.ledger_guard, guard)
        pulled = clew(scratch, "witness", "pull", url, vkey.strip(), "--require", "w")
        assert 0 == pulled.returncode, pulled.stderr
        assert "quorum w\n" in state.ledger_policy.read_text()
        bundle = tmp_path / "bundle"
        words = ("receipt", decided, "--out", str(bundle), "--person", "ada")
        assert 0 == clew(scratch, *words).returncode
        assert verify.FINE == verify.verify(bundle, state.ledger_policy)[0]
        assert "witnessed up to 1" in clew(scratch, "verify").stdout
        assert 0 == clew(scratch, "witness", "pull", url, vkey.strip()).returncode
        assert "witnessed up to 2" in clew(scratch, "verify").stdout
    alone = (bundle / "proof.tlog-proof").read_text().splitlines()
    cut = [line for line in alone if not line.startswith("— w.example/1 ")]
    assert len(alone) == len(cut) + 1
    (bundle / "proof.tlog-proof").write_text("\n".join(cut) + "\n")
    assert verify.CANNOT == verify.verify(bundle, state.ledger_policy)[0]
    shutil.rmtree(state.ledger)
    shutil.copytree(backup, state.ledger)
    shutil.copy(guard, state.ledger_guard)
    with witnessing(scratch, place, logs) as url:
        refused = clew(scratch, "witness", "pull", url, vkey.strip())
    assert 5 == refused.returncode
    assert "the witness has seen a longer log" in refused.stderr
