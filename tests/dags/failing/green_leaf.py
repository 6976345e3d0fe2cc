"""Must fail: a check has no result, and the only task after it clears up and succeeds.

Real commands on a scratch clone: `begin` begins a run, `check` finds nothing, `finish` removes the
worktree. Clearing up is a teardown, so the check decides the colour.
"""

from _step_task import DEFAULTS, RUN_ID, ClewTask, finish, of_run
from airflow.sdk import DAG

with DAG("green_leaf", schedule=None, default_args=DEFAULTS) as dag:
    begin = ClewTask(task_id="begin", words=["begin", f"--run-id={RUN_ID}"])
    finish(begin, of_run("check", "check", "bias", after=begin, commit_of="begin"))
