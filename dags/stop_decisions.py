"""Stop deciding, or resume it: while it is stopped every answer is `refer`.

Who did it is the user who triggered the run. A stop is carried out at once, and even when nobody
is named; to resume, a user must be.

How to trigger, what each field means: docs/how-to/decide.md.
"""

from __future__ import annotations

from _step_task import DEFAULTS, ClewTask
from airflow.sdk import DAG, Param

with DAG(
    "stop_decisions",
    schedule=None,
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=["clew", "decisions"],
    doc_md=__doc__,
    params={
        "action": Param("stop", type="string", enum=["stop", "resume"], title="Action"),
        "reason": Param(
            None,
            type=["null", "string"],
            minLength=3,
            title="Reason",
            description="Why: it stays on record. Name no person.",
        ),
    },
) as dag:
    ClewTask(
        task_id="switch",
        words=[
            "switch",
            "--action={{ params.action }}",
            "--person={{ dag_run.triggering_user_name or '' }}",
            "--reason={{ params.reason or '' }}",
        ],
    )
