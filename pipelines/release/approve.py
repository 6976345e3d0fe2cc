"""A named person's word on one verdict, kept with the version."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.canonical import CONTROL, SEEN
from pipelines.errors import BadRequest, did_you_mean
from pipelines.params import read as read_params
from pipelines.ports import Context
from pipelines.records import Approval, ModelVersion
from pipelines.release.history import now

APPROVE, REJECT = "Approve", "Reject"
CHOICES = (APPROVE, REJECT)
# What servers call somebody who did not log in.
NOBODY = frozenset({"anonymous", "unknown", "none", "null", "nobody"})
LONGEST_REASON = 2000


def named(person: str) -> str:
    """Return a person's name, trimmed. Raises BadRequest for nobody, and for more than a line."""
    name = person.strip()
    if not SEEN.search(name) or name.lower() in NOBODY or CONTROL.search(name):
        raise BadRequest(
            "this needs a person with a name",
            where="person",
            observed=CONTROL.sub("?", name) or "nothing",
            expected="the name of somebody who logged in",
            hint="log in as a user of your own",
        )
    return name


def reasoned(reason: str) -> str:
    """Return a reason, trimmed. Raises BadRequest when it is empty or does not fit the record."""
    text = reason.strip()
    if not SEEN.search(text) or len(text) > LONGEST_REASON:
        raise BadRequest(
            "this needs a reason",
            where="reason",
            observed=f"{len(text)} characters",
            expected=f"1 to {LONGEST_REASON} characters",
        )
    return text


def approval(
    version: ModelVersion,
    *,
    verdict_id: str,
    chosen: Sequence[str],
    person: str,
    reason: str,
    at: str,
) -> Approval:
    """Return the record of an answer to the question whether `version` may be promoted.

    `chosen` are the options chosen, exactly one of Approve and Reject. An answer about another
    verdict than the version's own is refused.
    """
    if verdict_id != version.verdict_id:
        raise BadRequest(
            "the answer is about another verdict than this version's",
            where=f"{version.model_name} version {version.version}",
            observed=verdict_id,
            expected=version.verdict_id,
        )
    if len(chosen) != 1 or chosen[0] not in CHOICES:
        raise BadRequest(
            "not an answer",
            observed=", ".join(chosen) or "nothing chosen",
            expected=" or ".join(CHOICES),
            hint=did_you_mean(chosen[0], CHOICES) if chosen else "",
        )
    return Approval(
        verdict_id=verdict_id,
        model_name=version.model_name,
        version=version.version,
        approved=chosen[0] == APPROVE,
        person=named(person),
        reason=reasoned(reason),
        at=at,
    )


def run(
    context: Context,
    *,
    version: str,
    verdict_id: str,
    chosen: Sequence[str],
    person: str,
    reason: str,
    at: str | None = None,
) -> Approval:
    """Keep an answer with its version and return its record; `at` is when it was given.

    The same answer given again is kept once.
    """
    registry = context.registry(read_params(context.layout.params).model_name)
    with registry.lock():
        answer = approval(
            registry.version(version),
            verdict_id=verdict_id,
            chosen=chosen,
            person=person,
            reason=reason,
            at=at or now(),
        )
        registry.approve(answer)
    return answer
