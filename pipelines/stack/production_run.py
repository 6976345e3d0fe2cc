"""What `clew service` does in its container: find its place, prepare, become a service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines import layout, quiet
from pipelines.layout import State
from pipelines.stack import production, production_health, production_prepare
from pipelines.stack.services import Service

REPOSITORY_VARIABLE = "CLEW_REPOSITORY"


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of a container, and the settings that stand there."""

    state: State
    repository: Path
    settings: production.Production


def place() -> Place:
    """Return where this container works. Raises BadRequest for settings that cannot be read."""
    state = layout.state()
    named = os.environ.get(REPOSITORY_VARIABLE)
    repository = Path(named) if named else layout.repository()
    return Place(state, repository, production.read(state))


def prepare(at: Place) -> str:
    """Prepare volumes and databases; return the commit now in force."""
    return production_prepare.run(at.state, at.repository, at.settings, quiet.environment(at.state))


def every(at: Place) -> dict[str, Service]:
    """Return every service of the stack by its name."""
    return production.stack(at.state, at.repository, at.settings, quiet.environment(at.state))


def chosen(at: Place, name: str) -> Service:
    """Return the service of this name, ready to run. Raises BadRequest."""
    return production.chosen(every(at), name)


def own(service: Service) -> dict[str, str]:
    """Return the variables that the service sets beside those of its container."""
    return {k: v for k, v in service.environment.items() if os.environ.get(k) != v}


def well(service: Service) -> bool:
    """Return whether the service says that it works."""
    return production_health.well(service)


def become(at: Place, service: Service) -> None:
    """Go on as the service, in this process: what the engine signals is the service itself.

    Raises Unavailable on a volume that this image has not prepared.
    """
    production_prepare.require(at.repository)
    os.chdir(service.folder)
    os.execve(service.command[0], service.command, dict(service.environment))  # noqa: S606
