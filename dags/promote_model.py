"""Make a candidate that passed the champion; for a high-risk model a named person says so first.

Runs when a candidate is announced, and by hand. An answer is kept with the version, with who gave
it and why. A rejection is a decision, not a fault: the run is green and nothing is promoted.
Without an answer in time the run is red and nothing is promoted.

How to trigger, what each field means, what red means: docs/how-to/trigger-a-dag.md.
"""

from __future__ import annotations

from typing import Any

from _approval import ANSWER, ANSWERED_AT, ask
from _assets import CANDIDATE, CHAMPION, Publish, triggering
from _forms import approvers, text
from _links import History
from _step_task import DEFAULTS, ClewTask, answered
from airflow.sdk import DAG, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException

with DAG(
    "promote_model",
    schedule=CANDIDATE,
    catchup=False,
    max_active_runs=16,
    default_args=DEFAULTS,
    tags=["clew", "model", "approval"],
    doc_md=__doc__,
    params={
        "version": text(
            "Version",
            "A registered version of the model; empty: the one just announced.",
            r"^[1-9][0-9]*$",
        )
    },
) as dag:

    @task
    def choose_version(**context: Any) -> dict[str, str]:
        """Choose the version: the form's, or the newest of those that started this run."""
        if asked := context["params"]["version"]:
            return {"version": asked}
        if found := triggering(context, CANDIDATE):
            return found
        raise AirflowFailException("no version\n  next: name one in the form, see clew history")

    plan = ClewTask(
        task_id="plan", words=["plan", f"--version={answered('choose_version', 'version')}"]
    )
    choose_version() >> plan

    @task.branch
    def tier(**context: Any) -> str:
        """Ask a person when the verdict's policy pack calls the model high-risk."""
        wanted = context["ti"].xcom_pull(task_ids="plan")["approval_required"]
        return "promote" if wanted is False else "approve"

    approve = ask(approvers())
    record = ClewTask(
        task_id="record",
        words=[
            "approve",
            f"--version={answered('plan', 'version')}",
            f"--verdict={answered('plan', 'verdict')}",
            *ANSWER,
            ANSWERED_AT,
        ],
    )
    promote = ClewTask(
        task_id="promote",
        words=[
            "promote",
            f"--version={answered('plan', 'version')}",
            f"--approval={answered('record', 'approval')}",
            "--by={{ dag_run.triggering_user_name or dag.dag_id }}",
        ],
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    promote.operator_extra_links = (History(),)
    publish = Publish(
        task_id="publish",
        asset=CHAMPION,
        identity="promotion",
        extra={
            "promotion": answered("promote", "promotion"),
            "version": answered("promote", "version"),
            "verdict_id": answered("plan", "verdict"),
        },
    )
    branch = tier()
    plan >> branch >> [approve, promote]
    approve >> record >> promote >> publish
