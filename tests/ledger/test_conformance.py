"""Verifiers written by other people, in other languages, agree with what the ledger writes.

Go's ``x/mod/sumdb`` comes from Debian (``apt-get install golang-go golang-golang-x-mod-dev``),
``@sigstore/verify`` from npm at a pinned version. Where a tool is missing the
test is skipped by name, and fails under CI.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.ledger.bundle import write_tiles
from pipelines.ledger.group import Receipt
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import opened
from tests.ledger.places import SqlitePlace, draft
from tests.system import require

pytestmark = pytest.mark.conformance
PROGRAMS = Path(__file__).with_name("conformance")
SIGSTORE = "@sigstore/verify@3.1.1"
GO_PACKAGES = Path("/usr/share/gocode")
SIZE = 300
Check = Callable[[dict[str, Any]], list[bool]]


def case(receipt: Receipt, **changed: Any) -> dict[str, Any]:
    """Return an inclusion case as the foreign programs read it."""
    proof = receipt.proof
    return {
        "Entry": b64(receipt.entry),
        "Note": receipt.note,
        "Index": receipt.index,
        "Hashes": [b64(each) for each in proof.hashes],
        **changed,
    }


def tampered(receipt: Receipt) -> list[dict[str, Any]]:
    """Return the case with its entry, index, path, root and signature changed."""
    good = case(receipt)
    lines = receipt.note.split("\n")
    signature = lines[4][:-20] + ("A" if lines[4][-20] != "A" else "B") + lines[4][-19:]
    root = b64(bytes(32))
    changes: list[dict[str, Any]] = [
        {"Entry": b64(receipt.entry + b" ")},
        {"Index": receipt.index ^ 1},
        {"Note": "\n".join([*lines[:4], signature, ""])},
        {"Note": "\n".join([*lines[:2], root, *lines[3:]])},
    ]
    if good["Hashes"]:
        changes += [{"Hashes": good["Hashes"][1:]}, {"Hashes": [*good["Hashes"][:-1], root]}]
    return [{**good, **change} for change in changes]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, list[Receipt]]:
    place = SqlitePlace(tmp_path_factory.mktemp("ledger"))
    ledger = place.ledger()
    receipts = [ledger.record(draft(f"s{n}")) for n in range(20)]
    receipts += ledger.record_many(draft(f"s{n}") for n in range(20, SIZE))
    return ledger, receipts


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Check:
    packages = GO_PACKAGES / "src" / "golang.org" / "x" / "mod" / "sumdb" / "tlog"
    require(shutil.which("go") and packages.is_dir(), "golang-go golang-golang-x-mod-dev")
    folder = tmp_path_factory.mktemp("go")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PACKAGES)}
    environment |= {"GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    program = folder / "check"
    source = str(PROGRAMS / "check.go")
    subprocess.run(["go", "build", "-o", str(program), source], env=environment, check=True)
    return lambda cases: run([str(program)], cases, folder)


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Check:
    require(shutil.which("npm"), "nodejs npm")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", SIGSTORE]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copyfile(PROGRAMS / "check.js", folder / "check.js")
    return lambda cases: run(["node", "check.js"], cases, folder)


def run(command: list[str], cases: dict[str, Any], folder: Path) -> list[bool]:
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, check=False, cwd=folder
    )
    assert 0 == done.returncode, done.stderr
    return list(json.loads(done.stdout))


Recorded = tuple[Ledger, list[Receipt]]


@pytest.mark.parametrize("tool", ["go", "npm"])
def test_receipts(recorded: Recorded, tool: str, request: pytest.FixtureRequest) -> None:
    """Every receipt's proof and checkpoint is accepted, and every tampered one refused."""
    ledger, receipts = recorded
    check: Check = request.getfixturevalue(tool)
    vkey = ledger.verifiers[0].vkey()
    good = [case(receipt) for receipt in receipts]
    bad = [each for receipt in receipts for each in tampered(receipt)]

    assert [True] * SIZE == check({"Vkey": vkey, "Inclusion": good})
    assert [False] * len(bad) == check({"Vkey": vkey, "Inclusion": bad})


def test_consistency(recorded: Recorded, go: Check) -> None:
    """Go accepts the consistency of every two checkpoints given out, and refuses swapped ones."""
    ledger, receipts = recorded
    notes = list(dict.fromkeys(receipt.note for receipt in receipts))
    key = ledger.verifiers[0]
    sizes = [opened(note, key).size for note in notes]
    good, bad = [], []
    for at, old in enumerate(sizes):
        for place in range(at, len(sizes)):
            proof = [b64(each) for each in ledger.consistency(old, sizes[place])]
            pair = {"Old": notes[at], "New": notes[place], "Hashes": proof}
            good.append(pair)
            if proof:
                bad.append({**pair, "Hashes": [*proof[:-1], b64(bytes(32))]})
                bad.append({**pair, "Old": notes[place], "New": notes[at]})

    assert [True] * len(good) == go({"Vkey": key.vkey(), "Consistency": good})
    assert [False] * len(bad) == go({"Vkey": key.vkey(), "Consistency": bad})


def test_tiles(recorded: Recorded, go: Check, tmp_path: Path) -> None:
    """Go reads every entry's hash out of the exported tiles, and refuses a changed tile."""
    ledger, receipts = recorded
    checkpoint, note = ledger.checkpoint()
    write_tiles(ledger.store, note, checkpoint.size, tmp_path)
    cases = {
        "Vkey": ledger.verifiers[0].vkey(),
        "Inclusion": [case(receipt) for receipt in receipts],
        "Tiles": str(tmp_path),
        "Note": note,
    }
    assert [True] * (SIZE + 1) == go(cases)
    tile = tmp_path / "tile" / "0" / "000"
    tile.write_bytes(tile.read_bytes()[:-1] + b"x")

    assert not go(cases)[-1]
