"""A bench for each kind of registry, on copies of one judged checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.adapters.memory import MemoryRegistry
from pipelines.layout import Layout
from pipelines.ports import Registry
from tests import registries
from tests.release import cases, versions


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Make the checkout once: it holds a real model."""
    return versions.template(tmp_path_factory.mktemp("checkout") / "clone")


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty MLflow database once."""
    return registries.empty_database(tmp_path_factory.mktemp("empty"))


@pytest.fixture(params=["memory", "mlflow"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, checkout: Layout) -> versions.Bench:
    """Give a checkout and an empty registry, in memory and on MLflow."""
    registry: Registry = MemoryRegistry(cases.MODEL_NAME, tmp_path / "memory")
    if request.param == "mlflow":
        empty = request.getfixturevalue("empty_mlflow")
        registry = registries.embedded(tmp_path / "home", cases.MODEL_NAME, empty)
    return versions.Bench(versions.copied(checkout, tmp_path / "clone"), registry)


@pytest.fixture
def quick(tmp_path: Path, checkout: Layout) -> versions.Bench:
    """Give a checkout and an empty registry in memory."""
    registry = MemoryRegistry(cases.MODEL_NAME, tmp_path / "memory")
    return versions.Bench(versions.copied(checkout, tmp_path / "clone"), registry)
