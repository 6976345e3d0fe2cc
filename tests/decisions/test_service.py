"""The decision service over HTTP: recorded answers, roles, limits, the swap of models."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.testclient import TestClient

from pipelines import params
from pipelines.decisions.record import Recorder, as_number
from pipelines.decisions.service import api_keys, edge, serve
from pipelines.decisions.service.api_keys import ApiKeys, Role
from pipelines.decisions.service.app import header
from pipelines.decisions.service.limits import RateLimit, TooLarge, TooMuch, read_body
from pipelines.decisions.service.serve import LOGGING, Line, Together, seldom_collected
from pipelines.decisions.service.settings import ServiceSettings
from pipelines.errors import BadRequest, Unavailable
from pipelines.layout import Layout, State, repository
from pipelines.ledger import verify
from pipelines.ledger.store import Stopped
from tests.decisions import desks, versions
from tests.decisions.desks import Bench
from tests.ledger.places import SqlitePlace
from tests.registries import free_port

SEVEN = versions.application()
JSON = {"Content-Type": "application/json"}
MARK = "marked-9034"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    place = SqlitePlace(tmp_path)
    yield Bench(place, tmp_path / "bench")
    place.close()


def ask(client: TestClient, data: bytes = SEVEN, **headers: str) -> Any:
    return client.post("/v1/decisions", content=data, headers=JSON | headers)


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_answer_has_decision_score_reasons_notice_and_receipt(
    bench: Bench, tmp_path: Path
) -> None:
    """The answer says what was decided, by what, and how to contest it, and proves itself."""
    answer = ask(bench.client()).json()
    decided = desks.decided(bench.watch.seen.loaded.model, SEVEN)  # type: ignore[union-attr]
    assert decided.outcome == answer["decision"]
    assert decided.margin == answer["score"]["margin"]
    assert [each.words for each in decided.reasons] == [r["words"] for r in answer["reasons"]]
    assert "ask a person" == answer["notice"]["contest"]
    assert "An automated system made this decision." == answer["notice"]["automated"]
    assert {"name": "people", "version": "1"} == answer["model"]
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "entry.json").write_text(answer["receipt"]["entry"])
    (folder / "proof.tlog-proof").write_text(answer["receipt"]["proof"])
    assert verify.FINE == verify.verify(folder, bench.place.policy)[0]
    kept = bench.recorder.read(as_number(answer["decision_id"])).made
    assert SEVEN == kept.request


def test_without_the_ledger_no_decision_is_given(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A ledger that takes nothing is 503 with Retry-After, and the answer has no decision in it.

    The answer names its request and not the reason, which the log tells under that name.
    """
    client = bench.client()
    bench.recorder.ledger.close()
    answer = ask(client)
    assert 503 == answer.status_code
    assert any(answer.headers["X-Request-Id"] in each.getMessage() for each in caplog.records)
    assert int(answer.headers["Retry-After"]) > 0
    assert not {"decision", "score", "reasons"} & answer.json().keys()
    health = client.get("/v1/health")
    assert (503, False) == (health.status_code, health.json()["decides"])


def test_a_refusal_names_field_and_rule_and_never_a_value(bench: Bench) -> None:
    """What is wrong is told by field and rule, recorded, and proven like any decision."""
    data = versions.application(income=f"{MARK}", job=f"a {MARK} job")
    answer = ask(bench.client(), data)
    assert 422 == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    told = {(each["field"], each["rule"]) for each in answer.json()["errors"]}
    assert {("income", "wrong-type"), ("job", "unseen")} == told
    assert MARK not in answer.text
    assert 1 == bench.size()
    assert 0 == answer.json()["receipt"]["index"]


