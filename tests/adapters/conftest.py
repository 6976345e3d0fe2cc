"""Registries behind one port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import registries


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty MLflow database once."""
    return registries.empty_database(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """Run one real MLflow server for the whole session."""
    with registries.server(tmp_path_factory.mktemp("server"), empty_database) as uri:
        yield uri
