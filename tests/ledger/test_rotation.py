"""The signing key is replaced: what the old one signed holds, what it signs afterwards does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.layout import State
from pipelines.ledger import rotation, trust, verify
from pipelines.ledger.bundle import write_bundle
from pipelines.ledger.entry import Body
from pipelines.ledger.guard import FileGuard
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Algorithm, Checkpoint, Note, Signer, Verifier
from pipelines.ledger.secret_files import read_signer
from tests.ledger.places import draft

TOLD = Body("staff ada", "operation", b"who and why")


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path)
    wiring.prepare_ledger(made)
    return made


def opened(state: State) -> Ledger:
    return wiring.ledger(state)


def shut(ledger: Ledger) -> None:
    ledger.close()
    ledger.store.close()


def signed_by(state: State, signer: Signer, former: Sequence[Verifier]) -> Ledger:
    return wiring.ledger_signed_by(state, signer, former)


def rotate(state: State) -> Verifier:
    return rotation.rotate(
        state.ledger_signer, state.ledger_policy, lambda *a: signed_by(state, *a), TOLD
    )


def recorded(state: State) -> bytes:
    """Record one entry; return its id."""
    ledger = opened(state)
    number = ledger.record(draft()).id
    shut(ledger)
    return number


def verified(state: State, what: Path) -> tuple[int, str]:
    return verify.verify(what, state.ledger_policy)


def sign_on(database: Path, signer: Signer) -> None:
    """Sign the newest checkpoint of a log anew, with this key alone."""
    with sqlite3.connect(database) as log:
        ((note,),) = log.execute("SELECT note FROM checkpoint")
        signed = Checkpoint.parse(Note.parse(note).text).signed(signer)
        log.execute("UPDATE checkpoint SET note = ?", (signed,))
    log.close()


def test_old_checkpoints_verify_and_later_ones_by_the_old_key_do_not(
    state: State, tmp_path: Path
) -> None:
    """A bundle from before the change still verifies; a log signed on by the stolen key fails."""
    first = recorded(state)
    ledger = opened(state)
    before = write_bundle(ledger, first, tmp_path / "before")
    shut(ledger)
    stolen = read_signer(state.ledger_signer)
    fresh = rotate(state)
    last = recorded(state)
    ledger = opened(state)
    after = write_bundle(ledger, last, tmp_path / "after")
    shut(ledger)
    assert stolen.verifier != fresh
    assert stolen.secret() not in state.ledger_signer.read_text()
    for what in (before, after, state.ledger_database):
        assert verify.FINE == verified(state, what)[0]
    sign_on(state.ledger_database, stolen)
    found = verified(state, state.ledger_database)
    assert (verify.TAMPERED, "size 3 was signed by a key that had ended") == found


def test_the_log_itself_refuses_the_ended_key(state: State) -> None:
    """A database signed on by the old key, put in the log's place, is not opened."""
    recorded(state)
    stolen = read_signer(state.ledger_signer)
    rotate(state)
    recorded(state)
    sign_on(state.ledger_database, stolen)
    with pytest.raises(IntegrityBroken, match="not signed by its log"):
        opened(state)


def test_a_process_with_the_old_key_cannot_go_on(state: State) -> None:
    """A writer that was open during the change records nothing more, and loses nothing."""
    running = opened(state)
    number = running.record(draft()).id
    rotate(state)
    with pytest.raises(IntegrityBroken):
        running.record(draft())
    running.store.close()
    ledger = opened(state)
    assert 0 == ledger.find(number)
    assert 2 == ledger.checkpoint()[0].size
    shut(ledger)


class Cut(Exception):
    """A crash."""


@pytest.mark.parametrize("after", ["nothing", "opening", "recording"])
def test_a_rotation_cut_short_is_finished(state: State, after: str) -> None:
    """Until it is finished nobody records; called again, it ends the one old key."""
    recorded(state)
    old = read_signer(state.ledger_signer).verifier

    def crashing(signer: Signer, former: Sequence[Verifier]) -> Ledger:
        if after == "nothing":
            raise Cut
        ledger = signed_by(state, signer, former)
        if after == "recording":
            ledger.record(draft())
        shut(ledger)
        raise Cut

    with pytest.raises(Cut):
        rotation.rotate(state.ledger_signer, state.ledger_policy, crashing, TOLD)
    with pytest.raises(Unavailable, match="under way"):
        opened(state)
    fresh = rotate(state)
    recorded(state)
    keys = {key.vkey(): key.until for key in trust.log_keys(state.ledger_policy.read_text())}
    assert {old.vkey(), fresh.vkey()} == set(keys)
    assert (None, 2 if after == "recording" else 1) == (keys[fresh.vkey()], keys[old.vkey()])
    assert verify.FINE == verified(state, state.ledger_database)[0]


def test_it_can_be_rotated_again(state: State) -> None:
    """Each of three keys holds for its own part of the log, and the guard follows."""
    for _ in range(2):
        recorded(state)
        rotate(state)
    recorded(state)
    ends = [key.until for key in trust.log_keys(state.ledger_policy.read_text())]
    assert [None, 3, 1] == ends
    assert verify.FINE == verified(state, state.ledger_database)[0]
    guard = FileGuard(state.ledger_guard).last()
    assert guard
    assert 5 == Checkpoint.parse(Note.parse(guard).text).size


def test_a_witness_is_named_once() -> None:
    """Asking for a witness again changes nothing; another key under its name is refused."""
    key = Signer.generate("witness.example/w", Algorithm.COSIGNATURE).verifier
    text = "log L\nquorum none\n"
    once = trust.with_witness(text, "w", key)
    assert f"log L\nwitness w {key.vkey()}\nquorum w\n" == once
    assert once == trust.with_witness(once, "w", key)
    with pytest.raises(Exception, match="another witness"):
        trust.with_witness(
            once, "w", Signer.generate("witness.example/w", Algorithm.COSIGNATURE).verifier
        )
    with pytest.raises(Exception, match="not a witness's key"):
        trust.with_witness(text, "w", Signer.generate("log.example").verifier)
