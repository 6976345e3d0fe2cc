"""Links from task pages: to MLflow's run and reports, and to the record's pages.

Those to MLflow are there once the candidate is registered; an MLflow that does not answer costs a
link and never a task.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from _step_task import ClewTask
from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

SERVER_VARIABLE = "MLFLOW_TRACKING_URI"
PAGES_VARIABLE = "CLEW_PAGES_URL"
RUN_TAG = "clew.run_id"
PAGE = "mlflow_page"
SECONDS = 10


class MlflowRun(BaseOperatorLink):
    """The candidate's run in MLflow."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address that `register` found; empty before it has."""
        return _page(ti_key)


class Report(BaseOperatorLink):
    """A report among the files of the MLflow run."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the task's report; empty before the candidate is registered."""
        return artifact(_page(ti_key), getattr(operator, "report", ""))


class Decisions(BaseOperatorLink):
    """The record's pages: search for the decisions that were made."""

    name = "Decisions"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address of the pages; empty where none run."""
        return record_page("")


class Watch(BaseOperatorLink):
    """The record's page of what the watch found."""

    name = "Findings over windows"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address of the page; empty where none runs."""
        return record_page("watch")


class History(BaseOperatorLink):
    """The record's page of who made which version decide, and when."""

    name = "Model history"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address of the page; empty where none runs."""
        return record_page("models")


class Register(ClewTask):
    """A registration: when it is done, the tasks of `reports` get their links too.

    `reports` maps a task's id to its report's path among the MLflow run's files. Those tasks have
    ended by then, and Airflow keeps a link as an XCom of the task it belongs to.
    """

    def __init__(self, *, reports: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self.reports = dict(reports)

    def execute(self, context: Context) -> dict[str, Any]:
        """Register, then hand out the links."""
        answer = super().execute(context)
        ti = context["ti"]
        page = run_page(str(answer["model_name"]), str(answer["run"]))
        ti.xcom_push(key=PAGE, value=page)
        for task_id, path in self.reports.items():
            XCom.set(
                key=Report().xcom_key,
                value=artifact(page, path),
                dag_id=ti.dag_id,
                task_id=task_id,
                run_id=ti.run_id,
            )
        return answer


def record_page(name: str) -> str:
    """Return the address of one of the record's pages; empty where they do not run."""
    pages = os.environ.get(PAGES_VARIABLE, "").rstrip("/")
    return f"{pages}/record/{name}" if pages else ""


def artifact(page: str, path: str) -> str:
    """Return the address of a file of a run; empty when either is unknown."""
    return f"{page}/artifacts/{path}" if page and path else ""


def run_page(model_name: str, run_id: str) -> str:
    """Return the address of the MLflow run that a run was registered as; empty if not found."""
    server = os.environ.get(SERVER_VARIABLE, "").rstrip("/")
    if not server.startswith("http"):
        return ""
    try:
        name = urlencode({"experiment_name": model_name})
        found = _ask(f"{server}/api/2.0/mlflow/experiments/get-by-name?{name}")
        experiment = found["experiment"]["experiment_id"]
        wanted = {"experiment_ids": [experiment], "filter": f"tags.`{RUN_TAG}` = '{run_id}'"}
        runs = _ask(f"{server}/api/2.0/mlflow/runs/search", wanted)["runs"]
    except (OSError, ValueError, KeyError):
        return ""
    return f"{server}/#/experiments/{experiment}/runs/{runs[0]['info']['run_id']}"


def _page(ti: Any) -> str:
    return ti.xcom_pull(task_ids="register", key=PAGE) or ""


def _ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=SECONDS) as answer:
        return json.load(answer)
