"""The doctor inside a production container: what a service needs is looked at, the rest is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from pipelines import wiring
from pipelines.adapters import postgres_key_store, postgres_ledger
from pipelines.layout import State
from pipelines.stack import doctor, production, production_doctor
from pipelines.stack.doctor import Finding
from pipelines.stack.production import Production
from pipelines.stack.production_doctor import NEEDS, NOT_HERE, checks, found, look
from pipelines.stack.services import Health
from pipelines.stack.settings import Settings
from tests.conftest import ROOT
from tests.ledger.conftest import cluster  # noqa: F401 - a fixture
from tests.ledger.places import queried
from tests.ledger.postgres import Cluster
from tests.registries import free_port

MADE = production.stack(State(Path("/state")), Path("/repository"), Production(), {})


class Fine(BaseHTTPRequestHandler):
    """A page that says that all is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[Health]:
    server = HTTPServer(("127.0.0.1", 0), Fine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Health(f"http://127.0.0.1:{server.server_port}/health")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nobody() -> Health:
    return Health(f"http://127.0.0.1:{free_port()}/health")


def test_another_service_that_cannot_be_reached_is_no_fault(page: Health, nobody: Health) -> None:
    """What is not needed and does not answer is told as not run here."""
    needed = {"decisions": lambda: True}
    told = f"healthy: decisions; answer too: mlflow; {NOT_HERE}, no answer: pages"
    assert (True, told) == look(needed, {"mlflow": page, "pages": nobody})


def test_a_needed_service_that_does_not_answer_is_a_fault(page: Health) -> None:
    """What the service needs must be well, whatever else answers."""
    needed = {"decisions": lambda: True, "mlflow": lambda: False}
    told = "not healthy: mlflow; healthy: decisions; answer too: pages"
    assert (False, told) == look(needed, {"pages": page})


def test_other_services_are_asked_by_their_names() -> None:
    """A container finds another by its service's name, on its configured port."""
    asked = {name: found(one).url for name, one in MADE.items() if one.address}
    assert "http://mlflow:5000/health" == asked["mlflow"]
    assert "http://decisions:8390/v1/health" == asked["decisions"]
    assert not [url for url in asked.values() if "127.0.0.1" in url]


@pytest.mark.parametrize(("name", "needed"), [(n, one) for n in NEEDS for one in NEEDS[n]])
def test_what_is_needed_may_be_reached(name: str, needed: str) -> None:
    """Kubernetes' policies let every service reach what the doctor asks of it."""
    policies = yaml.safe_load_all((ROOT / "infra/kubernetes/network.yaml").read_text())
    ways = {each["metadata"]["name"]: each["spec"] for each in policies}
    values = ways[f"to-{needed}"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]
    assert name in values["values"]


def examined(name: str, state: State) -> dict[str, Finding]:
    instead = checks(name, MADE, Production(), state)
    lock = ROOT / "infra" / "locks" / "clew.lock"
    return {each.name: each for each in doctor.examine(state, ROOT, lock, Settings(), instead)}


@pytest.fixture
def state(tmp_path: Path) -> State:
    one = State(tmp_path / "state")
    one.home.mkdir(mode=0o700)
    return one


def test_a_container_is_not_asked_for_the_embedded_stack(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports, watch and databases that are not this container's are told as not run here."""
    monkeypatch.delenv(wiring.LEDGER_URL_VARIABLE, raising=False)
    monkeypatch.setenv(production_doctor.SERVICE_VARIABLE, "evidently")
    told = examined(production_doctor.named(), state)
    for name in ("ports", "watch", "databases"):
        assert told[name].ok
        assert told[name].observed.startswith(NOT_HERE)
    assert not told["services"].ok
    assert "see their logs" == told["services"].hint
    assert told["services"].observed.startswith("not healthy: evidently; ")


def test_ledger_and_keys_are_asked_where_they_are_opened(
    state: State,
    cluster: Cluster,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container that opens the ledger is well when ledger and keys answer, and not without."""
    urls = {}
    for variable, maker in (
        (wiring.LEDGER_URL_VARIABLE, postgres_ledger),
        (wiring.KEYS_URL_VARIABLE, postgres_key_store),
    ):
        schema = f"doctor_{maker.__name__.rpartition('.')[2]}"
        urls[variable] = f"{cluster.url} options='-c search_path={schema}'"
        queried(cluster.url, f"CREATE SCHEMA {schema}", ())
        maker.create_schema(urls[variable])
        monkeypatch.setenv(variable, urls[variable])
    told = examined("decisions", state)
    assert (True, "ledger, keys answer") == (told["databases"].ok, told["databases"].observed)
    assert told["watch"].ok
    monkeypatch.setenv(wiring.KEYS_URL_VARIABLE, f"host={cluster.folder} port=1 user=owner")
    assert not examined("decisions", state)["databases"].ok
