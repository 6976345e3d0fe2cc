"""What Clew needs of the outside world, as protocols; the adapters stand in `adapters/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pipelines.layout import Layout, State
from pipelines.records import Approval, ModelVersion, Promotion


class Tag(StrEnum):
    """The tags of runs and versions in the registry, as its search knows them."""

    RUN = "clew.run_id"
    AIRFLOW_RUN = "clew.airflow_run_id"
    COMMIT = "clew.commit"
    SNAPSHOT = "clew.snapshot_id"
    DATA_MD5 = "clew.data_md5"
    CANDIDATE = "clew.candidate_id"
    RECIPE = "clew.recipe"
    MODEL = "clew.model_sha256"
    ENVIRONMENT = "clew.environment_id"
    PARAMS = "clew.params_sha256"
    POLICY = "clew.policy"
    VERDICT = "clew.verdict"
    VERDICT_ID = "clew.verdict_id"
    BLOCKED_BY = "clew.blocked_by"
    SCORER = "clew.scorer"
    PLAN = "clew.plan_sha256"
    ASKED = "clew.asked"


class Alias(StrEnum):
    """The registry's names for versions in force."""

    CHAMPION = "champion"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """What one registration hands over: the version's record, and what hangs on it.

    `version` is the record with its version number and registry run still empty. `files` is the
    folder that `fetch` gives back, and whose digest the record holds. `tags` are searchable,
    `params` and `metrics` shown with the run; `folders` maps an artifact folder's name to its
    files on disk; `dataset` names and digests the data; `inputs` are the model's columns with
    their kinds, `example` one made-up row of them.
    """

    version: ModelVersion
    files: Path
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    folders: Mapping[str, Path]
    dataset: Mapping[str, str]
    inputs: Mapping[str, str]
    example: Mapping[str, object]
    description: str


def bound_tags(record: ModelVersion) -> dict[str, str]:
    """Return the tags of a version that its record fixes."""
    return {
        Tag.RUN.value: record.run_id,
        Tag.COMMIT.value: record.commit,
        Tag.CANDIDATE.value: record.candidate_id,
        Tag.MODEL.value: record.model_sha256,
        Tag.VERDICT_ID.value: record.verdict_id,
        Tag.VERDICT.value: "passed" if record.passed else "blocked",
    }


class Registry(Protocol):
    """The registry of one model name.

    Every method raises Unavailable when the registry does not answer: that is never an empty
    answer. NotThere means that it answered and the thing does not exist. What is written once
    (versions, approvals, promotions) cannot be written over.
    """

    @property
    def model_name(self) -> str:
        """The registered model's name."""

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes of this machine from writing to this model's registry."""

    def version(self, version: str) -> ModelVersion:
        """Return one version. Raises IntegrityBroken when its tags contradict its record."""

    def versions(self) -> Sequence[ModelVersion]:
        """Return all versions, oldest first."""

    def register(self, entry: RegistryEntry) -> ModelVersion:
        """Register once: the same candidate of the same run yields the version it has."""

    def log_blocked(self, entry: RegistryEntry) -> str:
        """Log a blocked candidate without a version; return the registry's run, one a candidate."""

    def fetch(self, version: str, folder: Path) -> None:
        """Copy the files of a version into `folder`, unchecked."""

    def show(self, version: str, name: str, folder: Path) -> None:
        """Show a folder's files beside a version, under `name`: no part of it, written over."""

    def approvals(self, version: str) -> Sequence[Approval]:
        """Return what people said about a version, oldest first."""

    def approve(self, approval: Approval) -> None:
        """Keep an approval or a rejection with its version."""

    def promotions(self) -> Sequence[Promotion]:
        """Return the promotion trail as stored, unchecked, in the order of its numbers."""

    def append(self, promotion: Promotion) -> Promotion:
        """Claim a number of the trail; return what stands under it, which may be another's."""

    def settled(self, promotion: Promotion) -> bool:
        """Tell whether the aliases were set after this promotion."""

    def settle(self, promotion: Promotion) -> None:
        """Note that the aliases were set after this promotion."""

    def aliases(self) -> Mapping[str, str]:
        """Return each alias and the version it names as it stands, with no look at the trail."""

    def point(self, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""


class Lineage(Protocol):
    """Where lineage events go."""

    def emit(self, event: Mapping[str, object]) -> None:
        """Hand over one OpenLineage run event."""


class AlertTarget(Protocol):
    """Somebody who is told of an alarm."""

    @property
    def url(self) -> str:
        """Where it goes: a secret, never printed, logged or recorded."""

    def send(self, title: str, body: str) -> None:
        """Send one message. Raises Unavailable, or BadRequest for an address that is none."""


class WatchLog(Protocol):
    """Where the watch's reports stand beside the version they are about."""

    def keep(
        self,
        version: ModelVersion,
        window: str,
        files: Sequence[Path],
        metrics: Mapping[str, float],
        at_ms: int,
    ) -> str:
        """Keep a window's files and numbers with the version; return a page's address or "".

        The same again changes nothing. Raises Unavailable, NotThere.
        """


@dataclass(frozen=True, slots=True)
class Run:
    """The run a step works for: its id, the commit that it started from, and why it was asked for.

    `asked` is None for a run that was due or begun by hand.
    """

    id: str
    commit: str
    airflow_run_id: str | None = None
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a step's `run` is handed. The registry is opened on first use, never at import."""

    layout: Layout
    state: State
    registry: Callable[[str], Registry]
    run: Run | None = None
