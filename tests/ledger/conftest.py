"""A real database of each kind for the ledger's tests."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.places import Place, PostgresPlace, SqlitePlace
from tests.ledger.postgres import Cluster

SCHEMAS = itertools.count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    # A socket's path may be 107 bytes long, and root's own temporary folders are closed to others.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    started = Cluster(folder)
    yield started
    started.stop("immediate")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made: Place
    if request.param == "sqlite":
        made = SqlitePlace(tmp_path)
    else:
        made = PostgresPlace(tmp_path, request.getfixturevalue("cluster"), f"t{next(SCHEMAS)}")
    yield made
    made.close()