@pytest.mark.parametrize(
    ("data", "status", "rule"),
    [
        (b"[1, 2", 400, "not-json"),
        (b"[]", 400, "not-json"),
        (b"[" + b"{}," * 3 + b"{}]", 413, "too-large"),
        (b" " * 5000, 413, "too-large"),
        (b"[\xff]", 400, "not-json"),
        (b"[" * 2000, 400, "not-json"),
        (b'[{"income":' + b"[" * 2000 + b"]" * 2000 + b"}]", 400, "not-json"),
    ],
    ids=["broken list", "empty list", "long list", "large body", "not text", "deep", "deep field"],
)
def test_a_request_without_an_application_is_answered_and_recorded(
    bench: Bench, data: bytes, status: int, rule: str
) -> None:
    """A request that holds nothing to decide about has its own answer, and leaves an entry."""
    answer = ask(bench.client(most_in_one_request=3, largest_request=4096), data)
    assert status == answer.status_code
    entry = json.loads(bench.recorder.ledger.row(0).entry)
    assert ("refusal", rule) == (entry["t"], entry["rule"])


def test_a_body_without_a_length_is_read_no_further_than_allowed() -> None:
    """A stream that says no length is cut off at the limit."""
    chunks: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            chunks.append(1024)
            yield b" " * 1024

    with pytest.raises(TooLarge):
        asyncio.run(read_body(endless(), None, 4096))
    assert 5 * 1024 == sum(chunks)


def test_only_json_is_taken(bench: Bench) -> None:
    """A form, which any web page can send, is no request here; that it came is recorded."""
    answer = bench.client().post("/v1/decisions", content=SEVEN)
    assert 415 == answer.status_code
    assert "wrong-media" == json.loads(bench.recorder.ledger.row(0).entry)["rule"]


def test_a_list_is_decided_in_order_each_with_its_own_receipt(bench: Bench) -> None:
    """A list gives a list: as many answers, in order, the refused among them in their place."""
    people = [versions.application(person=f"p{n}") for n in range(3)]
    data = b"[" + b",".join([people[0], b"7", people[1], people[2]]) + b"]"
    answer = ask(bench.client(), data).json()
    assert [0, 1, 2, 3] == [each["receipt"]["index"] for each in answer]
    assert "refuse" == answer[1]["decision"]
    kept = bench.recorder.read(as_number(answer[2]["decision_id"])).made
    assert (people[1], "p1") == (kept.request, kept.decided.subject)


def test_a_replayed_request_gives_the_same_decision_once(bench: Bench) -> None:
    """The same key and bytes give the same answer and leave one entry; other bytes are refused."""
    client, key = bench.client(), {"Idempotency-Key": "one"}
    first, again = ask(client, **key).json(), ask(client, **key).json()
    same = ("decision_id", "decision", "score", "reasons", "notice", "model")
    assert [first[name] for name in same] == [again[name] for name in same]
    assert first["receipt"]["entry"] == again["receipt"]["entry"]
    assert 1 == bench.size()
    assert 422 == ask(client, versions.application(person="other"), **key).status_code
    assert 400 == ask(client, **{"Idempotency-Key": "k" * 256}).status_code
    assert 1 == bench.size()


# Who may do what


def test_roles_open_what_they_name_and_nothing_else(bench: Bench, tmp_path: Path) -> None:
    """Every role on every route: only the ones that name it are let in."""
    path = tmp_path / "api-keys.json"
    held = {role: api_keys.create(path, role.value, [role]) for role in Role}
    client = bench.client(ApiKeys(path))
    made = ask(client, Authorization=f"Bearer {held[Role.DECIDE]}").json()["decision_id"]
    word = json.dumps({"person": "Ada", "reason": "a test"}).encode()
    routes: dict[str, tuple[tuple[str, str, bytes], set[Role]]] = {
        "decide": (("POST", "/v1/decisions", SEVEN), {Role.DECIDE}),
        "look": (("GET", f"/v1/decisions/{made}", b""), {Role.READ, Role.AUDIT}),
        "stop": (("POST", "/v1/stop", word), {Role.ADMIN}),
        "resume": (("POST", "/v1/resume", word), {Role.ADMIN}),
    }
    for (method, route, data), allowed in routes.values():
        for role, key in held.items():
            headers = JSON | {"Authorization": f"Bearer {key}"}
            answer = client.request(method, route, content=data, headers=headers)
            assert (200 if role in allowed else 403) == answer.status_code, (route, role)
        for headers in ({}, {"Authorization": "Bearer clew_wrong"}, {"Authorization": "Basic x"}):
            answer = client.request(method, route, content=data, headers=JSON | headers)
            assert (401, "Bearer") == (answer.status_code, answer.headers["WWW-Authenticate"])


