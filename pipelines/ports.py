"""What Clew needs of the outside world, as protocols; the adapters stand in `adapters/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.layout import Layout, State
from pipelines.records import ModelVersion, Promotion


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """What one registration hands over: the version's record, and what hangs on it.

    `tags` are searchable in the registry, `params` and `metrics` shown with the run; `folders`
    maps an artifact folder's name to its files on disk; `dataset` names and digests the data.
    """

    version: ModelVersion
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    folders: Mapping[str, Path]
    dataset: Mapping[str, str]


class Registry(Protocol):
    """The model registry.

    Every method raises Unavailable when the registry does not answer: that is never an empty
    answer. NotThere means that it answered and the thing does not exist.
    """

    def champion(self) -> ModelVersion | None:
        """Return the version that the champion alias names; None when it answered: none."""

    def version(self, version: str) -> ModelVersion:
        """Return one version."""

    def versions(self) -> Sequence[ModelVersion]:
        """Return all versions, oldest first."""

    def register(self, entry: RegistryEntry) -> ModelVersion:
        """Register once: the same candidate of the same run yields the version it has."""

    def fetch(self, version: str, name: str, folder: Path) -> None:
        """Copy the artifact folder `name` of a version into `folder`."""

    def promotions(self) -> Sequence[Promotion]:
        """Return the promotion trail, oldest first."""

    def promote(self, promotion: Promotion) -> None:
        """Move the champion alias and write the trail; the former champion becomes previous."""

    def alias(self, name: str) -> str | None:
        """Return the version an alias names as it stands, with no look at the trail."""


class Lineage(Protocol):
    """Where lineage events go."""

    def emit(self, event: Mapping[str, object]) -> None:
        """Hand over one OpenLineage run event."""


@dataclass(frozen=True, slots=True)
class Run:
    """The run a step works for: its id and the commit that it started from."""

    id: str
    commit: str
    airflow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a step's `run` is handed. The registry is opened on first use, never at import."""

    layout: Layout
    state: State
    registry: Callable[[str], Registry]
    run: Run | None = None
