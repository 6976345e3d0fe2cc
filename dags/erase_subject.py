"""Erase one person: the plan is shown, a named person approves it, and that very plan is done.

The form takes a reference, never the person: `clew erase SUBJECT --refer` keeps whom it is about
in a private file of the state folder and prints 32 random digits in their stead. So neither
Airflow's database nor a log, a template or an XCom ever holds who it was. A rejection is an answer
and not a fault: it is recorded, nothing is erased, and the run is green.

How to ask, what the plan says, what stays: docs/how-to/erase-a-person.md.
"""

from __future__ import annotations

from datetime import timedelta

from _approval import ask
from _forms import approvers
from _step_task import DEFAULTS, NO_RETRY, ClewTask, answered
from airflow.sdk import DAG, Param

TIME_TO_ANSWER = timedelta(days=7)
REFERENCE = "--reference={{ params.reference or '' }}"

with DAG(
    "erase_subject",
    schedule=None,
    catchup=False,
    max_active_runs=16,
    default_args=DEFAULTS,
    tags=["clew", "rights", "approval"],
    doc_md=__doc__,
    params={
        "reference": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9a-f]{32}$",
            title="Reference",
            description="What `clew erase SUBJECT --refer` printed. Never a name or a number.",
        )
    },
) as dag:
    plan = ClewTask(task_id="plan", words=["erase-plan", REFERENCE])
    approve = ask(
        approvers(),
        task_id="approve",
        subject=answered("plan", "subject"),
        body=answered("plan", "body"),
        response_timeout=TIME_TO_ANSWER,
        **NO_RETRY,
    )
    erase = ClewTask(
        task_id="erase",
        words=[
            "erase",
            REFERENCE,
            f"--plan={answered('plan', 'plan')}",
            "--answer={{ ti.xcom_pull(task_ids='approve')['chosen_options'][0] }}",
            "--person={{ ti.xcom_pull(task_ids='approve')['responded_by_user']['id'] }}",
            "--reason={{ ti.xcom_pull(task_ids='approve')['params_input']['reason'] }}",
        ],
    )
    plan >> approve >> erase
