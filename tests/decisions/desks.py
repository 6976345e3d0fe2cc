"""A decision service on a small model, a registry in memory and a real ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from pipelines.adapters.memory import MemoryRegistry
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.record import Call, Origin, Recorder
from pipelines.decisions.records import Decided, Stop
from pipelines.decisions.service.api_keys import ApiKeys
from pipelines.decisions.service.app import Service, create
from pipelines.decisions.service.desk import Desk
from pipelines.decisions.service.in_force import InForce
from pipelines.decisions.service.limits import RateLimit
from pipelines.decisions.service.settings import ServiceSettings
from pipelines.decisions.service.stop import StopSwitch
from pipelines.model.score import MarginKind
from pipelines.params import DecideParams
from pipelines.ports import Registry, RegistryEntry
from pipelines.records import ModelVersion, Promotion
from pipelines.release import champion, history
from tests.decisions import versions
from tests.ledger.places import Place

CALL = Call(caller="tests", purpose="decision", request_id="request", notice="ask a person")
ORIGIN = Origin(
    version="1",
    files_sha256="f" * 64,
    model_sha256="a" * 64,
    commit="c" * 40,
    environment_id="e" * 64,
    snapshot_id="d" * 64,
    policy="pack",
    policy_sha256="b" * 64,
    promotion_id="9" * 64,
)
PACK = versions.PACK


def decided(model: LoadedModel, data: bytes, stop: Stop | None = None) -> Decided:
    """Decide about one application, without a holdout."""
    return decide(Standing(model, None, stop), data, "request", Holdout())


def registered(registry: Registry, folder: Path, kind: MarginKind, **given: Any) -> ModelVersion:
    """Register a small model with all that a version's folder is checked for.

    `given` are parts of the registry's entry.
    """
    files, record = versions.write(folder, kind)
    entry: dict[str, Any] = {name: {} for name in ("tags", "params", "metrics", "folders")}
    entry |= {"dataset": {}, "inputs": {}, "example": {}, "description": ""} | given
    made = versions.judged(files, record)
    return registry.register(RegistryEntry(version=made, files=folder, **entry))


def promote(registry: Registry, version: str) -> None:
    """Make a version the champion, as a promotion does."""
    trail = registry.promotions()
    registry.append(
        Promotion(
            number=len(trail) + 1,
            former_id=trail[-1].id if trail else None,
            model_name=registry.model_name,
            version=version,
            former_version=trail[-1].version if trail else None,
            verdict_id=registry.version(version).verdict_id,
            approval_id=None,
            person="Ada",
            reason="better",
            at=history.now(),
            kind="promote",
        )
    )
    champion.settle(registry)


@dataclass
class Bench:
    """A service with its registry and its place; `open` says how the registry is opened."""

    place: Place
    folder: Path
    registry: MemoryRegistry = field(init=False)
    open: Callable[[], Any] = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "versions").mkdir(parents=True)
        self.registry = MemoryRegistry("people", self.folder / "versions")
        self.open = lambda: self.registry
        for kind in ("linear", "trees"):
            made = self.folder / f"made-{kind}"
            made.mkdir()
            registered(self.registry, made, kind)
            shutil.rmtree(made)
        promote(self.registry, "1")
        self.recorder = Recorder(self.place.ledger())
        self.switch = StopSwitch(self.folder / "stop.json")
        self.watch = InForce(self.opened, DecideParams(), self.folder / "tmp")

    def opened(self) -> Any:
        """Open the registry, as it is opened at that moment."""
        return self.open()

    def desk(self) -> Desk:
        """Return a desk that has asked the registry once."""
        self.watch.refresh()
        return Desk(self.watch, self.recorder, self.switch, "ask a person")

    def app(self, keys: ApiKeys | None = None, **settings: Any) -> Any:
        """Return the application."""
        chosen = ServiceSettings(**settings)
        limit = RateLimit(chosen.requests_per_second, chosen.burst)
        return create(Service(self.desk(), chosen, keys, limit))

    def client(self, keys: ApiKeys | None = None, **settings: Any) -> TestClient:
        """Return a client of the application, as a program on this machine."""
        return TestClient(self.app(keys, **settings), base_url="http://127.0.0.1:8390")

    def size(self) -> int:
        """Return how many entries the ledger has."""
        return self.recorder.ledger.checkpoint()[0].size
