"""Settings: what a machine may choose, and what is refused."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import BadRequest
from pipelines.stack.settings import Ports, Settings, User, resolve_ports
from pipelines.typed import convert, plain


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.4", "localhost", "", "example.org"])  # noqa: S104
def test_a_host_that_others_can_reach_is_refused(host: str) -> None:
    """Only a loopback address is taken, for MLflow's server asks nobody's name."""
    with pytest.raises(BadRequest, match="loopback"):
        Settings(host=host)


@pytest.mark.parametrize(
    ("given_settings", "where"),
    [
        ({"ports": {"airflow": 65536}}, "ports.airflow"),
        ({"ports": {"airflow": -1}}, "ports.airflow"),
        ({"ports": {"airflow": 4000, "mlflow": 4000}}, "ports"),
        ({"parallelism": 0}, "parallelism"),
        ({"users": []}, "users"),
        ({"users": [{"name": "a", "role": "op"}, {"name": "a", "role": "user"}]}, "users"),
        ({"users": [{"name": "a:admin", "role": "op"}]}, "users"),
        ({"users": [{"name": "a", "role": "opp"}]}, "users.a"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_its_name(
    given_settings: dict[str, object], where: str
) -> None:
    """Each impossible setting raises BadRequest that says where it stands."""
    with pytest.raises(BadRequest) as caught:
        convert(given_settings, Settings, "settings")
    assert where == caught.value.where


def test_an_unknown_setting_is_refused_with_the_nearest_name() -> None:
    """A misspelt key is an error with a suggestion, never silently ignored."""
    with pytest.raises(BadRequest, match="paralelism") as caught:
        convert({"paralelism": 2}, Settings, "settings")
    assert "did you mean 'parallelism'?" == caught.value.hint


@given(
    st.builds(
        Settings,
        parallelism=st.integers(1, 64),
        users=st.just((User("anna", "viewer"),)),
        lineage_url=st.none() | st.just("http://lineage.example"),
    )
)
def test_settings_come_back_from_plain_data_unchanged(settings: Settings) -> None:
    """Settings survive the way through JSON to a supervisor in the background."""
    assert settings == convert(plain(settings), Settings, "settings")


def test_ports_left_open_are_chosen_free_and_different() -> None:
    """A port 0 becomes a free port of its own."""
    chosen = resolve_ports(Settings()).ports
    assert 3 == len({chosen.airflow, chosen.execution, chosen.mlflow} - {0})


def test_the_port_of_the_last_start_is_taken_again() -> None:
    """Links into the web pages outlive a restart: a free former port is preferred."""
    former = resolve_ports(Settings()).ports
    assert former == resolve_ports(Settings(), former).ports


def test_a_former_port_that_is_taken_is_given_up() -> None:
    """A former port in other hands is replaced by a free one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        chosen = resolve_ports(Settings(), Ports(airflow=taken)).ports
    assert taken != chosen.airflow


def test_a_fixed_port_that_is_taken_is_refused() -> None:
    """A port that was asked for by number is had, or the start is refused."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(BadRequest, match="taken") as caught:
            resolve_ports(Settings(ports=Ports(mlflow=taken)))
    assert ("ports.mlflow", taken) == (caught.value.where, caught.value.observed)