def test_a_key_is_kept_as_its_hash_and_revoked_at_once(bench: Bench, tmp_path: Path) -> None:
    """The file does not hold the key; a revoked key is out while the service runs."""
    path = tmp_path / "api-keys.json"
    key = api_keys.create(path, "bank", [Role.DECIDE])
    assert key not in path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777
    client, headers = bench.client(ApiKeys(path)), {"Authorization": f"Bearer {key}"}
    assert 200 == ask(client, **headers).status_code
    api_keys.revoke(path, "bank")
    assert 401 == ask(client, **headers).status_code
    path.unlink()
    assert 401 == ask(client, **headers).status_code


def test_a_key_s_name_cannot_write_lines_of_a_log(tmp_path: Path) -> None:
    """Whatever names somebody in a log is one line."""
    with pytest.raises(BadRequest):
        api_keys.create(tmp_path / "keys", "bank\n2026 clew.service ERROR", [Role.DECIDE])


def test_a_stop_names_the_key_that_threw_it(bench: Bench, tmp_path: Path) -> None:
    """Who holds a key stops nothing in another's name alone."""
    keys = tmp_path / "api-keys.json"
    headers = {"Authorization": f"Bearer {api_keys.create(keys, 'root', [Role.ADMIN])}"}
    client, word = bench.client(ApiKeys(keys)), {"person": "Ada", "reason": "complaints"}
    nobody = client.post("/v1/stop", json=word | {"person": " "}, headers=headers)
    assert (400, None) == (nobody.status_code, bench.switch.on())
    client.post("/v1/stop", json=word, headers=headers)
    assert "Ada, by the key root" == bench.switch.on().person  # type: ignore[union-attr]


