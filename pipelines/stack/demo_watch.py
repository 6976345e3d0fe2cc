"""The demo goes on: other applicants are decided on, the watch sees it, a retrain follows.

The applications are real ones of the landed data: those with the highest values of one number. So
nothing is made up, and yet the month is unlike what the champion was made from.
"""

from __future__ import annotations

import csv
import datetime as dt
import http.server
import json
import math
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines import contract as contracts
from pipelines import params, quiet
from pipelines.contract import Contract
from pipelines.errors import GateRefused, NotThere
from pipelines.layout import Layout, State
from pipelines.stack import airflow_api, demo
from pipelines.stack.demo import ENGINEER, PATIENCE, Judged, Tell
from pipelines.stack.demo_decisions import FOLDER, clew
from pipelines.stack.settings import LOOPBACK
from pipelines.watch import places, run
from pipelines.watch.findings import WatchReport
from pipelines.watch.late import named

WATCH, TRAIN = "watch_decisions", "train_model"
SHARE = 0.25  # of the landed applications, those with the highest values
MOST = 400
NUMBERS = ("integer", "number")
SHOWN = 5
MARK = "# of the demo\n"


def play(
    repository: Path, state: State, mlflow: str, tell: Tell
) -> tuple[Judged, dict[str, object]]:
    """Decide on a shifted month, watch it, and follow the retrain it asks for through the gate.

    Returns what became of the retrained candidate, and where to look. Raises GateRefused when the
    watch saw nothing: then it is no watch.
    """
    engineer = airflow_api.connect(state, ENGINEER)
    start = _now()
    _decide(repository, state, mlflow, start, tell)
    window = f"{start}/{_now()}"
    with told(state) as messages:
        engineer.wait_for_dag(WATCH, PATIENCE)
        engineer.unpause(WATCH)
        tell(f"watching the window {window}")
        watched = demo.followed(engineer, engineer.trigger(WATCH, {"window": window}), tell)
    if watched.state != "success":
        raise demo.red(engineer, watched)
    found = places.Places(state, params.read(Layout(repository).params).model_name)
    made = run.newest(found.watched, named(window))
    _say(made, messages, tell)
    judged = _retrained(repository, state, engineer, tell)
    return judged, {"report of the watch": found.page(made) if made else None}


def _decide(repository: Path, state: State, mlflow: str, seed: str, tell: Tell) -> None:
    folder = state.home / FOLDER
    asked = folder / "shifted.csv"
    known, landed = contracts.read(Layout(repository).contract), sorted(state.landing.glob("*.csv"))
    column = shifted(landed, known, asked, seed)
    tell(f"a month of other applicants: the highest values of '{column}'")
    environment = quiet.environment(state) | {"MLFLOW_TRACKING_URI": mlflow}
    clew(repository, environment, "score", str(asked), "--out", str(folder / "shifted.jsonl"))


def shifted(files: Sequence[Path], known: Contract, target: Path, seed: str) -> str:
    """Write the rows with the highest values of the most varied number; return its column's name.

    Their order is drawn from `seed`: the same file again would be decided on no second time.
    Raises NotThere where nothing landed as CSV or no feature is a number.
    """
    if not files:
        raise NotThere("nothing landed as CSV", hint="python examples/…/land.py FOLDER")
    with files[0].open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        rows, head = list(reader), reader.fieldnames or []
    numbers = [
        each.name
        for each in known.columns
        if each.role == "feature" and each.kind in NUMBERS and each.name in head
    ]
    if not numbers:
        raise NotThere("no feature is a number", where=files[0].name)
    column = max(numbers, key=lambda name: len({row[name] for row in rows}))
    ordered = sorted(rows, key=lambda row: _number(row[column]), reverse=True)
    chosen = ordered[: min(MOST, int(len(rows) * SHARE))]
    random.Random(seed).shuffle(chosen)  # noqa: S311 - an order, not a secret
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(chosen)
    return column


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -math.inf


def _say(made: WatchReport | None, messages: Sequence[str], tell: Tell) -> None:
    """Tell what the watch found. Raises GateRefused where it asks for no retrain."""
    alarms = made.alarms if made else ()
    tell(f"the watch alarms: {len(alarms)} findings, {len(messages)} alerts delivered")
    for each in alarms[:SHOWN]:
        tell(f"  {each.said}")
    if not any(each.action == "retrain" for each in alarms):
        raise GateRefused(
            "the watch did not catch the shifted month",
            observed=f"{len(alarms)} alarms",
            expected="a retrain wanted",
            hint="clew watch --all --from …",
        )


def _retrained(repository: Path, state: State, engineer: airflow_api.Airflow, tell: Tell) -> Judged:
    """Follow the training that the watch asked for, and say how the gate judged it."""
    started = demo.started(engineer, TRAIN)
    tell(f"a retrain was asked for: {started.dag} {started.run_id}")
    trained = demo.followed(engineer, started, tell)
    chosen = params.read(Layout(repository).params).candidate
    judged = demo.judged(repository, state, chosen, trained)
    demo.say(judged, tell)
    if judged.verdict.passed != (trained.state == "success"):
        raise demo.red(engineer, trained)
    return judged


@contextmanager
def told(state: State) -> Iterator[list[str]]:
    """Be the one who is told while the ``with`` block lasts; give the titles of what came.

    Where somebody is named already nothing is changed, and nothing comes here; what a killed demo
    left is replaced.
    """
    messages: list[str] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append(str(json.loads(body)["title"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    file = places.targets(state)
    if file.exists() and not file.read_text(encoding="utf-8").startswith(MARK):
        yield messages
        return
    file.unlink(missing_ok=True)
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        private = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "w", encoding="utf-8") as out:
            out.write(f"{MARK}json://{LOOPBACK}:{server.server_port}/\n")
        try:
            yield messages
        finally:
            file.unlink()
            server.shutdown()


def _now() -> str:
    """Return this moment, once the clock has moved on from it: windows end before their end."""
    time.sleep(0.01)
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
