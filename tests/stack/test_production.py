"""The exact command and environment of each service of a production stack."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.stack import production, production_secrets
from pipelines.stack.production import Production
from pipelines.stack.services import Service

STATE, REPOSITORY = State(Path("/state")), Path("/repository")
LEDGER = {
    "CLEW_LEDGER_URL": "postgresql://ledger_writer@postgres/ledger",
    "CLEW_KEYS_URL": "postgresql://keys_writer@postgres/keys",
    "CLEW_LEDGER_GUARD": "/g",
}
NAMES = sorted(production.stack(STATE, REPOSITORY, Production(), {}))


def made(
    settings: Production | None = None, inherited: Mapping[str, str] = LEDGER
) -> dict[str, Service]:
    return production.stack(STATE, REPOSITORY, settings or Production(), inherited)


@pytest.mark.parametrize("name", NAMES)
def test_others_are_found_by_name(name: str) -> None:
    """No command and no variable leads to loopback, but where a service names its own host."""
    service = made()[name]
    allowed = {"NO_PROXY", "no_proxy"}
    texts = [text for key, text in service.environment.items() if key not in allowed]
    words = [word for word in service.command if "," not in word]
    assert [] == [text for text in [*texts, *words] if "127.0.0.1" in text]


@pytest.mark.parametrize("name", NAMES)
def test_a_server_listens_for_other_containers(name: str) -> None:
    """What has an address listens on every interface of its container."""
    service = made()[name]
    if service.address and name != production.WORKER:
        assert "0.0.0.0" == service.command[service.command.index("--host") + 1]  # noqa: S104


@pytest.mark.parametrize("name", NAMES)
def test_airflows_secrets_stay_in_files(name: str) -> None:
    """Airflow is told how to read each secret, never the secret, empty or not."""
    environment = made()[name].environment
    for option, file in production.SECRET_OPTIONS.items():
        variable = f"AIRFLOW__{option.replace('.', '__').upper()}"
        assert variable not in environment
        if "AIRFLOW_HOME" in environment:
            assert f"cat /run/secrets/{file}" == environment[f"{variable}_CMD"]


def test_the_worker_is_celerys_and_serves_no_logs() -> None:
    """Tasks go over the broker to a worker that nobody can ask for a log."""
    service = made(Production(worker_concurrency=3))["airflow-worker"]
    expected = ("celery", "worker", "--skip-serve-logs", "--concurrency", "3")
    assert expected == service.command[1:]
    assert "CeleryExecutor" == service.environment["AIRFLOW__CORE__EXECUTOR"]


@pytest.mark.parametrize("name", ["decisions", "pages", "airflow-worker"])
def test_nobody_opens_a_ledger_in_a_file_for_want_of_a_variable(name: str) -> None:
    """Without the ledger's URL or its guard, a service that records refuses to start."""
    assert made()[name] == production.chosen(made(), name)
    for lost in LEDGER:
        kept = {key: text for key, text in LEDGER.items() if key != lost}
        with pytest.raises(BadRequest, match="not named"):
            production.chosen(made(inherited=kept), name)


def test_a_wrong_name_gets_the_closest_right_one() -> None:
    """A mistyped service starts nothing."""
    with pytest.raises(BadRequest) as refused:
        production.chosen(made(), "decision")
    assert "did you mean 'decisions'?" == refused.value.hint


def test_a_password_in_the_settings_is_refused() -> None:
    """production.yaml is no place for a secret."""
    with pytest.raises(BadRequest, match="a password"):
        Production(airflow_database="postgresql://airflow:hush@db/airflow")


def test_an_option_of_ones_own_wins() -> None:
    """What a company sets of Airflow stands last."""
    chosen = Production(airflow={"core.auth_manager": "their.Manager"})
    assert "their.Manager" == made(chosen)["airflow-api"].environment["AIRFLOW__CORE__AUTH_MANAGER"]


def test_secrets_are_private_fresh_and_never_drawn_anew(tmp_path: Path) -> None:
    """Files have mode 0600, two draws share nothing, and a folder in use is refused."""
    names = production_secrets.write(tmp_path)
    assert {0o600} == {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names}
    first, second = production_secrets.make(), production_secrets.make()
    assert [] == [name for name in first if first[name] == second[name]]
    before = (tmp_path / "jwt-secret").read_text()
    with pytest.raises(BadRequest, match="already"):
        production_secrets.write(tmp_path)
    assert before == (tmp_path / "jwt-secret").read_text()


def test_only_the_preparation_knows_every_password() -> None:
    """Each service's password file holds its roles; the superuser's is in the admin's alone."""
    files = production_secrets.make()
    holders = [name for name, text in files.items() if ":postgres:" in text]
    assert ["pgpass-admin"] == holders
    for eraser in ("ledger_eraser", "keys_eraser"):
        assert eraser not in files["pgpass-decisions"]
