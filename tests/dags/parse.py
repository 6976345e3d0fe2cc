"""Parses the DAGs in a fresh process and prints what is to be seen of them, as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

FOLDER = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]


def main() -> None:
    """Print the facts."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    bag = DagBag(dag_folder=FOLDER)
    facts = {
        "import_errors": bag.import_errors,
        "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
        "dags": {name: seen(dag) for name, dag in bag.dags.items()},
        "accepts": accepted(bag.dags, json.load(sys.stdin) or []),
    }
    json.dump(facts, out, default=str)
    out.close()


def seen(dag: Any) -> dict[str, Any]:
    """Return what is to be seen of one DAG."""
    DagSerialization.serialize_dag(dag)
    return {
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "form": {name: dag.params.get_param(name).schema for name in dag.params},
        "defaults": dict(dag.params),
        "tasks": {task.task_id: task_seen(task) for task in dag.tasks},
    }


def task_seen(task: Any) -> dict[str, Any]:
    """Return what is to be seen of one task."""
    return {
        "owner": task.owner,
        "kind": type(task).__name__,
        "module": type(task).__module__,
        "retries": task.retries,
        "delay": task.retry_delay.total_seconds(),
        "rule": task.trigger_rule.value,
        "teardown": task.is_teardown,
        "upstream": sorted(task.upstream_task_ids),
        "links": [link.name for link in task.operator_extra_links],
        "assigned": getattr(task, "assigned_users", None),
        "defaults": getattr(task, "defaults", None),
        "timeout": str(getattr(task, "response_timeout", None)),
    }


def accepted(dags: Any, asked: list[list[Any]]) -> list[bool]:
    """Return for each (DAG, fields) whether the form takes them."""
    from airflow.sdk.exceptions import ParamValidationError

    found = []
    for name, fields in asked:
        try:
            for key, value in fields.items():
                dags[name].params.get_param(key).resolve(value)
            found.append(True)
        except ParamValidationError:
            found.append(False)
    return found


if __name__ == "__main__":
    main()
