# ruff: noqa: INP001 - a folder on the path of Airflow, no package
"""A LocalExecutor that does not fail an approval which is given quickly.

A task that waits for a person ends its process and is queued again, with the same key, when the
answer comes. If the answer comes before the scheduler has read the first end, Airflow 3.3.2 takes
that end for the second one's: it finds a task that "finished" while it is still queued, and marks
it failed. On a busy machine there are seconds for that. Counting how often a key was handed to a
worker tells the two ends apart. CeleryExecutor (provider 3.26.0) asks for the outcome of a key's
newest hand-out alone, so the first end is never read after it, and production needs none of this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from airflow.executors.local_executor import LocalExecutor
from airflow.executors.workloads import ExecutorWorkload

ENDS = ("success", "failed")


class CountingLocalExecutor(LocalExecutor):
    """Reports the end of a task to the scheduler when its last process has ended, not before."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.started: Counter[object] = Counter()

    def _process_workloads(self, workload_list: Sequence[ExecutorWorkload]) -> None:
        self.started.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)

    def _read_results(self) -> None:
        while not self.result_queue.empty():
            key, state, _ = self.result_queue.get()
            if getattr(state, "value", state) in ENDS:
                self.started[key] -= 1
                if self.started[key] > 0:
                    continue
                del self.started[key]
            self.change_state(key, state)
