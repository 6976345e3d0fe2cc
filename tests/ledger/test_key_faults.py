"""A disk that fails while keys are replaced: refused, nothing lost, and done by the next try."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.errors import Erased
from pipelines.layout import State
from pipelines.ledger import verify
from pipelines.ledger.erasure import erase, finish_erasures, plan
from pipelines.ledger.rotation import rotate
from tests.conftest import ROOT
from tests.ledger.places import draft
from tests.ledger.test_rotation import TOLD, opened, shut, signed_by
from tests.system import failing_disk

PROGRAM = """
import sys; from pathlib import Path
from pipelines.errors import ClewError; from pipelines.layout import State
from tests.ledger import test_key_faults as acts
state = State(Path(sys.argv[1])); (state.home / "fail").touch()
try: getattr(acts, sys.argv[2])(state); print("done")
except ClewError as error: print(type(error).__name__)
"""


def wrapping(state: State) -> None:
    """Rotate the key that wraps the data keys."""
    ledger = opened(state)
    try:
        ledger.keys.rotate()
    finally:
        shut(ledger)


def signing(state: State) -> None:
    """Rotate the signing key."""
    rotate(state.ledger_signer, state.ledger_policy, lambda *a: signed_by(state, *a), TOLD)


def erasing(state: State) -> None:
    """Erase one of two people; what a try before began is finished."""
    ledger = opened(state)
    try:
        finish_erasures(ledger)
        if ledger.keys.of_subject("bert"):
            erase(ledger, plan(ledger, "bert"), "asked for")
    finally:
        shut(ledger)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return failing_disk(tmp_path_factory.mktemp("shim"))


FAULTS = [
    ("wrapping", "rename", "ledger-ring"),
    ("wrapping", "write", "ledger-ring.new"),
    ("wrapping", "fsync", "ledger-ring.new"),
    ("wrapping", "fsync", "keys"),
    ("signing", "rename", "policy"),
    ("signing", "rename", "ledger-signer"),
    ("signing", "write", ".policy"),
    ("signing", "fsync", "ledger-signer.next"),
    ("signing", "pwrite", "ledger-guard"),
    ("erasing", "rename", "ledger-ring"),
    ("erasing", "pwrite", "data-keys.db"),
]


@pytest.mark.parametrize(("act", "call", "path"), FAULTS)
def test_a_fault_is_refused_and_the_next_try_finishes(
    tmp_path: Path, shim: Path, act: str, call: str, path: str
) -> None:
    """Refused as unavailable; every record reads on, no key is lost, and the log verifies."""
    state = State(tmp_path)
    wiring.prepare_ledger(state)
    ledger = opened(state)
    numbers = {who: ledger.record(draft(who)).id for who in ("anna", "bert")}
    shut(ledger)
    faults = {"FAIL_CALL": call, "FAIL_PATH": path, "FAIL_ERRNO": "28"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), act],
        cwd=ROOT,
        env=os.environ | faults | {"LD_PRELOAD": str(shim), "FAIL_WHEN": str(tmp_path / "fail")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ["Unavailable"] == done.stdout.split(), done.stderr
    globals()[act](state)
    ledger = opened(state)
    assert b"body" == ledger.read(numbers["anna"]).content
    if act == "erasing":
        with pytest.raises(Erased):
            ledger.read(numbers["bert"])
    else:
        assert b"body" == ledger.read(numbers["bert"]).content
    ledger.record(draft())
    shut(ledger)
    found = verify.verify(state.ledger_database, state.ledger_policy, keys=state.data_keys)
    assert verify.FINE == found[0], found
    assert not list(state.keys.glob("*.next"))
