"""The production stack: the embedded one's services, each in a container of its own.

Commands and variables are those of `services`, so there is one source of truth; here stands what
differs: names instead of loopback, PostgreSQL, Celery, and secrets that stay in files. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pipelines import wiring
from pipelines.errors import BadRequest, did_you_mean
from pipelines.layout import State
from pipelines.stack import services
from pipelines.stack.credentials import Secrets
from pipelines.stack.services import Health, Service
from pipelines.stack.settings import DEFAULT_USERS, Ports, Settings, User
from pipelines.typed import read_yaml

PORTS: Final = Ports(
    airflow=8080, execution=8081, mlflow=5000, decisions=8390, pages=8391, evidently=8392
)
ALL_INTERFACES: Final = "0.0.0.0"  # noqa: S104 - a container's own network; policies guard it
WORKER: Final = "airflow-worker"
SECRETS: Final = Path("/run/secrets")
SETTINGS: Final = "production.yaml"
BROKER_FILE: Final = "broker-url"
# Option: the file that holds it. Airflow reads it by a command, so no variable ever does.
SECRET_OPTIONS: Final = {
    "core.fernet_key": "fernet-key",
    "api.secret_key": "cookie-key",
    "api_auth.jwt_secret": "jwt-secret",
    "celery.broker_url": BROKER_FILE,
}
# Who opens the ledger: never the one in the state folder, for want of a variable.
LEDGER_USERS: Final = (services.DECISIONS, services.PAGES, WORKER)
LEDGER_VARIABLES: Final = (
    wiring.LEDGER_URL_VARIABLE,
    wiring.LEDGER_GUARD_VARIABLE,
    wiring.KEYS_URL_VARIABLE,
)


class Production(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``production.yaml`` in the state folder. No URL in it holds a password: see PGPASSFILE.

    `airflow_url`, `mlflow_url` and `pages_url` are where people's browsers find Airflow, MLflow and
    the record's pages; with no `mlflow_url` nothing links to MLflow;
    `mlflow_hosts` are further names by which a proxy asks for MLflow; `airflow` sets further
    options, written ``section.option``.
    """

    airflow_url: str = "http://localhost:8080"
    mlflow_url: str = ""
    pages_url: str = "http://localhost:8391"
    airflow_database: str = "postgresql+psycopg2://airflow@postgres/airflow"
    mlflow_database: str = "postgresql+psycopg2://mlflow@postgres/mlflow"
    mlflow_artifacts: str | None = None
    mlflow_hosts: tuple[str, ...] = ()
    executor: str = "CeleryExecutor"
    parallelism: int = 16
    worker_concurrency: int = 4
    users: tuple[User, ...] = DEFAULT_USERS
    lineage_url: str | None = None
    airflow: dict[str, str] = {}

    def __post_init__(self) -> None:
        urls = (self.airflow_database, self.mlflow_database, self.mlflow_artifacts or "")
        if any(urlsplit(url).password for url in urls):
            raise BadRequest(
                "a password in production.yaml",
                expected="a URL without one; PGPASSFILE names the file that has it",
            )
        self.settings()

    def settings(self) -> Settings:
        """Return the embedded stack's settings that these stand for."""
        return Settings(
            ports=PORTS,
            parallelism=self.parallelism,
            users=self.users,
            airflow_database=self.airflow_database,
            mlflow_database=self.mlflow_database,
            mlflow_artifacts=self.mlflow_artifacts,
            lineage_url=self.lineage_url,
        )


def read(state: State) -> Production:
    """Return what ``production.yaml`` says; without a file, the defaults. Raises BadRequest."""
    return told(state) or Production()


def told(state: State) -> Production | None:
    """Return what ``production.yaml`` says; None where there is none. Raises BadRequest."""
    path = state.home / SETTINGS
    return read_yaml(path, Production) if path.exists() else None


def stack(
    state: State, repository: Path, production: Production, inherited: Mapping[str, str]
) -> dict[str, Service]:
    """Return every service by name. `inherited` is `quiet.environment` of its container."""
    embedded = services.stack(
        state, repository, production.settings(), Secrets("", "", ""), inherited
    )
    made = {each.name: _in_container(each, production, inherited) for each in embedded}
    made[WORKER] = _worker(made[services.SCHEDULER], production)
    return made


