"""Tries the operators by themselves in a process of its own and prints what came, as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _approval import ask
from _forms import approvers
from _links import artifact, run_page
from _step_task import ClewTask, answer_of, failure
from airflow.sdk.exceptions import AirflowFailException

from pipelines.errors import ClewError


def main() -> None:
    """Print what was found."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    kinds = (ClewError, *ClewError.__subclasses__())
    codes = [*(kind.exit_code for kind in kinds if "<" not in kind.__qualname__), -9, -15, 99]
    facts = {
        "failures": {code: type(failure(code, ["said"])).__name__ for code in codes},
        "message": str(failure(4, ["clew: blocked", "  next: read"])),
        "answers": [answer_of(lines) for lines in ([], ["x", '{"a": 1}'], ["no"], ["[1]"])],
        "killed": killed(),
        "approvals": [answered(reason) for reason in (None, "", "  ", "because")],
        "nobody": nobody(),
        "approvers": approvers(),
        "links": [run_page("m", "r"), artifact("", "x"), artifact("http://p", "x.html")],
    }
    json.dump(facts, out)
    out.close()
    sys.exit(0)


def killed() -> dict[str, Any]:
    """Stop a task whose command has started a process of its own; say what still runs."""
    place = Path(os.environ["CLEW_REPOSITORY"])
    (place / "answers.json").write_text(json.dumps({"slow": {"sleep": 60}}))
    (place / "child").unlink(missing_ok=True)
    task = ClewTask(task_id="slow", words=["slow"])
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(task._run("a run")))
    thread.start()
    while not (place / "child").exists() or not (place / "child").read_text():
        time.sleep(0.05)
    child = int((place / "child").read_text())
    task.on_kill()
    thread.join(30)
    end = time.monotonic() + 10
    while running(child) and time.monotonic() < end:
        time.sleep(0.05)
    return {"ended": not thread.is_alive(), "code": found[0][0], "child_runs": running(child)}


def running(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def answered(reason: str | None) -> str:
    """Return what an approval comes to when it is given with this reason."""
    task = ask(["pat"])
    event = {
        "chosen_options": ["Approve"],
        "params_input": {"reason": reason},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "pat", "name": "pat"},
    }
    try:
        return str(task.execute_complete({}, event)["params_input"]["reason"])  # type: ignore[typeddict-item]
    except AirflowFailException as refused:
        return f"refused: {refused}"


def nobody() -> str:
    """Return what asking comes to when nobody is named who may answer."""
    try:
        ask([]).execute({})  # type: ignore[typeddict-item]
    except AirflowFailException as refused:
        return str(refused)
    return "asked"


if __name__ == "__main__":
    main()
