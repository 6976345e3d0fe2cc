"""The tasks of a promotion: show what is asked, keep a person's answer, make the champion."""

from __future__ import annotations

import click

from pipelines import params, run_step, runs, wiring
from pipelines.cli.options import Place, here
from pipelines.cli.question import question
from pipelines.cli.voice import tell
from pipelines.errors import IntegrityBroken
from pipelines.ports import Context, Registry
from pipelines.records import Approval, Check, ModelVersion, Promotion, Verdict
from pipelines.typed import read_json

VERSION = click.option("--version", required=True)


@click.command()
@VERSION
def plan(version: str) -> None:
    """Show what promoting a version means, and whether a person must be asked.

    Refuses, before anybody is asked, what would be refused afterwards anyway.
    """
    from pipelines.release import champion
    from pipelines.release.proposal import propose

    place = here()
    registry = _registry(wiring.context(place.layout, place.state))
    with registry.lock():
        now = champion.current(registry)
    if now and now.version == version:
        tell(skipped=f"version {version} is the champion already")
        return
    found = propose(registry, registry.version(version), now)
    if refused := found.refusal():
        raise refused
    server = wiring.tracking_uri(place.state)
    asked = question(found, checks_of(place, found.version, found.verdict), server)
    tell(
        version=version,
        verdict=found.verdict.id,
        approval_required=found.asks_a_person,
        subject=asked.subject,
        body=asked.body,
    )


def checks_of(place: Place, version: ModelVersion, verdict: Verdict) -> tuple[Check, ...]:
    """Return the checks that a version's verdict rests on, from its run.

    Raises IntegrityBroken when one is not the check that the verdict names.
    """
    run_id, commit = version.run_id, version.commit
    with runs.opened(
        place.root, place.state, run_id=run_id, commit=commit, only=("checks",)
    ) as context:
        folder = context.layout.checks
        found = tuple(read_json(folder / f"{name}.json", Check) for name in verdict.checks)
    runs.finish(place.root, place.state, run_id)
    for check in found:
        if verdict.checks.get(check.name) != check.id:
            raise IntegrityBroken("a check is not the one the verdict rests on", where=check.name)
    return found


@click.command()
@VERSION
@click.option("--verdict", required=True, help="The verdict that the person was shown.")
@click.option("--answer", required=True, help="Approve or Reject.")
@click.option("--person", required=True)
@click.option("--reason", required=True)
@click.option("--at", help="When the answer was given, ISO 8601; default: now.")
def approve(
    version: str, verdict: str, answer: str, person: str, reason: str, at: str | None
) -> None:
    """Keep a named person's answer, yes or no, with the version."""
    from pipelines.release import approve as release

    place = here()
    kept = release.run(
        wiring.context(place.layout, place.state),
        version=version,
        verdict_id=verdict,
        chosen=[answer],
        person=person,
        reason=reason,
        at=at,
    )
    tell(approval=kept.id, approved=kept.approved)


@click.command()
@VERSION
@click.option("--approval", help="The id of the answer; none where the tier asks nobody.")
@click.option("--by", required=True, help="Who promotes where nobody is asked.")
def promote(version: str, approval: str | None, by: str) -> None:
    """Make a version the champion; a rejection is carried out by doing nothing."""
    place = here()
    context = wiring.context(place.layout, place.state)
    given = _answer(_registry(context), version, approval)
    if given and not given.approved:
        tell(skipped=f"{given.person} rejected version {version}")
        return
    done = run_step.run(
        "promote",
        context,
        version=version,
        person=given.person if given else by,
        reason=given.reason if given else "it passed the gate, and its tier asks nobody",
        approval=approval or None,
    )
    promotion: Promotion = done.promotion
    tell(promotion=promotion.id, version=promotion.version, former=promotion.former_version)


def _answer(registry: Registry, version: str, approval: str | None) -> Approval | None:
    """Return the answer of this id; one that is not there is `promote`'s to refuse."""
    known = registry.approvals(version) if approval else ()
    return next((each for each in known if each.id == approval), None)


def _registry(context: Context) -> Registry:
    return context.registry(params.read(context.layout.params).model_name)
