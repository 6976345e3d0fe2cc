"""What the doctor looks at inside a production container, where no embedded stack runs.

A container reaches what its service needs and, under Kubernetes' policies, nothing else. So what is
needed must be well; of the other services it is told which answer from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from pipelines import wiring
from pipelines.layout import State
from pipelines.stack import services
from pipelines.stack.health import healthy
from pipelines.stack.production import WORKER, Production
from pipelines.stack.production_health import well
from pipelines.stack.services import Health, Service

SERVICE_VARIABLE: Final = "CLEW_SERVICE"
NOT_HERE: Final = "not run here"
# Whom a service asks: so do the network policies of infra/kubernetes let it.
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    services.DECISIONS: (services.MLFLOW,),
    services.PAGES: (services.MLFLOW,),
    WORKER: (services.MLFLOW, services.EXECUTION),
    services.SCHEDULER: (services.API,),
    services.PROCESSOR: (services.API,),
    services.TRIGGERER: (services.API,),
}

Examined = tuple[bool, str]
Checks = Mapping[str, tuple[Callable[[], Examined], str]]


def named() -> str:
    """Return which service of a production stack this container is; empty elsewhere."""
    return os.environ.get(SERVICE_VARIABLE, "")


def checks(
    name: str, made: Mapping[str, Service], settings: Production, state: State
) -> dict[str, tuple[Callable[[], Examined], str]]:
    """Return the checks that stand for the embedded stack's of the same name, each with a hint."""
    own = {name: partial(well, made[name])} if name in made else {}
    needed = own | {each: partial(healthy, found(made[each])) for each in NEEDS.get(name, ())}
    others = {each: found(one) for each, one in made.items() if one.address and each not in needed}
    changed: dict[str, tuple[Callable[[], Examined], str]] = {
        "ports": (lambda: (True, f"{NOT_HERE}: a container has its own"), ""),
        "services": (partial(look, needed, others), "see their logs"),
        "databases": (partial(databases, name, settings, state), "see infra/runbook"),
    }
    if not os.environ.get(wiring.LEDGER_URL_VARIABLE):
        changed["watch"] = (lambda: (True, f"{NOT_HERE}: {name} opens no ledger"), "")
    return changed


def found(service: Service) -> Health:
    """Return how a service is asked from another container, where its name is its host's."""
    return replace(service.health, url=service.health.url.replace("127.0.0.1", service.name))


def look(needed: Mapping[str, Callable[[], bool]], others: Mapping[str, Health]) -> Examined:
    """Return whether all that is needed is well, and which of the others answer."""
    sick = [name for name, asked in needed.items() if not asked()]
    seen = [name for name, health in others.items() if healthy(health)]
    told = {
        "not healthy": sick,
        "healthy": [name for name in needed if name not in sick],
        "answer too": seen,
        f"{NOT_HERE}, no answer": [name for name in others if name not in seen],
    }
    return not sick, "; ".join(
        f"{what}: {', '.join(those)}" for what, those in told.items() if those
    )


def databases(name: str, settings: Production, state: State) -> Examined:
    """Return which databases this service opens. Raises what the first that fails raises."""
    from sqlalchemy import create_engine, inspect

    chosen: dict[str, str] = {}
    if os.environ.get(wiring.LEDGER_URL_VARIABLE):
        wiring.ledger_store(state).close()
        wiring.key_store(state).generation()
        chosen |= {"ledger": "", "keys": ""}
    if name.startswith("airflow-"):
        chosen["Airflow"] = settings.airflow_database
    if name == services.MLFLOW:
        chosen["MLflow"] = settings.mlflow_database
    for url in filter(None, chosen.values()):
        engine = create_engine(url)
        inspect(engine).get_table_names()
        engine.dispose()
    return True, f"{', '.join(chosen)} answer" if chosen else f"{NOT_HERE}: {name} opens none"
