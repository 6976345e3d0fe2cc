"""Erase one person: the plan is shown, a named person approves it, and that very plan is done.

The form takes a reference, never the person: `clew erase SUBJECT --refer` keeps whom it is about
in a private file of the state folder and prints 32 random digits in their stead. So neither
Airflow's database nor a log, a template or an XCom ever holds who it was. A rejection is an answer
and not a fault: it is recorded, nothing is erased, and the run is green.

How to ask, what the plan says, what stays: docs/how-to/erase-a-person.md.
"""

from __future__ import annotations

from _approval import ANSWER, ask
from _forms import approvers
from _step_task import DEFAULTS, ClewTask, answered
from airflow.sdk import DAG, Param

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
    approve = ask(approvers())
    erase = ClewTask(
        task_id="erase",
        words=[
            "erase",
            REFERENCE,
            f"--plan={answered('plan', 'plan')}",
            *ANSWER,
        ],
    )
    plan >> approve >> erase
