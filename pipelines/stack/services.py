"""The exact environment and command of every process of the stack. Pure: nothing is started.

Secrets and database URLs go by the environment, never by the command line, which every user of
a machine can read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pipelines
from pipelines.layout import HOME_VARIABLE, State
from pipelines.stack.credentials import Secrets
from pipelines.stack.settings import Settings

API, EXECUTION, SCHEDULER = "airflow-api", "airflow-execution", "airflow-scheduler"
PROCESSOR, TRIGGERER, MLFLOW = "airflow-dag-processor", "airflow-triggerer", "mlflow"
HEALTH = "/api/v2/monitor/health"
# Another installation's configuration must not leak in; what speaks of S3 belongs to the user.
DROPPED = ("AIRFLOW", "_AIRFLOW", "MLFLOW_", "_MLFLOW", "OPENLINEAGE", "OTEL_", "PYTHON", "UVICORN")
KEPT = ("MLFLOW_S3_", "PYTHONHASHSEED", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_MODEL_CATALOG_URI")
# Logs are read from the disk, so nobody serves them: Airflow's log server binds every interface.
NO_LOG_SERVER = "--skip-serve-logs"
CLOSED_PORT = "1"
HOOKS = "pipelines.stack.airflow_hooks"


@dataclass(frozen=True, slots=True)
class Health:
    """How a service shows that it works: a page answers 200, with `component` healthy in it."""

    url: str
    component: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its command, its whole environment, where it logs and how it shows health."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    health: Health
    address: str = ""


def address(settings: Settings, port: int) -> str:
    """Return ``http://host:port``."""
    return f"http://{settings.host}:{port}"


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
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_database or _sqlite(state.mlflow_database),
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifacts or str(state.mlflow_artifacts),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",
    }
    url = address(settings, port)
    return _service(state, MLFLOW, command, environment, Health(f"{url}/health"), url)


def api_servers(
    state: State, settings: Settings, environment: Mapping[str, str]
) -> tuple[Service, ...]:
    """Return the two halves of Airflow's API: one for people, one for running tasks.

    They must be two processes: in one, on SQLite, a person's write can wait for a task's write
    that waits for the same event loop.
    """
    core, execution = settings.ports.airflow, settings.ports.execution
    core_url, execution_url = address(settings, core), address(settings, execution)
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
    health = f"{address(settings, settings.ports.airflow)}{HEALTH}"
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
    options = (
        _core(state, repository, settings, secrets)
        | _api(settings, secrets)
        | _database(state, settings)
        | _pace()
        | _bundles(state, repository)
        | _lineage(state, settings)
        | _silence()
    )
    variables = {
        f"AIRFLOW__{key.replace('.', '__').upper()}": text for key, text in options.items()
    }
    mlflow = address(settings, settings.ports.mlflow)
    return (
        _common(state, inherited)
        | {"AIRFLOW_HOME": str(state.airflow), "MLFLOW_TRACKING_URI": mlflow}
        | variables
    )


def _core(state: State, repository: Path, settings: Settings, secrets: Secrets) -> dict[str, str]:
    return {
        "core.dags_folder": str(repository / "dags"),
        "core.plugins_folder": str(state.airflow_plugins),
        "core.executor": "LocalExecutor",
        "core.parallelism": str(settings.parallelism),
        "core.load_examples": "False",
        "core.fernet_key": secrets.fernet_key,
        "core.hostname_callable": f"{HOOKS}.loopback",
        "core.auth_manager": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "core.simple_auth_manager_all_admins": "False",
        "core.simple_auth_manager_users": ",".join(f"{u.name}:{u.role}" for u in settings.users),
        "core.simple_auth_manager_passwords_file": str(state.users),
        "core.execution_api_server_url": (
            f"{address(settings, settings.ports.execution)}/execution/"
        ),
    }


def _api(settings: Settings, secrets: Secrets) -> dict[str, str]:
    return {
        "api.host": settings.host,
        "api.port": str(settings.ports.airflow),
        "api.base_url": address(settings, settings.ports.airflow),
        "api.workers": "1",
        "api.secret_key": secrets.cookie_key,
        "api.expose_config": "False",
        "api.expose_stacktrace": "False",
        "api_auth.jwt_secret": secrets.jwt_secret,
    }


def _database(state: State, settings: Settings) -> dict[str, str]:
    if settings.airflow_database:
        return {"database.sql_alchemy_conn": settings.airflow_database}
    return {
        "database.sql_alchemy_conn": _sqlite(state.airflow_database),
        "database.sql_alchemy_connect_args": f"{HOOKS}.SQLITE_ARGUMENTS",
        "database.sql_alchemy_connect_args_async": f"{HOOKS}.SQLITE_ARGUMENTS",
        # A writer may have to wait its turn; a task must not take the wait for a fault.
        "workers.execution_api_timeout": "30.0",
    }


def _pace() -> dict[str, str]:
    """Return how often Airflow looks: the delays between tasks, and until a lost one is noticed."""
    return {
        "scheduler.scheduler_idle_sleep_time": "0.1",
        "scheduler.orphaned_tasks_check_interval": "30.0",
        "scheduler.scheduler_health_check_threshold": "30",
        "scheduler.enable_health_check": "False",
        "dag_processor.refresh_interval": "5",
        "dag_processor.parsing_processes": "1",
    }


def _bundles(state: State, repository: Path) -> dict[str, str]:
    bundle = {
        "name": "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(repository / "dags")},
    }
    return {
        "dag_processor.dag_bundle_config_list": json.dumps([bundle]),
        "dag_processor.dag_bundle_storage_path": str(state.airflow_bundles),
    }


def _lineage(state: State, settings: Settings) -> dict[str, str]:
    to_file = {"type": "file", "log_file_path": str(state.lineage), "append": True}
    to_server = {"type": "http", "url": settings.lineage_url}
    return {
        "openlineage.namespace": "clew",
        "openlineage.disabled": "False",
        "openlineage.transport": json.dumps(to_server if settings.lineage_url else to_file),
    }


def _silence() -> dict[str, str]:
    """Return what keeps Airflow from calling anybody: a variable of the machine's is overruled."""
    return {
        "metrics.statsd_on": "False",
        "metrics.otel_on": "False",
        "traces.otel_on": "False",
        "sentry.sentry_on": "false",
        "logging.remote_logging": "False",
        "logging.colored_console_log": "False",
        "logging.worker_log_server_port": CLOSED_PORT,
        "logging.trigger_log_server_port": CLOSED_PORT,
    }


def _common(state: State, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what every process gets: what is inherited and harmless, and folders of its own."""
    kept = {
        name: text
        for name, text in inherited.items()
        if name.startswith(KEPT) or not name.startswith(DROPPED)
    }
    temporary = str(state.temporary)
    return kept | {
        HOME_VARIABLE: str(state.home),
        "PATH": f"{Path(sys.executable).parent}:{inherited.get('PATH', '')}",
        "PYTHONPATH": str(Path(pipelines.__file__).parents[1]),
        "PYTHONUNBUFFERED": "1",
        # The packages are compiled when they are installed; a checkout is never written to.
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": temporary,
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


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}"
