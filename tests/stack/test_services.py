"""The exact environment and command of each process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines import quiet, wiring
from pipelines.layout import State
from pipelines.stack import services
from pipelines.stack.credentials import Secrets
from pipelines.stack.services import Service
from pipelines.stack.settings import Ports, Settings

SECRETS = Secrets("j" * 86, "f" * 44, "c" * 86)
PORTS = Ports(airflow=4001, execution=4002, mlflow=4003, decisions=4004, pages=4005, evidently=4006)
STATE = State(Path("/state"))
REPOSITORY = Path("/repo")


def made(
    settings: Settings | None = None, inherited: Mapping[str, str] | None = None
) -> dict[str, Service]:
    chosen = settings or Settings(ports=PORTS)
    stack = services.stack(STATE, REPOSITORY, chosen, SECRETS, inherited or {})
    return {service.name: service for service in stack}


def airflow(settings: Settings | None = None) -> Mapping[str, str]:
    return made(settings)["airflow-scheduler"].environment


def test_people_and_tasks_have_an_api_server_each() -> None:
    """The two halves of Airflow's API are two processes on two ports of the loopback interface."""
    stack = made()
    expected = {"airflow-api": ("core", "4001"), "airflow-execution": ("execution", "4002")}
    for name, (apps, port) in expected.items():
        words = ("api-server", "--apps", apps, "--host", "127.0.0.1", "--port", port)
        assert words == stack[name].command[1:]


def test_tasks_report_to_the_execution_server_and_links_lead_to_the_other() -> None:
    """Workers call the second server; pages and links name the first."""
    environment = airflow()
    assert (
        "http://127.0.0.1:4002/execution/" == environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    )
    assert "http://127.0.0.1:4001" == environment["AIRFLOW__API__BASE_URL"]
    assert "http://127.0.0.1:4003" == environment["MLFLOW_TRACKING_URI"]


@pytest.mark.parametrize("name", ["airflow-scheduler", "airflow-triggerer"])
def test_no_log_server_is_started(name: str) -> None:
    """Airflow's log server binds every interface, so neither process may start it."""
    assert "--skip-serve-logs" in made()[name].command


def test_mlflow_runs_one_worker_and_no_jobs_and_knows_its_hosts() -> None:
    """The tracking server is small, on the loopback interface, and refuses other host names."""
    service = made()["mlflow"]
    expected = (
        "server --host 127.0.0.1 --port 4003 --workers 1"
        " --allowed-hosts 127.0.0.1:4003,localhost:4003"
    )
    assert tuple(expected.split()) == service.command[1:]
    assert "false" == service.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"]


def test_the_decision_service_asks_this_mlflow_and_works_in_the_checkout() -> None:
    """`clew serve` runs on its own port of the loopback interface, in the repository's folder."""
    service = made()["decisions"]
    words = ("-m", "pipelines.cli", "serve", "--host", "127.0.0.1", "--port", "4004")
    assert words == service.command[1:]
    assert REPOSITORY == service.folder
    assert "http://127.0.0.1:4003" == service.environment["MLFLOW_TRACKING_URI"]
    assert "http://127.0.0.1:4004/v1/health" == service.health.url


def test_the_stack_can_be_had_without_decisions() -> None:
    """A machine whose decision service runs elsewhere leaves it and the pages out by a setting."""
    settings = Settings(ports=PORTS, decisions=False)
    assert set() == {"decisions", "pages"} & set(made(settings))
    assert wiring.PAGES_VARIABLE not in airflow(settings)


def test_the_record_s_pages_are_a_process_of_their_own() -> None:
    """`clew pages` runs beside the decision service, and Airflow's tasks and menu know where."""
    service = made()["pages"]
    words = ("-m", "pipelines.cli", "pages", "--host", "127.0.0.1", "--port", "4005")
    assert words == service.command[1:]
    assert "http://127.0.0.1:4005/record/health" == service.health.url
    assert "http://127.0.0.1:4005" == airflow()[wiring.PAGES_VARIABLE]


def test_only_what_nothing_else_needs_may_be_missing() -> None:
    """A service that cannot live ends the stack, but for decisions and what people look at."""
    spared = [name for name, service in made().items() if not service.vital]
    assert ["decisions", "pages", "evidently"] == spared


def test_the_pages_of_the_watch_are_read_on_loopback_and_written_by_nobody() -> None:
    """Evidently's pages ask no name: loopback only, and a secret for writing that no one is told.

    It stands in no command line, and is another one each time.
    """
    first, second = made()["evidently"], made()["evidently"]
    words = (
        "ui",
        "--workspace",
        "/state/watch/.evidently",
        "--host",
        "127.0.0.1",
        "--port",
        "4006",
    )
    assert words == first.command[1:]
    hidden = [each.environment["EVIDENTLY_SECRET"] for each in (first, second)]
    assert hidden[0] != hidden[1]
    assert min(map(len, hidden)) >= 32
    assert "evidently" not in made(Settings(ports=PORTS, evidently=False))


def test_the_decision_service_is_not_given_airflows_secrets() -> None:
    """It signs with the ledger's key and needs no secret of Airflow's."""
    texts = made()["decisions"].environment.values()
    assert [] == [text for text in texts if SECRETS.jwt_secret in text]


