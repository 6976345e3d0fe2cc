"""Runs one DAG in a process of its own while a person answers its question through Airflow's API.

Reads the DAG, its conf, the answer and its reason; prints how run, tasks and question ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from airflow.api_fastapi.app import create_app
from airflow.dag_processing.dagbag import DagBag
from starlette.testclient import TestClient

USER, PASSWORD = "pat", "a password"


def main() -> None:
    """Run the DAG that stdin names."""
    asked = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    file = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{asked['dag']}.py"
    dag = DagBag(dag_folder=str(file)).dags[asked["dag"]]
    answered: dict[str, Any] = {}
    person = threading.Thread(target=answer, args=(asked, answered), daemon=True)
    person.start()
    run = dag.test(run_conf=asked["conf"])
    person.join(10)
    tasks = {task.task_id: str(task.state) for task in run.get_task_instances()}
    json.dump({"state": str(run.state), "tasks": tasks, "question": answered}, out)
    out.close()
    os._exit(0)


def answer(asked: dict[str, Any], answered: dict[str, Any]) -> None:
    """Answer the first question that comes up, as the person it is put to."""
    passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    passwords.write_text(json.dumps({USER: PASSWORD}))
    with TestClient(create_app(apps="core"), base_url="http://127.0.0.1") as client:
        login = {"username": USER, "password": PASSWORD}
        token = client.post("/auth/token", json=login).json()["access_token"]
        head = {"Authorization": f"Bearer {token}"}
        every = "/api/v2/dags/~/dagRuns/~/hitlDetails?response_received=false"
        end = time.monotonic() + 300
        while time.monotonic() < end:
            waiting = client.get(every, headers=head).json().get("hitl_details", [])
            for question in (
                one for one in waiting if one["task_instance"]["dag_id"] == asked["dag"]
            ):
                task = question["task_instance"]
                place = f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}"
                body = {
                    "chosen_options": [asked["answer"]],
                    "params_input": {"reason": asked["reason"]},
                }
                path = f"{place}/taskInstances/{task['task_id']}/-1/hitlDetails"
                done = client.patch(path.replace("+", "%2B"), json=body, headers=head)
                answered.update(
                    status=done.status_code, subject=question["subject"], body=question["body"]
                )
                return
            time.sleep(0.3)


if __name__ == "__main__":
    main()
