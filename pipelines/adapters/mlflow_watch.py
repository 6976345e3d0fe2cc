"""The watch's reports in MLflow: files and metrics of the run that made the watched version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipelines.adapters.mlflow_transport import Transport
from pipelines.layout import State
from pipelines.records import ModelVersion

FOLDER: Final = "watch"
BATCH: Final = 500
DAY_MS: Final = 86_400_000


class MlflowWatchLog:
    """Keeps reports in the MLflow at `uri`: a server's URL, or ``sqlite:///`` and a file."""

    def __init__(self, uri: str, state: State) -> None:
        self._mlflow = Transport(uri, state)

    def keep(
        self,
        version: ModelVersion,
        window: str,
        files: Sequence[Path],
        metrics: Mapping[str, float],
        at_ms: int,
    ) -> str:
        """Keep a window's files under ``watch/<window>`` and its numbers at the window's end.

        Returns the address of the first file's page where there is a server, else nothing.
        """
        from mlflow.entities import Metric

        day = at_ms // DAY_MS
        points = [Metric(name, value, at_ms, day) for name, value in metrics.items()]
        folder = f"{FOLDER}/{window}"
        with self._mlflow.asking() as client:
            run = client.get_run(version.registry_run)
            store = self._mlflow.artifacts(run.info.artifact_uri)
            for each in files:
                store.log_artifact(str(each), folder)
            for start in range(0, len(points), BATCH):
                client.log_batch(run.info.run_id, metrics=points[start : start + BATCH])
        if self._mlflow.embedded:
            return ""
        where = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        return f"{self._mlflow.uri.rstrip('/')}/#/{where}/artifacts/{folder}/{files[0].name}"
