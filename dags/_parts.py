"""The task that tells how work is cut: what it returns, another task is mapped over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _step_task import ClewTask

if TYPE_CHECKING:
    from airflow.sdk import Context


class Parts(ClewTask):
    """Run ``clew task <words>`` and return the words of each part's own task.

    The plan's id goes by the key `plan`. No parts are no tasks: what is mapped over them is
    skipped.
    """

    def execute(self, context: Context) -> Any:
        """Return a list of words a part."""
        answer = super().execute(context)
        context["ti"].xcom_push(key="plan", value=answer["plan"])
        return answer["parts"]