def chosen(made: Mapping[str, Service], name: str) -> Service:
    """Return one service. Raises BadRequest for an unknown one, or one that lacks a variable."""
    if name not in made:
        raise BadRequest(
            "no such service",
            where="CLEW_SERVICE",
            observed=name or "nothing",
            expected=", ".join(["prepare", *made]),
            hint=did_you_mean(name, ["prepare", *made]),
        )
    needed = LEDGER_VARIABLES if name in LEDGER_USERS else ()
    missing = [each for each in needed if not made[name].environment.get(each)]
    if missing:
        raise BadRequest(
            "the production ledger is not named",
            where=name,
            observed=f"{', '.join(missing)} not set",
            expected="PostgreSQL URLs of ledger and keys, and a guard file on another volume",
            hint="see docs/how-to/run-in-production.md",
        )
    return made[name]


def address(server: str) -> str:
    """Return where the containers find a server: its service's name is its host's."""
    names = {
        "airflow": services.API,
        "execution": services.EXECUTION,
        "mlflow": services.MLFLOW,
        "decisions": services.DECISIONS,
        "pages": services.PAGES,
        "evidently": services.EVIDENTLY,
    }
    return f"http://{names[server]}:{getattr(PORTS, server)}"


def airflow_variables(production: Production) -> dict[str, str]:
    """Return Airflow's variables that differ from the embedded stack's."""
    options = {
        "core.executor": production.executor,
        "core.hostname_callable": "socket.gethostname",
        "core.execution_api_server_url": f"{address('execution')}/execution/",
        "api.host": ALL_INTERFACES,
        "api.base_url": production.airflow_url,
        "celery.result_backend": f"db+{production.airflow_database}",
        "celery.worker_concurrency": str(production.worker_concurrency),
        # More processes than one can leave the scheduler waiting for a lock that nobody holds.
        "celery.sync_parallelism": "1",
    }
    options |= {f"{name}_cmd": f"cat {SECRETS / file}" for name, file in SECRET_OPTIONS.items()}
    return {_variable(name): text for name, text in (options | production.airflow).items()}


def _in_container(
    service: Service, production: Production, inherited: Mapping[str, str]
) -> Service:
    """Return a service as its container runs it: listening for others, asking them by name."""
    environment = dict(service.environment)
    environment["NO_PROXY"] = environment["no_proxy"] = _own_names()
    if "AIRFLOW_HOME" in environment:
        secret = {_variable(name) for name in SECRET_OPTIONS}
        environment = {name: text for name, text in environment.items() if name not in secret}
        environment |= airflow_variables(production)
        environment[wiring.PAGES_VARIABLE] = production.pages_url
        if production.lineage_url:
            environment[wiring.LINEAGE_URL_VARIABLE] = production.lineage_url
    if wiring.TRACKING_VARIABLE in environment:
        tracking = inherited.get(wiring.TRACKING_VARIABLE) or address("mlflow")
        environment[wiring.TRACKING_VARIABLE] = tracking
    health = service.health
    if not service.address:
        health = Health(f"{address('airflow')}{services.HEALTH}", health.component)
    command = _listening(service.command, production)
    return replace(service, command=command, environment=environment, health=health)


def _worker(scheduler: Service, production: Production) -> Service:
    """Return the Celery worker, which runs the tasks; its health is asked by the broker."""
    count = str(production.worker_concurrency)
    words = ("celery", "worker", services.NO_LOG_SERVER, "--concurrency", count)
    command = (scheduler.command[0], *words)
    return replace(scheduler, name=WORKER, command=command, health=Health(""))


def _listening(command: tuple[str, ...], production: Production) -> tuple[str, ...]:
    """Return a server's command with the interface it listens on, and the names it answers to."""
    words = list(command)
    if "--host" in words:
        words[words.index("--host") + 1] = ALL_INTERFACES
    if "--allowed-hosts" in words:
        own = f"{services.MLFLOW}:{PORTS.mlflow}"
        at = words.index("--allowed-hosts") + 1
        words[at] = ",".join([words[at], own, *production.mlflow_hosts])
    return tuple(words)


def _own_names() -> str:
    named = (services.API, services.EXECUTION, services.MLFLOW, services.DECISIONS, services.PAGES)
    return ",".join(("127.0.0.1", "localhost", *named, services.EVIDENTLY, "postgres", "redis"))


def _variable(option: str) -> str:
    return f"AIRFLOW__{option.replace('.', '__').upper()}"