def test_who_goes_away_while_sending_is_no_fault(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller that is gone before the request was whole is logged, and alarms nobody."""
    caplog.set_level(logging.INFO)
    app = bench.app()
    scope = {"type": "http", "method": "POST", "path": "/v1/decisions", "query_string": b""}
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        raise AssertionError("nobody is there")

    asyncio.run(app(scope | {"headers": headers}, receive, send))
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert any(" 499 " in each.getMessage() for each in caplog.records)


def test_the_first_key_closes_a_running_service(bench: Bench, tmp_path: Path) -> None:
    """Open on loopback until the first key is made; from then on closed, the file gone or not."""
    state = State(tmp_path / "state")
    client = bench.client(serve.api_keys(state, ServiceSettings()))
    assert 200 == ask(client).status_code
    key = api_keys.create(state.api_keys, "bank", [Role.DECIDE])
    assert 401 == ask(client).status_code
    assert 200 == ask(client, Authorization=f"Bearer {key}").status_code
    state.api_keys.unlink()
    assert 401 == ask(client).status_code


def test_without_keys_only_programs_of_this_machine_are_answered(bench: Bench) -> None:
    """A page in a browser (Origin), or a name that leads here (Host), is refused."""
    client = bench.client()
    assert 403 == ask(client, Origin="http://example.com").status_code
    assert 403 == ask(client, Host="example.com").status_code
    assert 200 == ask(client, Host="localhost:8390").status_code


def test_a_caller_that_asks_too_often_waits_and_others_do_not() -> None:
    """Beyond the burst a caller is told how long to wait; time gives tokens back."""
    now = [0.0]
    limit = RateLimit(2.0, 3.0, lambda: now[0])
    for _ in range(3):
        limit.take("a")
    with pytest.raises(TooMuch) as error:
        limit.take("a")
    assert 0.5 == error.value.seconds
    limit.take("b")
    now[0] = 0.5
    limit.take("a")
    with pytest.raises(TooMuch):
        limit.take("a")


def test_too_many_requests_say_when_to_come_back(bench: Bench) -> None:
    """The limit counts applications, and its answer is 429 with Retry-After."""
    client = bench.client(requests_per_second=0.5, burst=4)
    assert 200 == ask(client, b"[" + b",".join([SEVEN] * 4) + b"]").status_code
    answer = ask(client)
    assert (429, "2") == (answer.status_code, answer.headers["Retry-After"])


# The stop switch


def test_stopped_everything_is_referred_at_once(bench: Bench) -> None:
    """From the stop on every answer is refer, recorded with who and why, until resumed."""
    client, word = bench.client(), {"person": "Ada", "reason": "complaints"}
    assert "refer" != ask(client).json()["decision"]
    client.post("/v1/stop", json=word)
    answer = ask(client).json()
    assert ("refer", "stopped", None) == (answer["decision"], answer["because"], answer["score"])
    kept = bench.recorder.read(as_number(answer["decision_id"])).made.decided
    assert ("Ada", "complaints") == (kept.stop.person, kept.stop.reason)  # type: ignore[union-attr]
    assert "stopped" == client.get("/v1/health").json()["refers_everything"]
    client.post("/v1/resume", json=word)
    assert "refer" != ask(client).json()["decision"]
    kinds = [json.loads(bench.recorder.ledger.row(n).entry)["t"] for n in range(bench.size())]
    assert ["decision", "stop", "decision", "resume", "decision"] == kinds


def test_a_broken_or_missing_switch_counts_as_stopped(bench: Bench) -> None:
    """Nobody starts deciding by breaking or deleting the file."""
    client = bench.client()
    client.post("/v1/stop", json={"person": "Ada", "reason": "complaints"})
    assert "refer" == ask(client).json()["decision"]
    path = bench.folder / "stop.json"
    path.write_text("{")
    assert "refer" == ask(client).json()["decision"]
    path.unlink()
    assert "refer" == ask(client).json()["decision"]


# The model in force


def first_version(answer: Any) -> str:
    version: str = answer.json()[0]["model"]["version"]
    return version


def test_a_promotion_swaps_the_model_and_records_name_the_one_that_scored(bench: Bench) -> None:
    """While requests run the model changes; none fails, and no list has answers of two."""
    client, seen, end = bench.client(burst=10**6), [], threading.Event()
    data = b"[" + b",".join([SEVEN] * 5) + b"]"

    def go_on() -> None:
        while not end.is_set():
            seen.append(ask(client, data))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        wait_for(lambda: len(seen) >= 3)
        desks.promote(bench.registry, "2")
        bench.watch.refresh()
        wait_for(lambda: 200 != seen[-1].status_code or "2" == first_version(seen[-1]))
    finally:
        end.set()
        thread.join()
    assert [] == [each.text for each in seen if each.status_code != 200]
    scored: dict[str, set[str]] = {}
    for answer in seen:
        assert 1 == len({each["model"]["version"] for each in answer.json()})
        kept = bench.recorder.read(as_number(answer.json()[0]["decision_id"])).made
        assert kept.origin.version == kept.decided.model.version
        assert kept.origin.model_sha256 == kept.decided.model.model_sha256
        scored.setdefault(kept.origin.version, set()).add(str(kept.decided.margin))
    assert {"1": 1, "2": 1} == {version: len(each) for version, each in scored.items()}
    assert scored["1"] != scored["2"]


def test_a_registry_that_does_not_answer_keeps_the_model(bench: Bench) -> None:
    """The model that is loaded goes on deciding, and health says what is wrong."""
    client = bench.client()
    bench.registry.promotions = _away  # type: ignore[method-assign]
    bench.watch.refresh()
    assert "refer" != ask(client).json()["decision"]
    health = client.get("/v1/health")
    assert (200, "away") == (health.status_code, health.json()["registry"])
    assert health.json()["refers_everything"] is None


def _away() -> Any:
    raise Unavailable("away")


def test_without_any_model_no_decision_is_given(bench: Bench) -> None:
    """A service that could not ask the registry once answers 503, and recovers by itself."""
    bench.open = _away
    client = bench.client()
    assert (503, 503) == (ask(client).status_code, client.get("/v1/health").status_code)
    bench.open = lambda: bench.registry
    bench.watch.refresh()
    assert 200 == ask(client).status_code


def test_an_alias_moved_by_hand_refers_everything(bench: Bench) -> None:
    """Whoever moves the champion's alias makes no model decide: people do, until it is put back."""
    client = bench.client()
    bench.registry.point("champion", "2")
    bench.watch.refresh()
    assert "refer" == ask(client).json()["decision"]
    assert "registry" == client.get("/v1/health").json()["refers_everything"]
    bench.registry.promotions, kept = _away, bench.registry.promotions  # type: ignore[method-assign]
    bench.watch.refresh()
    assert "refer" == ask(client).json()["decision"]
    bench.registry.promotions = kept  # type: ignore[method-assign]
    bench.registry.point("champion", "1")
    bench.watch.refresh()
    assert "refer" != ask(client).json()["decision"]


@pytest.mark.parametrize("name", ["model.skops", "contract.json", "reference.json", "policy.json"])
def test_a_swapped_file_decides_nothing(bench: Bench, name: str) -> None:
    """A promoted version with any file exchanged is not loaded: everything is referred."""
    client = bench.client()
    theirs = bench.folder / "versions"
    path = theirs / "2" / name
    path.write_bytes((theirs / "1" / name).read_bytes() + b" ")
    desks.promote(bench.registry, "2")
    bench.watch.refresh()
    answer = ask(client).json()
    assert ("refer", "1") == (answer["decision"], answer["model"]["version"])


# What must not leak


def test_no_value_gets_into_a_log_an_error_or_a_header(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values planted in body, names, path, query, headers and faults come back nowhere."""
    caplog.set_level(logging.DEBUG)
    client = bench.client()
    client.app.middleware_stack  # noqa: B018 - built on first use
    told = [
        ask(client, versions.application(person=MARK, income=MARK)),
        ask(client, versions.application(**{MARK: 1})),
        ask(client, b'{"person": "' + MARK.encode()),
        ask(client, b'["' + MARK.encode()),
        ask(client, **{"Idempotency-Key": MARK, "X-Request-Id": MARK, "Authorization": MARK}),
        client.get(f"/v1/decisions/{MARK}"),
        client.get(f"/{MARK}?q={MARK}"),
        client.post("/v1/stop", content=f'{{"person": {MARK}'.encode(), headers=JSON),
        client.request("PUT", "/v1/decisions", content=MARK.encode()),
    ]
    monkeypatch.setattr(bench.recorder, "prepare", _fault)
    told.append(ask(client, versions.application(person=MARK)))
    assert [422, 422, 422, 400, 200, 400, 404, 400, 405, 500] == [a.status_code for a in told]
    for answer in told:
        assert MARK not in answer.text
        assert MARK not in str(answer.headers)
    assert caplog.records
    for record in caplog.records:
        if not record.name.startswith(("httpx", "asyncio")):  # the client's own log
            assert MARK not in record.getMessage() + str(record.exc_info or ""), record.name
    kept = bench.recorder.ledger.store
    assert all(MARK.encode() not in row.entry for row in kept.rows(0, bench.size()))


def _fault(*_: Any) -> Any:
    raise ValueError(f"could not read {MARK}")


def test_every_answer_carries_the_security_headers(bench: Bench) -> None:
    """Success, refusal, page, fault and unknown path alike."""
    client = bench.client()
    for answer in (
        ask(client),
        ask(client, b"7"),
        client.get("/docs"),
        client.get("/v1/health"),
        client.get("/nothing"),
    ):
        for name in edge.SECURITY_HEADERS:
            assert name in answer.headers, (answer.url, name)
        assert "server" not in answer.headers


def test_the_description_names_the_contracts_fields(bench: Bench) -> None:
    """OpenAPI has the fields an application needs, and the page shows them without scripts."""
    client = bench.client()
    found = client.get("/openapi.json").json()
    schema = found["components"]["schemas"]["Application"]
    assert {"person", "income", "grade"} <= set(schema["required"])
    assert "notes" not in schema["properties"]
    assert {"/v1/decisions", "/v1/decisions/{decision_id}"} <= set(found["paths"])
    page = client.get("/docs").text
    assert "income" in page
    assert "<script" not in page
    assert "http://" not in page


@pytest.mark.e2e
def test_a_real_server_decides_on_the_record(bench: Bench) -> None:
    """A real uvicorn on a real port answers a recorded decision and ends when told."""
    port = free_port()
    config = uvicorn.Config(
        bench.app(), port=port, access_log=False, server_header=False, log_config=LOGGING
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/decisions", data=SEVEN, headers=JSON
        )
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            answer = json.loads(response.read())
        assert "uvicorn" not in str(response.headers)
    finally:
        server.should_exit = True
        thread.join()
    assert SEVEN == bench.recorder.read(as_number(answer["decision_id"])).made.request


@pytest.mark.e2e
def test_a_service_whose_ledger_stopped_ends(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync whoever waits is refused, and the service ends for a new one to start."""

    def fail() -> None:
        raise Stopped("a commit failed")

    port, ledger = free_port(), bench.recorder.ledger
    state, chosen = State(tmp_path / "state"), ServiceSettings(port=port)
    settings = params.read(Layout(repository()).params)
    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(serve.run, state, settings, chosen, bench.opened, Recorder(ledger))
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/decisions", data=SEVEN, headers=JSON
        )
        wait_for(lambda: listens(port))
        monkeypatch.setattr(ledger.store, "_commit", fail)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)  # noqa: S310

        assert 503 == refused.value.code
        with pytest.raises(Stopped):
            ended.result(20)


