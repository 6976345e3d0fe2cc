"""A champion made once, and a world of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.adapters.memory import MemoryRegistry
from tests.ledger.places import SqlitePlace
from tests.release import cases, versions
from tests.watch.world import Crowned, World, crown


@pytest.fixture(scope="session")
def crowned(tmp_path_factory: pytest.TempPathFactory) -> Crowned:
    """Make a champion once: nothing that watches changes it."""
    folder = tmp_path_factory.mktemp("watched")
    layout = versions.template(folder / "clone")
    registry = MemoryRegistry(cases.MODEL_NAME, folder / "memory")
    return crown(versions.Bench(layout, registry), folder)


@pytest.fixture
def world(tmp_path: Path, crowned: Crowned) -> Iterator[World]:
    """Give a champion with a baseline and an empty ledger."""
    (tmp_path / "ledger").mkdir()
    place = SqlitePlace(tmp_path / "ledger")
    yield World(crowned, place, tmp_path)
    place.close()
