"""The exact environment and command of every process of the stack. Pure: nothing is started.

Secrets and database URLs go by the environment, never by the command line, which every user of
a machine can read.
"""

from __future__ import annotations

import dataclasses
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pipelines
from pipelines.layout import HOME_VARIABLE, State
from pipelines.stack.airflow_options import sqlite, variables
from pipelines.stack.credentials import Secrets
from pipelines.stack.settings import Settings
from pipelines.watch.places import workspace
from pipelines.wiring import PAGES_VARIABLE

API, EXECUTION, SCHEDULER = "airflow-api", "airflow-execution", "airflow-scheduler"
PROCESSOR, TRIGGERER, MLFLOW = "airflow-dag-processor", "airflow-triggerer", "mlflow"
DECISIONS, PAGES, EVIDENTLY = "decisions", "pages", "evidently"
HEALTH = "/api/v2/monitor/health"
# Another installation's configuration must not leak in; what speaks of S3 belongs to the user.
DROPPED = ("AIRFLOW", "_AIRFLOW", "MLFLOW_", "_MLFLOW", "OPENLINEAGE", "OTEL_", "PYTHON", "UVICORN")
KEPT = ("MLFLOW_S3_", "PYTHONHASHSEED", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_MODEL_CATALOG_URI")
# Logs are read from the disk, so nobody serves them: Airflow's log server binds every interface.
NO_LOG_SERVER = "--skip-serve-logs"


@dataclass(frozen=True, slots=True)
class Health:
    """How a service shows that it works: a page answers 200, with `component` healthy in it.

    Where `waits` is named, 503 with a JSON object that has that field is fine too: the service
    runs, and says what it waits for.
    """

    url: str
    component: str = ""
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its command, its whole environment, where it logs and how it shows health.

    A `vital` one that cannot live ends the stack; another is tried again, ever more rarely.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    health: Health
    address: str = ""
    vital: bool = True


def stack(
    state: State,
    repository: Path,
    settings: Settings,
    secrets: Secrets,
    inherited: Mapping[str, str],
) -> tuple[Service, ...]:
    """Return every service in the order of starting. `settings` must name every port.

    `inherited` is the environment to build on: `pipelines.quiet.environment`.
    """
    airflow = airflow_environment(state, repository, settings, secrets, inherited)
    return (
        mlflow_server(state, settings, inherited),
        *api_servers(state, settings, airflow),
        *workers(state, settings, airflow),
        *(deciding(state, repository, settings, inherited) if settings.decisions else ()),
        *((evidently_pages(state, settings, inherited),) if settings.evidently else ()),
    )


def migration(state: State, service_environment: Mapping[str, str]) -> Service:
    """Return the process that makes or upgrades Airflow's tables; it must end before the rest."""
    command = (_program("airflow"), "db", "migrate")
    return _service(state, "airflow-migrate", command, service_environment, Health(""))


def mlflow_server(state: State, settings: Settings, inherited: Mapping[str, str]) -> Service:
    """Return MLflow's tracking server and registry: one worker, no job runner, loopback only."""
    port = settings.ports.mlflow
    command = (
        *(_program("mlflow"), "server", "--host", settings.host, "--port", str(port)),
        *("--workers", "1", "--allowed-hosts", _allowed_hosts(settings.host, port)),
    )
    environment = _common(state, inherited) | {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_database or sqlite(state.mlflow_database),
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifacts or str(state.mlflow_artifacts),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",
    }
    url = settings.address("mlflow")
    return _service(state, MLFLOW, command, environment, Health(f"{url}/health"), url)


def deciding(
    state: State, repository: Path, settings: Settings, inherited: Mapping[str, str]
) -> tuple[Service, ...]:
    """Return the decision service and the record's pages, each a process of its own.

    Until a version is promoted the decision service answers 503, which is healthy. A replay or a
    letter takes the pages a core for seconds; nobody who is decided about waits for that.
    """
    decisions, pages = settings.address("decisions"), settings.address("pages")
    healths = (decision_health(decisions), Health(f"{pages}/record/health"))
    return tuple(
        Service(
            name=name,
            command=(
                *(sys.executable, "-m", "pipelines.cli", word),
                *("--host", settings.host, "--port", str(getattr(settings.ports, name))),
            ),
            environment=_common(state, inherited)
            | {"MLFLOW_TRACKING_URI": settings.address("mlflow")},
            folder=repository,
            log=state.logs / f"{name}.log",
            health=health,
            address=settings.address(name),
            vital=False,
        )
        for name, word, health in zip((DECISIONS, PAGES), ("serve", "pages"), healths, strict=True)
    )


def evidently_pages(state: State, settings: Settings, inherited: Mapping[str, str]) -> Service:
    """Return Evidently's pages of the watch: read by whoever reaches loopback, written by nobody.

    They ask no reader's name, so they must not listen elsewhere. Writing wants a secret that is
    made here and told to nobody; the watch writes to the workspace's files.
    """
    port = settings.ports.evidently
    command = (
        *(_program("evidently"), "ui", "--workspace", str(workspace(state))),
        *("--host", settings.host, "--port", str(port)),
    )
    environment = _common(state, inherited) | {
        "DO_NOT_TRACK": "true",
        "EVIDENTLY_SECRET": secrets.token_urlsafe(32),
    }
    url = settings.address("evidently")
    found = _service(state, EVIDENTLY, command, environment, Health(f"{url}/api/version"), url)
    return dataclasses.replace(found, vital=False)


def decision_health(url: str) -> Health:
    """Return how a decision service at this address shows that it runs."""
    return Health(f"{url}/v1/health", waits="decides")


def api_servers(
    state: State, settings: Settings, environment: Mapping[str, str]
) -> tuple[Service, ...]:
    """Return the two halves of Airflow's API: one for people, one for running tasks.

    They must be two processes: in one, on SQLite, a person's write can wait for a task's write
    that waits for the same event loop.
    """
    core, execution = settings.ports.airflow, settings.ports.execution
    core_url, execution_url = settings.address("airflow"), settings.address("execution")
    return (
        _service(
            state,
            EXECUTION,
            _api_command("execution", settings.host, execution),
            environment,
            Health(f"{execution_url}/execution/health"),
            execution_url,
        ),
        _service(
            state,
            API,
            _api_command("core", settings.host, core),
            environment,
            Health(f"{core_url}{HEALTH}", "metadatabase"),
            core_url,
        ),
    )


def workers(
    state: State, settings: Settings, environment: Mapping[str, str]
) -> tuple[Service, ...]:
    """Return the scheduler (which runs the tasks), the DAG processor and the triggerer."""
    health = f"{settings.address('airflow')}{HEALTH}"
    named = (
        (SCHEDULER, ("scheduler", NO_LOG_SERVER), "scheduler"),
        (PROCESSOR, ("dag-processor",), "dag_processor"),
        (TRIGGERER, ("triggerer", NO_LOG_SERVER), "triggerer"),
    )
    return tuple(
        _service(state, name, (_program("airflow"), *words), environment, Health(health, component))
        for name, words, component in named
    )


def airflow_environment(
    state: State,
    repository: Path,
    settings: Settings,
    secrets: Secrets,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of every Airflow process, and so of every task."""
    mlflow = settings.address("mlflow")
    return (
        _common(state, inherited)
        | {"AIRFLOW_HOME": str(state.airflow), "MLFLOW_TRACKING_URI": mlflow}
        | ({PAGES_VARIABLE: settings.address("pages")} if settings.decisions else {})
        | variables(state, repository, settings, secrets)
    )


def _common(state: State, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what every process gets: what is inherited and harmless, and folders of its own."""
    kept = {
        name: text
        for name, text in inherited.items()
        if name.startswith(KEPT) or not name.startswith(DROPPED)
    }
    root = Path(pipelines.__file__).parents[1]
    return kept | {
        HOME_VARIABLE: str(state.home),
        "PATH": f"{Path(sys.executable).parent}:{inherited.get('PATH', '')}",
        "PYTHONPATH": f"{root}:{root / 'infra' / 'airflow'}",
        "PYTHONUNBUFFERED": "1",
        # The packages are compiled when they are installed; a checkout is never written to.
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(state.temporary),
        "MPLCONFIGDIR": str(state.program_cache / "matplotlib"),
        "XDG_CACHE_HOME": str(state.program_cache),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "OTEL_SDK_DISABLED": "true",
        "EVIDENTLY_DISABLE_TELEMETRY": "1",
        "ITERATIVE_DO_NOT_TRACK": "true",
    }


def _service(
    state: State,
    name: str,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    health: Health,
    url: str = "",
) -> Service:
    log = state.logs / f"{name}.log"
    return Service(name, command, environment, state.home, log, health, url)


def _api_command(apps: str, host: str, port: int) -> tuple[str, ...]:
    program = _program("airflow")
    return (program, "api-server", "--apps", apps, "--host", host, "--port", str(port))


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _allowed_hosts(host: str, port: int) -> str:
    return ",".join(f"{name}:{port}" for name in dict.fromkeys((host, "127.0.0.1", "localhost")))
