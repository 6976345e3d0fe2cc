"""A judged checkout made once, and a world of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.adapters.memory import MemoryRegistry
from pipelines.layout import Layout
from tests.ledger.places import SqlitePlace
from tests.release import cases, versions
from tests.watch.world import World


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Make the checkout once: it holds a real model."""
    return versions.template(tmp_path_factory.mktemp("watched") / "clone")


@pytest.fixture
def world(tmp_path: Path, judged: Layout) -> Iterator[World]:
    """Give a champion with a baseline and an empty ledger."""
    registry = MemoryRegistry(cases.MODEL_NAME, tmp_path / "memory")
    bench = versions.Bench(versions.copied(judged, tmp_path / "clone"), registry)
    (tmp_path / "ledger").mkdir()
    place = SqlitePlace(tmp_path / "ledger")
    yield World(bench, place, tmp_path)
    place.close()
