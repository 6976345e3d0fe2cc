"""Airflow's configuration on this stack, option by option, as environment variables."""

from __future__ import annotations

import json
from pathlib import Path

import pipelines
from pipelines.layout import State
from pipelines.stack.credentials import Secrets
from pipelines.stack.settings import Settings

HOOKS = "pipelines.stack.airflow_hooks"
# A LocalExecutor, in infra/airflow, that bears an approval given quickly.
EXECUTOR = "clew_local_executor.CountingLocalExecutor"
# Nobody listens there: logs are read from the disk, and no log server is started.
CLOSED_PORT = "1"
# With the menu entry that leads to the record's pages.
PLUGINS = Path(pipelines.__file__).parents[1] / "infra" / "airflow" / "plugins"


def variables(
    state: State, repository: Path, settings: Settings, secrets: Secrets
) -> dict[str, str]:
    """Return ``AIRFLOW__SECTION__OPTION`` for every option that is not left at its default."""
    options = (
        _core(state, repository, settings, secrets)
        | _api(settings, secrets)
        | _database(state, settings)
        | _pace()
        | _bundles(state, repository)
        | _lineage(state, settings)
        | _silence()
    )
    return {f"AIRFLOW__{name.replace('.', '__').upper()}": text for name, text in options.items()}


def sqlite(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


def _core(state: State, repository: Path, settings: Settings, secrets: Secrets) -> dict[str, str]:
    return {
        "core.dags_folder": str(repository / "dags"),
        "core.plugins_folder": str(PLUGINS),
        "core.executor": EXECUTOR,
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
        "core.execution_api_server_url": (f"{settings.address('execution')}/execution/"),
    }


def _api(settings: Settings, secrets: Secrets) -> dict[str, str]:
    return {
        "api.host": settings.host,
        "api.port": str(settings.ports.airflow),
        "api.base_url": settings.address("airflow"),
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
        "database.sql_alchemy_conn": sqlite(state.airflow_database),
        "database.sql_alchemy_connect_args": f"{HOOKS}.SQLITE_ARGUMENTS",
        "database.sql_alchemy_connect_args_async": f"{HOOKS}.SQLITE_ARGUMENTS",
        # A writer may have to wait its turn; a task must not take the wait for a fault.
        "workers.execution_api_timeout": "30.0",
    }


def _pace() -> dict[str, str]:
    """Return how often Airflow looks: the delays between tasks, and until a lost one is noticed.

    A task bears about two minutes without the server it reports to: longer than a restart.
    """
    return {
        "workers.execution_api_retries": "15",
        "workers.execution_api_retry_wait_max": "10.0",
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
