"""One world for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.account.worlds import World, world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world that the tests of one module share: each decides about people of its own."""
    made = world(tmp_path_factory.mktemp("world"))
    yield made
    made.bench.place.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """Give a world of this test's own."""
    made = world(tmp_path)
    yield made
    made.bench.place.close()
