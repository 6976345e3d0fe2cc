"""What an MLflow run of a registration shows: parameters, metrics, tags and the data set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from pipelines.ports import RegistryEntry, bound_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

T = TypeVar("T")
BATCH = 100
DIGEST_SHOWN = 32  # MLflow keeps 36 characters; the whole digest stands in the source
PARAM_SHOWN = 500


def fill(client: MlflowClient, run: Run, entry: RegistryEntry) -> None:
    """Write all of it; a second time changes nothing."""
    from mlflow.entities import Metric, Param, RunTag

    run_id, at = run.info.run_id, run.info.start_time
    tags = dict(entry.tags) | bound_tags(entry.version) | {"mlflow.note.content": entry.description}
    params = [Param(name, str(value)[:PARAM_SHOWN]) for name, value in entry.params.items()]
    metrics = [Metric(name, value, at, 0) for name, value in entry.metrics.items()]
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    for some in _batches(params):
        client.log_batch(run_id, params=some)
    for few in _batches(metrics):
        client.log_batch(run_id, metrics=few)
    client.log_inputs(run_id, [_dataset(entry)])


def _dataset(entry: RegistryEntry) -> DatasetInput:
    """Return the data set as MLflow shows it, with Clew's own digest and no look at the rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    about = dict(entry.dataset)
    return DatasetInput(
        Dataset(
            name=about["name"],
            digest=about["sha256"][:DIGEST_SHOWN],
            source_type="dvc",
            source=json.dumps(about, sort_keys=True),
        ),
        [InputTag("mlflow.data.context", "training")],
    )


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), BATCH):
        yield list(items[start : start + BATCH])
