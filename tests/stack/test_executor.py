"""The executor that bears an approval given before the scheduler has seen the question parked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import quiet
from pipelines.layout import State
from pipelines.stack import credentials, services
from pipelines.stack.settings import Ports, Settings
from tests.conftest import ROOT

# One task is handed to a worker twice, under one key, before the end of the first is read.
TWICE = """
import multiprocessing
from multiprocessing import SimpleQueue
from airflow.executors.executor_loader import ExecutorLoader
executor = ExecutorLoader.get_default_executor()
executor.activity_queue, executor.result_queue = SimpleQueue(), SimpleQueue()
executor._unread_messages = multiprocessing.Value("I")
executor._check_workers = lambda: None
class Task:
    key = "one"
def hand_out():
    executor.queued_tasks[Task.key] = Task
    executor.running.add(Task.key)
    executor._process_workloads([Task])
def end():
    executor.result_queue.put((Task.key, "success", None))
    executor._read_results()
executor.activity_queue.put = lambda task: None
hand_out(); hand_out(); end()
print(Task.key in executor.running, len(executor.event_buffer))
end()
print(Task.key in executor.running, executor.event_buffer, len(executor.started))
"""


@pytest.mark.airflow
def test_the_first_end_of_a_task_handed_out_twice_is_not_the_tasks_end(tmp_path: Path) -> None:
    """The scheduler is told of an end once, when the last process of the task has ended."""
    state = State(tmp_path / "state")
    state.airflow.mkdir(parents=True)
    environment = services.airflow_environment(
        state,
        tmp_path,
        Settings(ports=Ports(1, 2, 3)),
        credentials.new_secrets(),
        quiet.environment(state),
    )
    done = subprocess.run(
        [sys.executable, "-c", TWICE],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    expected = ["True 0", "False {'one': ('success', None)} 0"]
    assert expected == done.stdout.splitlines()[-2:]
