"""The tasks of an erasure: show the plan, then carry out the very plan that was approved.

Whom it is about stands in a private file; here and in Airflow there is a reference to it alone.
"""

from __future__ import annotations

import click

from pipelines.cli import erase as shared
from pipelines.cli.options import Place, here, open_ledger
from pipelines.cli.question import table
from pipelines.cli.voice import tell
from pipelines.decisions import erasure_requests
from pipelines.decisions.erasure_requests import Request
from pipelines.errors import GateRefused, NotThere
from pipelines.ledger.log import Ledger
from pipelines.markdown import plain
from pipelines.release.approve import APPROVE, LONGEST_REASON

REFERENCE = click.option("--reference", required=True, help="What `clew erase --refer` printed.")
REJECTED = "erasure_rejected"
BEFORE: dict[str, object] = {"erased": "by a try before this one"}


@click.command(name="erase-plan")
@REFERENCE
def erase_plan(reference: str) -> None:
    """Show what erasing comes to. Refuses what would be refused afterwards anyway."""
    place = here()
    request = erasure_requests.read(place.state.erasure_requests, reference)
    if request.done:
        tell(skipped="this request was closed before")
        return
    with open_ledger(place.state) as ledger:
        prepared = shared.prepare(place, ledger, request.subject)
    shared.refuse(prepared)
    tell(plan=prepared.digest, subject="Erase one person?", body=body(request, prepared.lines()))


def body(request: Request, lines: list[str]) -> str:
    """Return the question in Markdown: who asks, why, and the plan; it names nobody else."""
    facts = [("Asked by", request.person), ("Because", request.reason), ("At", request.at)]
    plan = [f"- {plain(line)}" for line in lines]
    told = "The answer, its reason and your name are recorded in the ledger."
    return "\n".join([*table(("What", "Which"), facts), "", *plan, "", told])


@click.command(name="erase")
@REFERENCE
@click.option("--plan", required=True, help="The digest of the plan that the person was shown.")
@click.option("--answer", required=True, help="Approve or Reject.")
@click.option("--person", required=True)
@click.option("--reason", required=True)
def erase(reference: str, plan: str, answer: str, person: str, reason: str) -> None:
    """Carry out an approved plan, once; keep a rejection, and erase nothing."""
    place = here()
    folder = place.state.erasure_requests
    request = erasure_requests.read(folder, reference)
    if request.done:
        tell(**request.done)
        return
    with open_ledger(place.state) as ledger:
        if answer == APPROVE:
            done = carry_out(place, ledger, reference, plan, person, reason)
        else:
            done = {"rejected": reject(ledger, person, reason)}
    erasure_requests.close(folder, reference, done)
    tell(**done)


def carry_out(
    place: Place, ledger: Ledger, reference: str, plan: str, person: str, reason: str
) -> dict[str, object]:
    """Erase; what a killed try began is finished. Raises GateRefused for another plan by now."""
    from pipelines.ledger.erasure import finish_erasures

    folder = place.state.erasure_requests
    request = erasure_requests.read(folder, reference)
    begun = request.begun == plan
    if begun:
        finish_erasures(ledger)
    try:
        prepared = shared.prepare(place, ledger, request.subject)
    except NotThere:
        if begun:
            return BEFORE
        raise
    if prepared.digest == plan:
        erasure_requests.begin(folder, reference, plan)
        asked = f" (asked by {request.person}: {request.reason})"
        why = reason[: LONGEST_REASON - len(asked)] + asked
        return dict(shared.carry_out(place, ledger, request.subject, prepared, person, why))
    if begun and not prepared.erases:
        return BEFORE
    raise GateRefused(
        "the plan is another than the one approved", hint="trigger erase_subject again"
    )


def reject(ledger: Ledger, person: str, reason: str) -> str:
    """Record a rejection; return its id."""
    from pipelines.decisions import rights

    return rights.record_act(ledger, REJECTED, person, reason)
