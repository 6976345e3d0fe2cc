"""The datasets of a step: named as in the checkout, versioned by content, with what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import flow
from pipelines.errors import ClewError
from pipelines.layout import Evaluation, Layout, Model
from pipelines.lineage import digests, facets
from pipelines.lineage.facets import Facet
from pipelines.records import (
    Candidate,
    Champion,
    Landed,
    ModelVersion,
    Promotion,
    Record,
    Snapshot,
    Verdict,
)
from pipelines.records import Evaluation as EvaluationRecord
from pipelines.records import Split as SplitRecord
from pipelines.typed import read_json

FILES_NAMED = 200
MODEL_REGISTRY = "mlflow"
CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of an event. `columns` are its table's names and types, where it has one."""

    namespace: str
    name: str
    facets: Mapping[str, Facet] = field(default_factory=dict)
    output_facets: Mapping[str, Facet] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()

    def event(self, extra: Mapping[str, object] | None = None) -> dict[str, object]:
        """Return it as it stands in an event."""
        return {"namespace": self.namespace, "name": self.name, "facets": dict(self.facets)} | (
            dict(extra or {})
        )


def on_disk(layout: Layout, name: str, namespace: str) -> Dataset:
    """Return the dataset that a property of `Layout` names, as its files are now.

    What is not there or not readable has a name and no version: the step itself will say so.
    """
    path: Path = getattr(layout, name)
    relative = flow.path(name)
    try:
        found = digests.take(path)
    except OSError:
        found = None
    if found is None:
        return Dataset(namespace, relative)
    md5 = found.dvc_md5 if name in _kept_by_dvc() else None
    shown = found.files if len(found.files) <= FILES_NAMED else {}
    columns, rows = _table(path)
    known = {
        "version": facets.version(f"sha256:{found.sha256}"),
        "clew_digest": facets.digest(found.sha256, md5, shown),
    }
    if columns:
        known["schema"] = facets.schema(columns)
    statistics = facets.output_statistics(found.size, len(found.files), rows)
    return Dataset(
        namespace,
        relative,
        known | _record_facets(record_of(layout, name)),
        {"outputStatistics": statistics},
        columns,
    )


def of_record(record: object) -> tuple[list[Dataset], list[Dataset]]:
    """Return the further inputs and outputs that a step's record tells: what is not in files."""
    if isinstance(record, ModelVersion):
        return [], [_version(record.model_name, record.version, _record_facets(record))]
    if isinstance(record, Promotion):
        champion = _version(record.model_name, record.version, _record_facets(record), CHAMPION)
        return [_version(record.model_name, record.version)], [champion]
    if isinstance(record, Champion) and record.version is not None:
        return [_version(record.model_name, record.version, {}, CHAMPION)], []
    if isinstance(record, Landed):
        files = record.files[:FILES_NAMED]
        return [_landed_file(record.kind, file.name, file.sha256) for file in files], []
    return [], []


def record_of(layout: Layout, name: str) -> Record | None:
    """Return the record that a dataset carries, if it has one that can be read."""
    where: dict[str, tuple[Path, type[Record]]] = {
        "landed": (layout.landed_record, Landed),
        "snapshot": (layout.snapshot_record, Snapshot),
        "split": (layout.split_record, SplitRecord),
        "candidate": (Model(layout.candidate).record, Candidate),
        "evaluation": (Evaluation(layout.evaluation).record, EvaluationRecord),
        "champion": (layout.champion_record, Champion),
        "verdict": (layout.verdict, Verdict),
    }
    if name not in where:
        return None
    try:
        return read_json(*where[name])
    except ClewError:
        return None


def _record_facets(record: Record | None) -> dict[str, Facet]:
    if record is None:
        return {}
    found = {"clew_record": facets.record(type(record).__name__, record.id, _known_by(record))}
    if isinstance(record, Candidate):
        found["clew_model"] = facets.model(
            {
                "candidateId": record.id,
                "modelSha256": record.model_sha256,
                "splitId": record.split_id,
                "snapshotId": record.snapshot_id,
                "environmentId": record.environment_id,
                "paramsSha256": record.params_sha256,
                "recipe": record.recipe,
                "estimator": record.estimator,
            }
        )
    if isinstance(record, ModelVersion):
        found["clew_model"] = facets.model(
            {
                "candidateId": record.candidate_id,
                "modelSha256": record.model_sha256,
                "verdictId": record.verdict_id,
            }
        )
    if isinstance(record, Verdict):
        found["clew_verdict"] = facets.verdict(
            record.passed,
            record.blocked_by,
            {
                "candidateId": record.candidate_id,
                "modelSha256": record.model_sha256,
                "policy": record.policy,
                "policySha256": record.policy_sha256,
            },
        )
    return found


def _known_by(record: Record) -> Sequence[str]:
    """Return the digests of the thing itself, not of what it was made from."""
    if isinstance(record, Snapshot):
        return [record.rows_sha256]
    if isinstance(record, SplitRecord):
        return sorted(part.sha256 for part in record.parts.values())
    if isinstance(record, (Candidate, ModelVersion)):
        return [record.model_sha256]
    if isinstance(record, EvaluationRecord):
        return [record.scores_sha256, record.metrics_sha256]
    return []


def _version(
    model: str, number: str, known: Mapping[str, Facet] | None = None, alias: str = ""
) -> Dataset:
    name = f"{model}@{alias}" if alias else model
    return Dataset(MODEL_REGISTRY, name, {"version": facets.version(number)} | dict(known or {}))


def _landed_file(kind: str, name: str, sha256: str) -> Dataset:
    known = {
        "version": facets.version(f"sha256:{sha256}"),
        "clew_digest": facets.digest(sha256, None, {}),
    }
    return Dataset(f"landing-{kind}", name, known)


def _table(path: Path) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """Return columns with types and the number of rows of the Parquet files at `path`."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else []
    if not files:
        return (), None
    from pyarrow import ArrowException, parquet

    try:
        schema = parquet.read_schema(files[0])
        rows = sum(parquet.read_metadata(file).num_rows for file in files)
    except (ArrowException, OSError):
        return (), None
    return tuple((each.name, str(each.type)) for each in schema), rows


def _kept_by_dvc() -> frozenset[str]:
    return frozenset(name for step in flow.STEPS for name in step.writes)