def listens(port: int) -> bool:
    """Say whether a port takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_lines_time_is_written_as_the_library_writes_it() -> None:
    """A second's text is kept for that second alone; the milliseconds are each line's own."""
    ours, theirs = Line(), logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s")
    for created in (1.7e9, 1.7e9 + 0.25, 1.7e9 + 1.5, 1.7e9):
        told = {"name": "clew", "levelname": "INFO", "msg": "a line", "created": created}
        record = logging.makeLogRecord(told | {"msecs": created % 1 * 1000})
        assert theirs.format(record) == ours.format(record)


def test_a_turn_s_lines_are_written_once_and_in_order() -> None:
    """Lines of one turn of a loop wait for its end, but for trouble; without a loop none waits."""
    handler, out = Together(), io.StringIO()
    handler.setStream(out)

    def tell(text: str, level: int = logging.INFO) -> str:
        handler.handle(logging.makeLogRecord({"msg": text, "levelno": level}))
        return out.getvalue()

    async def turn() -> list[str]:
        told = [tell("a"), tell("b"), tell("c", logging.ERROR), tell("d")]
        await asyncio.sleep(0)
        return [*told, out.getvalue()]

    assert ["", "", "a\nb\nc\n", "a\nb\nc\n", "a\nb\nc\nd\n"] == asyncio.run(turn())
    assert "a\nb\nc\nd\ne\n" == tell("e")


def test_a_line_of_trouble_is_whole() -> None:
    """A record with an exception is formatted as the base class does, traceback and all."""
    with pytest.raises(ValueError, match="could not read") as caught:
        _fault()
    trouble = (caught.type, caught.value, caught.tb)
    told = {"name": "clew", "levelname": "ERROR", "msg": "a line", "exc_info": trouble}
    text = Line().format(logging.makeLogRecord(told))
    assert "clew ERROR a line" in text
    assert "ValueError: could not read" in text


def test_the_garbage_collector_is_as_before_after_serving() -> None:
    """While serving it runs seldom, and what stood before is left alone; afterwards as usual."""
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold() > before
        assert gc.get_freeze_count() > 0
    assert before == gc.get_threshold()
    assert 0 == gc.get_freeze_count()


def test_the_first_of_two_headers_counts() -> None:
    """A header sent twice is read as the framework reads it, and one that is not there is None."""
    sent = [(b"host", b"localhost"), (b"host", b"elsewhere"), (b"content-type", b"caf\xe9")]
    request = Request({"type": "http", "headers": sent})
    for name in ("host", "content-type", "origin"):
        assert request.headers.get(name) == header(request, name.encode())
