"""A version's files as an MLflow model whose flavor loads no code.

MLflow's own scikit-learn flavor reads the types it may load out of the model it is about to load.
This one says what the model is and leaves loading to Clew, which checks the digest first and
brings its own list of types.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.ports import RegistryEntry, Tag

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

FILES = "version"
EXAMPLE = "input_example.json"
FLAVOR = "clew"
TYPES = {
    "integer": "double",  # an input that may be missing is no MLflow integer
    "number": "double",
    "boolean": "boolean",
    "date": "datetime",
    "timestamp": "datetime",
}


def write(entry: RegistryEntry, folder: Path) -> None:
    """Write the MLflow model of an entry into `folder`: MLmodel, files, signature, example."""
    from mlflow.models import Model

    shutil.copytree(entry.files, folder / FILES)
    (folder / EXAMPLE).write_text(_example(entry.example), encoding="utf-8")
    model = Model(
        flavors={FLAVOR: {"format": "skops", "model": f"{FILES}/model.skops"}},
        signature=_signature(entry.inputs),
        saved_input_example_info={
            "artifact_path": EXAMPLE,
            "type": "dataframe",
            "pandas_orient": "split",
            "serving_input_path": EXAMPLE,
        },
        metadata={
            str(Tag.MODEL): entry.version.model_sha256,
            str(Tag.CANDIDATE): entry.version.candidate_id,
            "clew.files_sha256": entry.version.files_sha256,
        },
    )
    model.save(str(folder / "MLmodel"))


def _signature(inputs: Mapping[str, str]) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns: list[ColSpec | TensorSpec] = [
        ColSpec(TYPES.get(kind, "string"), name, required=False) for name, kind in inputs.items()
    ]
    return ModelSignature(Schema(columns), Schema([ColSpec("double", "margin")]))


def _example(row: Mapping[str, object]) -> str:
    return json.dumps({"columns": list(row), "data": [list(row.values())]}, sort_keys=True)
