"""Train a candidate on one snapshot, evaluate it, check it, judge it, and register what passed.

Runs on the cron of `params.yaml`, when a snapshot is announced, when the watch asks for it (the
reason stays with the run and its version), and by hand. One task a check shows which one blocked;
a blocked candidate makes the run red, is logged in MLflow without a version, and is not announced.

How to trigger, what each field means, what red means: docs/how-to/trigger-a-dag.md.
"""

from __future__ import annotations

from typing import Any

from _assets import CANDIDATE, RETRAIN_WANTED, SNAPSHOT, Publish, asked, newest, triggering
from _forms import check_names, choice, params, policy_names, text
from _links import MlflowRun, Register, Report
from _step_task import (
    DEFAULTS,
    RUN_ID,
    ClewTask,
    answered,
    finish,
    of_run,
    steps,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    TriggerRule,
    task,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from pipelines import flow

FILE_STEPS = ("validate", "snapshot", "split", "train", "evaluate", "champion", "check")
REPORTS = flow.path("checks")
ASKED = "(ti.xcom_pull(task_ids='choose_data') or {}).get('asked')"
CRON = CronTriggerTimetable(params().schedules.train_model, timezone="UTC")

with DAG(
    "train_model",
    schedule=AssetOrTimeSchedule(timetable=CRON, assets=(SNAPSHOT | RETRAIN_WANTED)),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=["clew", "model"],
    doc_md=__doc__,
    params={
        "candidate": choice(
            sorted(params().candidates), "Candidate", "A recipe; empty: the one params.yaml names."
        ),
        "data": text(
            "Data",
            "A commit or run id whose snapshot is trained on; empty: the newest when this is due.",
            r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        ),
        "policy": choice(
            policy_names(), "Policy pack", "What judges; empty: the one params.yaml names."
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Register nothing."),
    },
) as dag:

    @task(inlets=[SNAPSHOT])
    def choose_data(**context: Any) -> dict[str, str]:
        """Choose the snapshot: the form's, the event's, or the newest when the run was due."""
        if chosen := context["params"]["data"]:
            return {"commit": chosen}
        due = context["dag_run"].run_after
        found = triggering(context, SNAPSHOT) or newest(context["inlet_events"][SNAPSHOT], due)
        if found:
            wanted = triggering(context, RETRAIN_WANTED)
            return found | ({"asked": asked(wanted)} if wanted else {})
        nothing = f"no snapshot was announced until {due}: trigger prepare_data"
        by_hand = context["dag_run"].run_type == "manual"
        raise (AirflowFailException if by_hand else AirflowSkipException)(nothing)

    begin = ClewTask(
        task_id="begin",
        words=[
            "begin",
            f"--run-id={RUN_ID}",
            f"--data={answered('choose_data', 'commit')}",
            "--choice=candidate={{ params.candidate or '' }}",
            "--choice=policy={{ params.policy or '' }}",
            f"{{{{ '--asked=' ~ {ASKED} if {ASKED} else '' }}}}",
        ],
    )
    choose_data() >> begin
    check = steps(FILE_STEPS, after=begin)
    checks = [
        of_run(
            f"check.{name}",
            *("check", name),
            after=check,
            commit_of="check",
            report=f"{REPORTS}/{name}.html",
        )
        for name in check_names()
    ]
    gate = of_run(
        "gate",
        *("step", "gate"),
        after=[check, *checks],
        commit_of="check",
        report=f"{REPORTS}/index.html",
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    )
    register = of_run(
        "register",
        "register",
        after=[check, gate],
        commit_of="gate",
        kind=Register,
        reports={each.task_id: each.report for each in (gate, *checks)},
        skip="{{ 'a dry run registers nothing' if params.dry_run else '' }}",
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    )
    # Waits for every check: a skipped registration must not make a blocked run look green.
    passed = EmptyOperator(task_id="passed", trigger_rule=TriggerRule.NONE_FAILED)
    [gate, register, *checks] >> passed
    publish = Publish(
        task_id="publish",
        asset=CANDIDATE,
        identity="version",
        extra={
            "version": answered("register", "version"),
            "verdict_id": answered("register", "verdict"),
            "run_id": answered("begin", "run"),
            "commit": answered("gate", "commit"),
        },
    )
    passed >> publish
    finish(begin, publish)
    for each in (gate, *checks):
        each.operator_extra_links = (Report(),)
    register.operator_extra_links = (MlflowRun(),)
