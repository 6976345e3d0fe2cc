"""A registry of whole versions, a ledger, and decisions by them: what accounting works on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipelines.adapters.memory import MemoryRegistry
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.record import Call, Origin, Recorded, Recorder
from pipelines.decisions.records import Stop
from pipelines.decisions.service.in_force import load_promoted
from pipelines.layout import State
from pipelines.ledger.log import Ledger
from pipelines.model.score import MarginKind
from pipelines.params import DecideParams
from pipelines.ports import RegistryEntry
from pipelines.records import (
    Approval,
    ModelVersion,
    Promotion,
)
from pipelines.release import champion, history
from pipelines.release.version_files import VersionFiles
from tests.account.version_folder import SNAPSHOT, SPLIT, write_version
from tests.decisions.desks import CALL
from tests.ledger.places import SqlitePlace

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "var" / "environments"


def register(
    registry: MemoryRegistry, files: VersionFiles, record: ModelVersion, **changes: Any
) -> ModelVersion:
    """Register what `write_version` wrote; `changes` are of the version's record."""
    empty: dict[str, Any] = {name: {} for name in ("tags", "params", "metrics", "folders")}
    empty |= {"dataset": {}, "inputs": {}, "example": {}, "description": ""}
    changed = msgspec.structs.replace(record, **changes)
    return registry.register(RegistryEntry(version=changed, files=files.folder, **empty))


def promote(registry: MemoryRegistry, version: str) -> Promotion:
    """Let Ada approve a version and Bob make it the champion."""
    verdict_id = registry.version(version).verdict_id
    approval = Approval(
        verdict_id=verdict_id,
        model_name=registry.model_name,
        version=version,
        approved=True,
        person="Ada",
        reason="better",
        at=history.now(),
    )
    registry.approve(approval)
    trail = registry.promotions()
    made = Promotion(
        number=len(trail) + 1,
        former_id=trail[-1].id if trail else None,
        model_name=registry.model_name,
        version=version,
        former_version=trail[-1].version if trail else None,
        verdict_id=verdict_id,
        approval_id=approval.id,
        person="Bob",
        reason="better",
        at=history.now(),
        kind="promote",
    )
    registry.append(made)
    champion.settle(registry)
    return made


@dataclass
class World:
    """One folder with a registry, a ledger and a state folder."""

    folder: Path
    registry: MemoryRegistry = field(init=False)
    place: SqlitePlace = field(init=False)
    ledger: Ledger = field(init=False)
    asked: int = 0

    def __post_init__(self) -> None:
        (self.folder / "registry").mkdir(parents=True)
        (self.folder / "ledger").mkdir()
        self.state = State(self.folder / "var")
        self.state.home.mkdir()
        # Environments are expensive and read-only: they are shared between tests.
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        self.state.environments.symlink_to(ENVIRONMENTS)
        self.registry = MemoryRegistry("people", self.folder / "registry")
        self.place = SqlitePlace(self.folder / "ledger")
        self.ledger = self.place.ledger()
        self.recorder = Recorder(self.ledger)

    def opened(self) -> MemoryRegistry:
        """Open the registry; counted, for what is kept must not ask it again."""
        self.asked += 1
        return self.registry

    def version(self, kind: MarginKind = "linear", **changes: Any) -> Promotion:
        """Register and promote a small model."""
        number = len(self.registry.versions()) + 1
        made = self.folder / f"made-{number}"
        register(
            self.registry, *write_version(made, kind), **({"run_id": f"run-{number}"} | changes)
        )
        return promote(self.registry, str(len(self.registry.versions())))

    def loaded(self, promotion: Promotion) -> tuple[LoadedModel, Origin]:
        """Load a promoted version as the service does."""
        into = self.folder / f"loaded-{promotion.number}"
        shutil.rmtree(into, ignore_errors=True)
        found = load_promoted(self.registry, promotion, DecideParams(), into)
        return found.model, found.origin

    def decide(
        self,
        promotion: Promotion,
        sent: Sequence[bytes],
        holdout: Holdout | None = None,
        stop: Stop | None = None,
        call: Call = CALL,
    ) -> list[Recorded]:
        """Decide about applications by a promoted version and record every one."""
        model, origin = self.loaded(promotion)
        rule = holdout or Holdout()
        many = []
        for data in sent:
            number = self.recorder.number("tests", None)
            many.append(
                (data, decide(Standing(model, None, stop), data, number.hex(), rule), number)
            )
        return self.recorder.record_many(many, origin, call)

    def close(self) -> None:
        """Close the ledger."""
        self.place.close()


__all__ = ["SNAPSHOT", "SPLIT", "World", "promote", "register", "write_version"]
