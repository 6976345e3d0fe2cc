"""The REST client against a real HTTP server that answers as Airflow was seen to answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipelines.errors import BadRequest, ClewError, NotThere, Unavailable
from pipelines.stack.airflow_api import Airflow, Question, error, schema_text
from pipelines.stack.settings import Settings, resolve_ports

MARKED = "marked-value-7351"
REFUSED_VALUE = (
    f"Invalid input for param number: '{MARKED}' is not of type 'integer'\n\n"
    "Failed validating 'type' in schema:\n    {'type': 'integer'}\n\n"
    f"On instance:\n    '{MARKED}'"
)
REFUSED_BODY = [{"type": "dict_type", "loc": ["body", "conf"], "msg": MARKED, "input": [MARKED]}]
Answer = tuple[int, Any]
Serve = Callable[[dict[str, Any]], tuple[Airflow, list[tuple[str, str]]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that answer each path from a list, the last answer for ever after."""
    servers: list[ThreadingHTTPServer] = []

    def started(answers: dict[str, list[Answer]]) -> tuple[Airflow, list[tuple[str, str]]]:
        asked: list[tuple[str, str]] = []
        answers = {"/auth/token": [(201, {"access_token": "first"})], **answers}

        class Page(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                asked.append((f"{self.command} {path}", query))
                left = answers.get(path, [(404, {"detail": "Not Found"})])
                status, body = left.pop(0) if len(left) > 1 else left[0]
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return Airflow(f"http://127.0.0.1:{server.server_port}", "anna", MARKED), asked

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, BadRequest),
        (403, BadRequest),
        (404, NotThere),
        (409, BadRequest),
        (422, BadRequest),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_status_becomes_the_error_that_says_what_to_do(
    status: int, kind: type[ClewError]
) -> None:
    """What the caller can do decides the kind: ask differently, look elsewhere, or try again."""
    assert kind is type(error(status, {}, "here"))


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (REFUSED_VALUE, "number: Failed validating 'type' in schema:\n    {'type': 'integer'}"),
        (REFUSED_BODY, "body.conf: dict_type"),
        (f"{MARKED} is unknown", ""),
        (f"Invalid input for param x: 'Failed validating {MARKED}' is bad", ""),
        (None, ""),
    ],
)
def test_the_servers_schema_is_told_and_the_value_is_not(detail: object, expected: str) -> None:
    """Of a refusal only the rule and the place are passed on, never what was sent."""
    assert expected == schema_text(detail)
    assert MARKED not in str(error(422, {"detail": detail}, "here"))


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    """No answer is Unavailable, which may be tried again; it is never taken for NotThere."""
    port = resolve_ports(Settings()).ports.airflow
    with pytest.raises(Unavailable) as caught:
        Airflow(f"http://127.0.0.1:{port}", "anna", MARKED).run("dag", "run")
    assert caught.value.retryable
    assert MARKED not in str(caught.value)


def test_a_wrong_password_is_refused_without_being_told(serve: Serve) -> None:
    """A failed login is BadRequest, and the password is not in it."""
    api, _ = serve({"/auth/token": [(401, {"detail": f"not {MARKED}"})]})
    with pytest.raises(BadRequest, match="did not accept") as caught:
        api.run("dag", "run")
    assert MARKED not in str(caught.value)


def test_an_expired_login_is_renewed_once(serve: Serve) -> None:
    """A token that has run out costs one more login and no error."""
    run = {"dag_id": "dag", "dag_run_id": "run", "state": "queued"}
    api, asked = serve({"/api/v2/dags/dag/dagRuns/run": [(401, {}), (200, run)]})
    assert "queued" == api.run("dag", "run").state
    assert 2 == len([path for path, _ in asked if path == "POST /auth/token"])


def test_a_login_that_stays_refused_is_an_error(serve: Serve) -> None:
    """A token refused twice ends in BadRequest, not in a loop."""
    api, _ = serve({"/api/v2/dags/dag/dagRuns/run": [(401, {})]})
    with pytest.raises(BadRequest, match="did not accept"):
        api.run("dag", "run")


def test_lists_are_read_to_their_end(serve: Serve) -> None:
    """A list longer than a page is read whole."""
    tasks = [{"task_id": f"t{n}", "map_index": -1, "state": None} for n in range(150)]
    path = "/api/v2/dags/dag/dagRuns/run/taskInstances"
    pages = [
        (200, {"task_instances": tasks[:100], "total_entries": 150}),
        (200, {"task_instances": tasks[100:], "total_entries": 150}),
    ]
    api, asked = serve({path: pages})
    found = api.tasks("dag", "run")
    assert [f"t{n}" for n in range(150)] == [task.name for task in found]
    assert {"none"} == {task.state for task in found}
    assert ["limit=100&offset=0", "limit=100&offset=100"] == [q for p, q in asked if path in p]


def test_a_question_is_told_only_once_its_task_has_parked(serve: Serve) -> None:
    """An answer to a task that has not parked yet could be lost, so it is not offered."""
    asked = [
        {
            "subject": "May it?",
            "options": ["Approve", "Reject"],
            "task_instance": {
                "dag_id": "dag",
                "dag_run_id": state,
                "task_id": "approve",
                "map_index": -1,
                "state": state,
            },
        }
        for state in ("running", "awaiting_input", "queued")
    ]
    path = "/api/v2/dags/~/dagRuns/~/hitlDetails"
    api, _ = serve({path: [(200, {"hitl_details": asked, "total_entries": 3})]})
    assert ["awaiting_input"] == [question.run_id for question in api.questions()]


def test_a_run_that_does_not_end_is_unavailable(serve: Serve) -> None:
    """Waiting has an end, and says in which state the run was left."""
    run = {"dag_id": "dag", "dag_run_id": "run", "state": "running"}
    api, _ = serve({"/api/v2/dags/dag/dagRuns/run": [(200, run)]})
    with pytest.raises(Unavailable, match="not ended in time") as caught:
        api.wait("dag", "run", 0.0)
    assert "running after 0 s" == caught.value.observed


@pytest.mark.parametrize(("choice", "reason"), [("Approve", " \n"), ("Approved", "I read it")])
def test_an_answer_without_a_reason_or_to_another_question_is_not_sent(
    serve: Serve, choice: str, reason: str
) -> None:
    """An approval needs a reason and one of the answers asked for; else nothing leaves."""
    api, asked = serve({})
    question = Question("dag", "run", "approve", -1, "May it?", ("Approve", "Reject"))
    with pytest.raises(BadRequest):
        api.answer(question, choice, reason)
    assert [] == asked
