"""Verify the whole log, decide a random sample again, look at deadlines; people are told of breaks.

Runs on the cron of `params.yaml` and by hand. The log is verified with the one-file verifier. What
is drawn follows from the log's newest checkpoint, so nobody chooses it. A decision that does not
come out again in its original environment is no figure to watch but an alarm: the run is red. So is
a contest or an incident that waits longer than the policy pack allows.

How to trigger, what each field means, what red means: docs/how-to/replay-a-decision.md.
"""

from __future__ import annotations

from _forms import params
from _step_task import DEFAULTS, ClewTask
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronTriggerTimetable, Param, TriggerRule

with DAG(
    "audit_ledger",
    schedule=CronTriggerTimetable(params().schedules.audit_ledger, timezone="UTC"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=["clew", "decisions"],
    doc_md=__doc__,
    params={
        "sample": Param(
            1000,
            type="integer",
            minimum=1,
            maximum=1_000_000,
            title="Sample",
            description="How many recorded decisions are decided again.",
        ),
    },
) as dag:
    verify = ClewTask(task_id="verify", words=["audit-verify"])
    # A log that does not verify is no reason to look less: its records may still be whole.
    replay = ClewTask(
        task_id="replay",
        words=["audit-replay", "--sample={{ params.sample }}"],
        trigger_rule=TriggerRule.ALL_DONE,
    )
    deadlines = ClewTask(task_id="deadlines", words=["audit-deadlines"])
    alert = ClewTask(task_id="alert", words=["audit-alert"], trigger_rule=TriggerRule.ONE_FAILED)
    # Ends the run: an alert that went out must not make a broken log look green.
    done = EmptyOperator(task_id="done", trigger_rule=TriggerRule.NONE_FAILED)
    verify >> replay
    [verify, replay, deadlines] >> alert
    [verify, replay, deadlines, alert] >> done
