"""Where decisions are made is recorded once, and decisions name it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.decisions import surroundings
from pipelines.decisions.record import Recorder, as_number
from pipelines.layout import Layout
from tests.decisions import desks, versions
from tests.ledger.places import Place, SqlitePlace

LOCK = Layout(Path(__file__).parents[2]).model_lock
APPLICATION = versions.application()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = SqlitePlace(tmp_path)
    yield made
    made.close()


def test_surroundings_are_recorded_once(place: Place) -> None:
    """Two starts of the same process leave one entry; other surroundings leave another."""
    found, ledger = surroundings.observed(LOCK), place.ledger()
    for _ in range(2):
        assert found.id == surroundings.record(ledger, found)
    assert 1 == ledger.checkpoint()[0].size
    surroundings.record(ledger, surroundings.Surroundings(found.environment, "0" * 64))
    assert 2 == ledger.checkpoint()[0].size
    assert found == surroundings.read(ledger, found.id)


def test_a_decision_names_where_it_was_made(place: Place, tmp_path: Path) -> None:
    """From a decision its process's packages and code are found again."""
    ledger, found = place.ledger(), surroundings.observed(LOCK)
    recorder = Recorder(ledger, surroundings.record(ledger, found))
    model = versions.loaded(tmp_path)
    done = recorder.record(APPLICATION, desks.decided(model, APPLICATION), desks.ORIGIN, desks.CALL)
    named = recorder.read(as_number(done.id)).made.decided_in
    assert named is not None
    then = surroundings.read(ledger, named)
    assert found.environment.packages["scikit-learn"] == then.environment.packages["scikit-learn"]
    assert surroundings.code_sha256() == then.code_sha256


def test_the_entry_is_of_no_person(place: Place) -> None:
    """The public part of the entry is the id of the surroundings and nothing else."""
    ledger, found = place.ledger(), surroundings.observed(LOCK)
    surroundings.record(ledger, found)
    entry = json.loads(ledger.row(0).entry)
    assert ("environment", found.id) == (entry["t"], entry["e"])
