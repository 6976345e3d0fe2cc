"""The one place that chooses adapters; tests call it with in-memory ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipelines.layout import Layout, State
from pipelines.ports import Context, Lineage, Registry, Run

if TYPE_CHECKING:
    from collections.abc import Callable

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
LINEAGE_URL_VARIABLE = "OPENLINEAGE_URL"
AIRFLOW_RUN_VARIABLE = "CLEW_AIRFLOW_RUN_ID"
RUN_VARIABLES = ("CLEW_RUN_ID", "CLEW_RUN_COMMIT", AIRFLOW_RUN_VARIABLE)


def context(layout: Layout, state: State) -> Context:
    """Return what a step is handed on this machine."""
    return Context(layout=layout, state=state, registry=registry(state), run=current_run())


def registry(state: State) -> Callable[[str], Registry]:
    """Return how to open the registry of a model name: MLflow, at its server or its database."""

    def opened(model_name: str) -> Registry:
        from pipelines.adapters.mlflow_registry import MlflowRegistry

        return MlflowRegistry(tracking_uri(state), model_name, state)

    return opened


def prepare_registry(state: State) -> None:
    """Make the embedded registry's database when there is none; a server is left alone."""
    from pipelines.adapters.mlflow_transport import prepare

    prepare(tracking_uri(state), state)


def tracking_uri(state: State) -> str:
    """Return MLflow's address: ``MLFLOW_TRACKING_URI``, else the embedded database."""
    return os.environ.get(TRACKING_VARIABLE) or f"sqlite:///{state.mlflow_database}"


def lineage(state: State) -> Lineage:
    """Return where lineage goes: into a file; over HTTP too when ``OPENLINEAGE_URL`` is set."""
    from pipelines.adapters.openlineage import FileLineage, HttpLineage

    local = FileLineage(state.lineage)
    url = os.environ.get(LINEAGE_URL_VARIABLE)
    return HttpLineage(url, local) if url else local


def current_run() -> Run | None:
    """Return the run this process works for, as its parent said."""
    run_id, commit, airflow = (os.environ.get(name) for name in RUN_VARIABLES)
    return Run(run_id, commit, airflow) if run_id and commit else None
