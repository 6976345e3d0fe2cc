"""The ledger of a machine: made once, opened again, never made anew over a lost key."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import State
from pipelines.ledger import verify
from pipelines.ledger.bundle import write_bundle
from tests.ledger.places import draft


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    for name in (wiring.LEDGER_URL_VARIABLE, wiring.LEDGER_GUARD_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return State(tmp_path / "var")


def record(home: State) -> int:
    """Prepare and open the ledger, record one entry, close; return its place."""
    wiring.prepare_ledger(home)
    ledger = wiring.ledger(home)
    try:
        return ledger.record(draft()).index
    finally:
        ledger.close()
        ledger.store.close()


def test_a_ledger_is_made_once_and_goes_on(home: State, tmp_path: Path) -> None:
    """A second process goes on where the first ended, and the trust file verifies both."""
    assert [0, 1] == [record(home), record(home)]
    ledger = wiring.ledger(home)
    bundle = write_bundle(ledger, ledger.row(1).id, tmp_path / "bundle")
    ledger.close()
    ledger.store.close()
    assert verify.FINE == verify.verify(bundle, home.ledger_policy)[0]


@pytest.mark.parametrize("name", ["ledger_ring", "ledger_signer"])
def test_a_lost_key_is_never_made_anew(home: State, name: str) -> None:
    """Beside a ledger a missing key stays missing: a new one could not read or continue it."""
    record(home)
    getattr(home, name).unlink()
    with pytest.raises(NotThere):
        record(home)
    assert not getattr(home, name).exists()


def test_a_lost_database_is_not_begun_anew(home: State) -> None:
    """With the guard in place an empty database is refused: records are missing."""
    record(home)
    for path in home.ledger.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(IntegrityBroken):
        record(home)


def test_a_half_made_ledger_is_finished(home: State) -> None:
    """Killed while the keys were made, the next start makes what is missing."""
    wiring.prepare_ledger(home)
    home.ledger_signer.unlink()
    home.ledger_policy.unlink()
    assert 0 == record(home)


def test_keys_are_for_their_owner_alone(home: State) -> None:
    """No file under keys can be read by others."""
    record(home)
    for path in home.keys.iterdir():
        if path.suffix != ".lock":
            assert 0 == path.stat().st_mode & 0o077, path.name
