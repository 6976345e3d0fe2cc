"""The only file that knows both Airflow and a step: one task is one ``clew task`` process.

A task hands on nothing but ids. Its process prints one JSON object; its exit code decides, here
and nowhere else, whether Airflow tries again (unavailable, or killed) or gives up (all else).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from pipelines.errors import BadRequest, by_exit_code, did_you_mean

if TYPE_CHECKING:
    from airflow.sdk import Context

REPOSITORY_VARIABLE = "CLEW_REPOSITORY"
REPOSITORY = Path(os.environ.get(REPOSITORY_VARIABLE) or Path(__file__).resolve().parents[1])
LINES_KEPT = 12
RUN_ID = "{{ dag.dag_id }}__{{ run_id }}"
# Airflow's own settings hold its secrets, and no step needs one of them.
WITHHELD = ("AIRFLOW__", "_AIRFLOW")
RETRIES = {
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 3.0,
    "max_retry_delay": timedelta(minutes=5),
}
DEFAULTS = {"owner": "clew"} | RETRIES
NO_RETRY = {"retries": 0}


class ClewTask(BaseOperator):
    """Run ``clew task <words>`` in a process of its own and return the JSON object it prints.

    `words` and `skip` are templates; a word that comes out empty is left out. A `skip` that does
    not come out empty skips the task for that reason, and so does an answer's ``skipped``.
    `report` is the path, among the files of the MLflow run, of the report that the page links to.
    """

    template_fields = ("words", "skip")

    def __init__(
        self, *, words: Sequence[str], skip: str = "", report: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        self.words = list(words)
        self.skip = skip
        self.report = report
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the answer. A refusal's answer is kept too: what it left is still there to use."""
        if self.skip:
            raise AirflowSkipException(self.skip)
        refuse_unknown(context["dag_run"].conf, context["dag"].params)
        code, answer, said = self._run(context["run_id"])
        if code:
            if answer:
                context["ti"].xcom_push(key="return_value", value=answer)
            raise failure(code, said)
        if reason := answer.get("skipped"):
            raise AirflowSkipException(str(reason))
        return answer

    def _run(self, airflow_run_id: str) -> tuple[int, dict[str, Any], list[str]]:
        """Run the process; return its exit code, its answer and its last words."""
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "pipelines.cli", "task", *filter(None, self.words)],
            cwd=REPOSITORY,
            env=environment(airflow_run_id),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._process = process
        printed: list[str] = []
        reader = Thread(target=_collect, args=(process.stdout, printed), daemon=True)
        reader.start()
        said: deque[str] = deque(maxlen=LINES_KEPT)
        for line in process.stderr or ():
            said.append(line.rstrip())
            self.log.info(line.rstrip())
        reader.join()
        code = process.wait()
        for line in printed[:-1]:
            self.log.info(line)
        return code, answer_of(printed), list(said)

    def on_kill(self) -> None:
        """End the process and everything it started."""
        if self._process and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)


def failure(code: int, said: Sequence[str]) -> AirflowException:
    """Return what a failed process raises: an exception that is tried again, or one that is not.

    A process ended by a signal (a negative code) said nothing about the request, so it is tried
    again like an unavailable service.
    """
    killed = code < 0
    kind = "killed" if killed else by_exit_code(code).__name__
    message = "\n".join([f"{kind} (exit code {code})", *said])
    if killed or by_exit_code(code).retryable:
        return AirflowException(message)
    return AirflowFailException(message)


def answer_of(printed: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object of the last line; without one, an empty answer."""
    try:
        answer = json.loads(printed[-1]) if printed else {}
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def environment(airflow_run_id: str) -> dict[str, str]:
    """Return a step's environment: this process's without Airflow's settings, and the DAG run."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(WITHHELD)}
    return kept | {"CLEW_AIRFLOW_RUN_ID": airflow_run_id}


def refuse_unknown(conf: object, known: Any) -> None:
    """Refuse a trigger that names a field the form does not have: Airflow lets it pass."""
    for name in conf if isinstance(conf, dict) else ():
        if name not in known:
            hint = did_you_mean(name, known)
            fields = ", ".join(known)
            refused = BadRequest("no such field", observed=name, expected=fields, hint=hint)
            raise AirflowFailException(str(refused))


def answered(task_id: str, key: str) -> str:
    """Return the template for one field of a task's answer; empty when there is none."""
    return f"{{{{ (ti.xcom_pull(task_ids='{task_id}') or {{}}).get('{key}') or '' }}}}"


def of_run(
    task_id: str,
    *words: str,
    after: BaseOperator | Sequence[BaseOperator],
    commit_of: str,
    kind: type[ClewTask] = ClewTask,
    **options: Any,
) -> ClewTask:
    """Return the task that runs `words` on the run at the commit that task `commit_of` left."""
    run = (f"--run-id={RUN_ID}", f"--commit={answered(commit_of, 'commit')}")
    made = kind(task_id=task_id, words=[*words, *run], **options)
    made.set_upstream(after)
    return made


def steps(names: Sequence[str], after: BaseOperator) -> BaseOperator:
    """Chain one task a file step, each at the commit that the one before it left."""
    for name in names:
        after = of_run(name, "step", name, after=after, commit_of=after.task_id)
    return after


def finish(begin: ClewTask, last: BaseOperator | Sequence[BaseOperator]) -> ClewTask:
    """Return the task that removes the run's worktree when all is over, whatever came out."""
    made = ClewTask(task_id="finish", words=["finish", f"--run-id={RUN_ID}"])
    made.set_upstream(last)
    made.as_teardown(setups=begin)
    return made


def _collect(stream: IO[str], into: list[str]) -> None:
    into.extend(line.rstrip("\n") for line in stream)