def test_no_command_line_holds_a_secret_or_a_database_url() -> None:
    """What every user of a machine can read in the process list holds nothing to hide."""
    settings = Settings(
        ports=PORTS,
        airflow_database="postgresql://a:hush@db/airflow",
        mlflow_database="postgresql://m:hush@db/mlflow",
    )
    words = [word for service in made(settings).values() for word in service.command]
    hidden = ("hush", SECRETS.jwt_secret, SECRETS.fernet_key, SECRETS.cookie_key)
    assert [] == [word for word in words for one in hidden if one in word]


def test_mlflow_is_not_given_airflows_secrets() -> None:
    """A process is given the secrets it needs and no others."""
    texts = made()["mlflow"].environment.values()
    assert [] == [text for text in texts if SECRETS.jwt_secret in text]


@pytest.mark.parametrize("name", sorted(made()))
def test_every_process_is_told_to_send_no_telemetry(name: str) -> None:
    """Each tool's own switch is off, and nothing of the machine's turns it on again."""
    inherited = quiet.TELEMETRY_OFF | quiet.ONE_THREAD | {"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}
    environment = made(inherited=inherited)[name].environment
    off = {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_MODEL_CATALOG_URI": "",
        "DVC_NO_ANALYTICS": "true",
        "EVIDENTLY_DISABLE_TELEMETRY": "1",
        "ITERATIVE_DO_NOT_TRACK": "true",
        "OTEL_SDK_DISABLED": "true",
        "OMP_NUM_THREADS": "1",
    }
    assert off == {key: environment.get(key) for key in off}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in environment


def test_airflow_metrics_traces_and_error_reports_are_pinned_off() -> None:
    """Airflow is told so itself: its configuration file cannot turn a sender on."""
    environment = airflow()
    names = ("METRICS__STATSD_ON", "METRICS__OTEL_ON", "TRACES__OTEL_ON", "SENTRY__SENTRY_ON")
    assert {"false"} == {environment[f"AIRFLOW__{name}"].lower() for name in names}


def test_another_installations_configuration_does_not_leak_in() -> None:
    """Inherited variables of Airflow, MLflow and Python are dropped; the user's others stay."""
    inherited = {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "True",
        "AIRFLOW__WEBSERVER__SECRET": "x",
        "MLFLOW_REGISTRY_URI": "http://elsewhere",
        "PYTHONHOME": "/elsewhere",
        "MLFLOW_S3_ENDPOINT_URL": "http://s3",
        "AWS_PROFILE": "mine",
        "PATH": "/usr/bin",
    }
    for service in made(inherited=inherited).values():
        environment = service.environment
        assert "AIRFLOW__WEBSERVER__SECRET" not in environment
        assert "MLFLOW_REGISTRY_URI" not in environment
        assert "PYTHONHOME" not in environment
        assert ("http://s3", "mine") == (
            environment["MLFLOW_S3_ENDPOINT_URL"],
            environment["AWS_PROFILE"],
        )
        assert environment["PATH"].endswith(":/usr/bin")
    assert "False" == airflow()["AIRFLOW__CORE__LOAD_EXAMPLES"]


def test_every_folder_that_is_written_lies_in_the_state_folder() -> None:
    """Home, bundles, databases, caches, temporary files and lineage stay in one folder."""
    environment, mlflow = airflow(), made()["mlflow"].environment
    transport = json.loads(environment["AIRFLOW__OPENLINEAGE__TRANSPORT"])
    folders = [
        *(environment[name] for name in ("AIRFLOW_HOME", "TMPDIR", "XDG_CACHE_HOME")),
        environment["MPLCONFIGDIR"],
        environment["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH"],
        environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"],
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].removeprefix("sqlite:///"),
        mlflow["MLFLOW_BACKEND_STORE_URI"].removeprefix("sqlite:///"),
        mlflow["MLFLOW_ARTIFACTS_DESTINATION"],
        transport["log_file_path"],
        *(str(service.log) for service in made().values()),
    ]
    assert [] == [folder for folder in folders if not Path(folder).is_relative_to(STATE.home)]


def test_the_dags_come_from_the_repository_by_an_explicit_bundle() -> None:
    """One local bundle: the repository's dags folder."""
    bundles = json.loads(airflow()["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert [{"path": "/repo/dags"}] == [bundle["kwargs"] for bundle in bundles]


def test_there_are_real_users_and_no_open_house() -> None:
    """Everybody logs in: an approval by nobody would be worth nothing."""
    environment = airflow()
    assert "False" == environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"]
    assert (
        "admin:admin,engineer:op,approver:user"
        == environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    )


def test_production_is_the_same_code_with_other_settings() -> None:
    """Database URLs, an artifact store and a lineage server replace files by settings alone."""
    settings = Settings(
        ports=PORTS,
        airflow_database="postgresql://db/airflow",
        mlflow_database="postgresql://db/mlflow",
        mlflow_artifacts="s3://bucket/mlflow",
        lineage_url="http://lineage:5000",
    )
    environment, mlflow = airflow(settings), made(settings)["mlflow"].environment
    assert "postgresql://db/airflow" == environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS" not in environment
    assert {"type": "http", "url": "http://lineage:5000"} == json.loads(
        environment["AIRFLOW__OPENLINEAGE__TRANSPORT"]
    )
    assert "postgresql://db/mlflow" == mlflow["MLFLOW_BACKEND_STORE_URI"]
    assert "s3://bucket/mlflow" == mlflow["MLFLOW_ARTIFACTS_DESTINATION"]
