"""The question put to a person: approve or reject, with a reason that may not be empty."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from _step_task import NO_RETRY, answered
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = "Approve", "Reject"
TIME_TO_ANSWER = timedelta(days=7)
GIVEN = "ti.xcom_pull(task_ids='approve')"
# What was answered, by whom and why, as the words of a step.
ANSWER = (
    f"--answer={{{{ {GIVEN}['chosen_options'][0] }}}}",
    f"--person={{{{ {GIVEN}['responded_by_user']['id'] }}}}",
    f"--reason={{{{ {GIVEN}['params_input']['reason'] }}}}",
)
ANSWERED_AT = f"--at={{{{ {GIVEN}['responded_at'] }}}}"
# Airflow checks a form's default when the task starts and a wrong one fails it: so null is allowed.
REASON = Param(
    None,
    type=["null", "string"],
    title="Reason",
    description="Why. It stays on record beside what was answered.",
)


class Approval(HITLOperator):
    """Ask one of `approvers`. Without an answer in time it fails; it never answers for a person.

    An answer without a reason fails too: clear the task, and the question is asked again.
    """

    def execute(self, context: Context) -> Any:
        """Ask; but not when nobody is named, for Airflow would take anybody's answer."""
        if not self.assigned_users:
            raise AirflowFailException(
                "nobody is named who may approve\n"
                "  next: set CLEW_APPROVERS, or give a user the role `user`"
            )
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Return the answer with who gave it and when."""
        if (
            "error" not in event
            and not str((event["params_input"] or {}).get("reason") or "").strip()
        ):
            raise AirflowFailException(
                "an answer needs a reason\n  next: clear this task, and answer again with a reason"
            )
        return super().execute_complete(context, event)


def ask(approvers: list[str]) -> Approval:
    """Return the task `approve`: it shows one of `approvers` what the task `plan` answered."""
    return Approval(
        task_id="approve",
        subject=answered("plan", "subject"),
        body=answered("plan", "body"),
        options=[APPROVE, REJECT],
        params={"reason": REASON},
        assigned_users=[{"id": name, "name": name} for name in approvers],
        response_timeout=TIME_TO_ANSWER,
        **NO_RETRY,
    )
