"""Land data, test it against the contract, pin what it accepts, and announce the snapshot.

Runs on the cron of `params.yaml` and by hand. On the cron, no new file is no fault: the run is
skipped. The same data again is the same snapshot, which is not announced a second time.

How to trigger, what each field means, what red means: docs/how-to/trigger-a-dag.md.
"""

from __future__ import annotations

from _assets import SNAPSHOT, Publish
from _forms import params, text
from _step_task import DEFAULTS, RUN_ID, ClewTask, answered, finish, of_run, steps
from airflow.sdk import DAG, CronTriggerTimetable

with DAG(
    "prepare_data",
    schedule=CronTriggerTimetable(params().schedules.prepare_data, timezone="UTC"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=["clew", "data"],
    doc_md=__doc__,
    params={
        "location": text(
            "Location",
            "A folder or an s3:// prefix to read; empty: the source that params.yaml names.",
            r"^(/|s3://).+",
        )
    },
) as dag:
    begin = ClewTask(task_id="begin", words=["begin", f"--run-id={RUN_ID}"])
    ingest = of_run(
        "ingest",
        *("ingest", "--location={{ params.location or '' }}"),
        "{{ '' if dag_run.run_type == 'manual' else '--if-any' }}",
        after=begin,
        commit_of="begin",
    )
    pinned = steps(["validate", "snapshot"], after=ingest)
    describe = of_run("describe", "snapshot", after=pinned, commit_of="snapshot")
    publish = Publish(
        task_id="publish",
        asset=SNAPSHOT,
        identity="snapshot_id",
        extra={
            "commit": answered("snapshot", "commit"),
            "run_id": answered("begin", "run"),
            "snapshot_id": answered("describe", "snapshot"),
        },
    )
    describe >> publish
    finish(begin, publish)
