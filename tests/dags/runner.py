"""Runs scenarios of DAGs in a process of its own: ``python runner.py`` reads and prints JSON.

A scenario: the DAG, the form's fields, the stand-in's answers. Its result: the run's state, the
tasks' states, the asset events, the links.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select


def main() -> None:
    """Run the scenarios that stdin holds."""
    scenarios = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    found = [one(each) for each in scenarios]
    json.dump(found, out)
    out.close()


def one(scenario: dict[str, Any]) -> dict[str, Any]:
    """Run one scenario, on a DAG parsed anew: a run leaves its form's fields in the DAG."""
    file = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{scenario['dag']}.py"
    dag = DagBag(dag_folder=str(file)).dags[scenario["dag"]]
    place = Path(os.environ["CLEW_REPOSITORY"])
    (place / "answers.json").write_text(json.dumps(scenario.get("answers", {})))
    (place / "calls.jsonl").write_text("")
    before = len(events())
    run = dag.test(run_conf=scenario.get("conf") or {})
    return {
        "state": str(run.state),
        "run_id": run.run_id,
        "tasks": {task.task_id: str(task.state) for task in run.get_task_instances()},
        "tries": {task.task_id: task.try_number for task in run.get_task_instances()},
        "events": events()[before:],
        "links": links(run.run_id),
        "calls": [json.loads(line) for line in (place / "calls.jsonl").read_text().splitlines()],
    }


def events() -> list[dict[str, Any]]:
    """Return what was announced, oldest first."""
    with create_session() as session:
        rows = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
        return [{"asset": row.asset.name, "extra": row.extra} for row in rows]


def links(run_id: str) -> dict[str, str]:
    """Return each task's link that is not empty."""
    with create_session() as session:
        wanted = XComModel.run_id == run_id, XComModel.key.like("_link_%")
        rows = session.scalars(select(XComModel).where(*wanted)).all()
        return {row.task_id: row.value for row in rows if row.value}


if __name__ == "__main__":
    main()
