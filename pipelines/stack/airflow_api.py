"""A small client of Airflow's REST API, on the standard library: trigger, wait, list, approve.

Every call may raise Unavailable (no answer, or the server's own fault: try again), NotThere, or
BadRequest with what the server's schema says, the values sent taken out.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pipelines.errors import BadRequest, ClewError, NotThere, Unavailable, did_you_mean
from pipelines.layout import State
from pipelines.stack import credentials, record

CALL_SECONDS = 60.0
PAGE = 100
LOOK_SECONDS = 0.5
ENDED = ("success", "failed")
PARKED = "awaiting_input"
ALL = "~"
APPROVE, REJECT = "Approve", "Reject"
RETRY = "try again; if it stays: clew doctor"
# A quoted value has its line ends escaped, so these can only be the server's own words.
PARAMETER = re.compile(r"Invalid input for param (?P<name>\w+): ")
SCHEMA = re.compile(r"\n\n(?P<rule>Failed validating .*?)(?:\n\nOn instance:|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run: its DAG, its id and its state (queued, running, success, failed)."""

    dag: str
    run_id: str
    state: str

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a run: its name, its number when mapped (else -1) and its state."""

    name: str
    map_index: int
    state: str


@dataclass(frozen=True, slots=True)
class Question:
    """One task that waits for a person: where it stands, what it asks, what may be answered."""

    dag: str
    run_id: str
    task: str
    map_index: int
    subject: str
    options: tuple[str, ...]


class Airflow:
    """Airflow's REST API as one user sees it."""

    def __init__(self, address: str, user: str, password: str) -> None:
        self.address = address
        self.user = user
        self._password = password
        self._token = ""

    def trigger(
        self, dag: str, conf: Mapping[str, object] | None = None, run_id: str | None = None
    ) -> Run:
        """Start a run with these parameters. With a `run_id` a repeat is refused, not run twice."""
        body = {"logical_date": None, "conf": dict(conf or {}), "dag_run_id": run_id}
        return _run(self._call("POST", f"dags/{_part(dag)}/dagRuns", body))

    def run(self, dag: str, run_id: str) -> Run:
        """Return a run as it is now."""
        return _run(self._call("GET", f"dags/{_part(dag)}/dagRuns/{_part(run_id)}"))

    def wait(self, dag: str, run_id: str, seconds: float) -> Run:
        """Return a run once it has succeeded or failed. Raises Unavailable after `seconds`."""
        end = time.monotonic() + seconds
        while not (found := self.run(dag, run_id)).ended:
            if time.monotonic() > end:
                raise Unavailable(
                    "a run has not ended in time",
                    where=f"{dag} {run_id}",
                    observed=f"{found.state} after {seconds:.0f} s",
                    hint=f"see {self.address}/dags/{dag}/runs/{run_id}",
                )
            time.sleep(LOOK_SECONDS)
        return found

    def tasks(self, dag: str, run_id: str) -> tuple[Task, ...]:
        """Return every task of a run with its state; `none` for one not scheduled yet."""
        path = f"dags/{_part(dag)}/dagRuns/{_part(run_id)}/taskInstances"
        return tuple(
            Task(one["task_id"], one["map_index"], one["state"] or "none")
            for one in self._pages(path, "task_instances")
        )

    def questions(self, dag: str = ALL, run_id: str = ALL) -> tuple[Question, ...]:
        """Return every task that waits for a person's answer.

        A question that is written while its task has not parked yet is left out: on SQLite,
        which locks no rows, an answer in that moment would be kept and never acted on.
        """
        path = f"dags/{_part(dag)}/dagRuns/{_part(run_id)}/hitlDetails"
        return tuple(
            _question(one)
            for one in self._pages(path, "hitl_details", {"response_received": "false"})
            if one["task_instance"]["state"] == PARKED
        )

    def answer(self, question: Question, choice: str, reason: str) -> str:
        """Answer with a reason, which may not be empty; return the name the server recorded.

        The server takes any text as a reason, so an empty one is refused here as well as there.
        """
        if not reason.strip():
            raise BadRequest("an answer needs a reason", where=question.task, expected="a reason")
        if choice not in question.options:
            raise BadRequest(
                f"'{choice}' is not an answer to this question",
                where=question.task,
                expected=", ".join(question.options),
                hint=did_you_mean(choice, question.options),
            )
        path = (
            f"dags/{_part(question.dag)}/dagRuns/{_part(question.run_id)}"
            f"/taskInstances/{_part(question.task)}/{question.map_index}/hitlDetails"
        )
        body = {"chosen_options": [choice], "params_input": {"reason": reason}}
        responder = self._call("PATCH", path, body)["responded_by"]
        return str(responder["id"])

    def unpause(self, dag: str, *, paused: bool = False) -> None:
        """Let a DAG run on its schedule and on its data; or, with `paused`, hold it."""
        self._call("PATCH", f"dags/{_part(dag)}?update_mask=is_paused", {"is_paused": paused})

    def wait_for_dag(self, dag: str, seconds: float) -> None:
        """Wait until the DAG processor has read a DAG. Raises NotThere after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            try:
                self._call("GET", f"dags/{_part(dag)}")
            except NotThere:
                if time.monotonic() > end:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return

    def import_errors(self) -> tuple[str, ...]:
        """Return the files of the DAG folder that do not load."""
        return tuple(one["filename"] for one in self._pages("importErrors", "import_errors"))

    def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return what ``GET /api/v2/<path>`` answers, for what has no name here."""
        return self._call("GET", path)

    def _pages(
        self, path: str, key: str, query: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        read, total = 0, 1
        while read < total:
            asked = {**(query or {}), "limit": str(PAGE), "offset": str(read)}
            page = self._call("GET", f"{path}?{urllib.parse.urlencode(asked)}")
            yield from page[key]
            read += len(page[key])
            total = page["total_entries"] if page[key] else read

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """Make one call; an expired login is renewed once."""
        for attempt in (1, 2):
            self._token = self._token or self._log_in()
            status, answer = _send(method, f"{self.address}/api/v2/{path}", body, self._token)
            if status != HTTPStatus.UNAUTHORIZED or attempt == 2:  # noqa: PLR2004
                break
            self._token = ""
        if status >= HTTPStatus.BAD_REQUEST:
            raise error(status, answer, f"{method} {urllib.parse.unquote(path.partition('?')[0])}")
        return answer

    def _log_in(self) -> str:
        body = {"username": self.user, "password": self._password}
        status, answer = _send("POST", f"{self.address}/auth/token", body)
        if status >= HTTPStatus.BAD_REQUEST:
            raise error(status, answer, f"log in as {self.user}")
        return str(answer["access_token"])


def connect(state: State, user: str) -> Airflow:
    """Return the API of the stack that runs on `state`. Raises Unavailable when none does."""
    running = record.ready(state)
    return Airflow(running.airflow, user, credentials.password(state, user))


def error(status: int, answer: object, where: str) -> ClewError:
    """Return the error that stands for an HTTP status: what the caller can do decides the kind."""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    said = schema_text(detail)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable("Airflow failed", where=where, observed=f"HTTP {status}", hint=RETRY)
    if status == HTTPStatus.NOT_FOUND:
        return NotThere("Airflow knows no such thing", where=where, observed=f"HTTP {status}")
    if status == HTTPStatus.UNAUTHORIZED:
        return BadRequest("Airflow did not accept the user or the password", where=where)
    if status == HTTPStatus.FORBIDDEN:
        return BadRequest("this user may not do that", where=where, observed=f"HTTP {status}")
    if status == HTTPStatus.CONFLICT:
        return BadRequest("it was done already", where=where, observed=f"HTTP {status}")
    return BadRequest(
        "Airflow refused the request", where=where, observed=f"HTTP {status}", expected=said or None
    )


def schema_text(detail: object) -> str:
    """Return what the server says about the schema, without the values that were sent.

    Two forms are known: a list of places and rules, and a text that quotes the value before the
    schema and after it. Of any other text nothing is passed on.
    """
    if isinstance(detail, list):
        return "; ".join(_place(one) for one in detail if isinstance(one, dict))
    text = str(detail or "")
    name, rule = PARAMETER.match(text), SCHEMA.search(text)
    return f"{name['name']}: {rule['rule'].strip()}" if name and rule else ""


def _place(one: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in one.get('loc', ()))}: {one.get('type', '')}"


def _send(method: str, url: str, body: object = None, token: str = "") -> tuple[int, Any]:
    """Send one request; return the status and the JSON answered. Unavailable without an answer."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=CALL_SECONDS) as answer:
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, _json(refused.read())
    except OSError as fault:
        raise Unavailable(
            "Airflow does not answer", where=url, observed=type(fault).__name__, hint=RETRY
        ) from None


def _json(text: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {}


def _run(found: Mapping[str, Any]) -> Run:
    return Run(found["dag_id"], found["dag_run_id"], found["state"])


def _question(found: Mapping[str, Any]) -> Question:
    task = found["task_instance"]
    return Question(
        dag=task["dag_id"],
        run_id=task["dag_run_id"],
        task=task["task_id"],
        map_index=task["map_index"],
        subject=found["subject"],
        options=tuple(found["options"]),
    )


def _part(name: str) -> str:
    return urllib.parse.quote(name, safe=ALL)
