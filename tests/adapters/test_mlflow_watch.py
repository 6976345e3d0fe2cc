"""The watch's reports beside the version in MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.adapters.mlflow_watch import MlflowWatchLog
from pipelines.errors import Unavailable
from pipelines.layout import State
from tests import registries

AT = 1_793_491_200_000


def test_a_window_is_kept_once_beside_its_version(tmp_path: Path, empty_database: Path) -> None:
    """Files and numbers stand in the run that made the version; the same again changes nothing."""
    registry = registries.embedded(tmp_path / "home", "applicants", empty_database)
    version = registry.register(registries.entry(tmp_path / "entry", "applicants"))
    state = State(tmp_path / "home")
    log = MlflowWatchLog(registries.database_uri(state), state)
    page = tmp_path / "page.html"
    page.write_text("<p>watched</p>")
    values = {f"watch.drift.c{number}.psi": number / 7 for number in range(1200)}
    for _ in range(2):
        assert "" == log.keep(version, "2026-10", [page], values, AT)
    with registry._mlflow.asking() as client:
        history = client.get_metric_history(version.registry_run, "watch.drift.c3.psi")
        found = client.get_run(version.registry_run).data.metrics
    assert [(3 / 7, AT)] == [(each.value, each.timestamp) for each in history]
    assert values.items() <= found.items()
    kept = list(state.mlflow_artifacts.rglob("watch/2026-10/page.html"))
    assert ["<p>watched</p>"] == [each.read_text() for each in kept]


def test_a_registry_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    """Without MLflow nothing is kept, and it says so."""
    version = registries.entry(tmp_path, "applicants").version
    log = MlflowWatchLog(f"sqlite:///{tmp_path / 'none.db'}", State(tmp_path))
    with pytest.raises(Unavailable):
        log.keep(version, "2026-10", [], {}, AT)
