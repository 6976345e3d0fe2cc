"""Must fail, but only after it was tried again: the remote of the runs does not answer."""

from datetime import timedelta

from _step_task import DEFAULTS, RUN_ID, ClewTask
from airflow.sdk import DAG

QUICK = {"retries": 1, "retry_delay": timedelta(seconds=0.1), "retry_exponential_backoff": 0}

with DAG("unavailable", schedule=None, default_args=DEFAULTS | QUICK) as dag:
    ClewTask(
        task_id="begin",
        words=["begin", f"--run-id={RUN_ID}"],
    )
