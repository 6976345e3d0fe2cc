"""Commands that change or show who is champion: promote, undo, history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pipelines import params, run_step, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, YES, Place, here
from pipelines.errors import NotThere
from pipelines.ports import Registry
from pipelines.records import Approval, Promotion
from pipelines.typed import plain

if TYPE_CHECKING:
    from pipelines.release.proposal import Proposal

PERSON = click.option(
    "--by", "--person", "person", required=True, help="Who does this: a name that stays on record."
)
REASON = click.option("--reason", required=True, help="Why: it stays on record.")


@click.command()
@click.argument("version")
@PERSON
@REASON
@click.option("--approval", help="Id of the approval; default: the version's newest.")
@YES
@JSON
def promote(
    version: str, person: str, reason: str, approval: str | None, yes: bool, as_json: bool
) -> None:
    """Make VERSION the champion. Exit 4 without a passed verdict or an approval that it needs.

    A person approves at high risk, and where the retrain is not the one that the pack foresaw.
    """
    from pipelines.release.champion import settle

    place = here()
    registry = _registry(place)
    with registry.lock():
        trail = settle(registry)
    chosen = approval or _newest_approval(registry, version)
    if trail and trail[-1].version == version:
        voice.confirm([f"version {version} is the champion: only its alias is put right"], yes=yes)
    else:
        ask(registry, version, chosen, trail, yes=yes)
    done = run_step.run(
        "promote",
        wiring.context(place.layout, place.state),
        version=version,
        person=person,
        reason=reason,
        approval=chosen,
    )
    _told(done.promotion, unchanged=done.unchanged, as_json=as_json)


@click.command()
@PERSON
@REASON
@YES
@JSON
def undo(person: str, reason: str, yes: bool, as_json: bool) -> None:
    """Take the champion out of force and go back to the one before it."""
    from pipelines.release import promote as release
    from pipelines.release.history import checked, standing

    place = here()
    registry = _registry(place)
    trail = checked(registry.promotions())
    if not trail:
        raise NotThere("no champion to undo", where=registry.model_name, hint="clew history")
    standing_now = standing(trail)
    version = standing_now[-1]
    back = standing_now[-2] if len(standing_now) > 1 else "none"
    voice.confirm([f"take out   version {version}", f"go back to {back}"], yes=yes)
    done = release.undo(
        wiring.context(place.layout, place.state), version=version, person=person, reason=reason
    )
    _told(done.promotion, unchanged=done.unchanged, as_json=as_json)


@click.command()
@click.option("--at", help="A time with its offset: who was champion then?")
@JSON
def history(at: str | None, as_json: bool) -> None:
    """Show which version was champion when, who made it so, on which verdict."""
    from pipelines.release import history as trail

    registry = _registry(here())
    if at:
        found = trail.champion_at(registry, at)
        if found is None:
            raise NotThere("no champion at that time", observed=at, hint="clew history")
        voice.record(plain(found), as_json=as_json)
        return
    rows = [plain(each) for each in trail.history(registry)]
    if not rows:
        voice.note(f"{registry.model_name} has had no champion")
    voice.result(rows, as_json=as_json)


def _newest_approval(registry: Registry, version: str) -> str | None:
    given = registry.approvals(version)
    return given[-1].id if given else None


def ask(
    registry: Registry,
    version: str,
    approval: str | None,
    trail: Sequence[Promotion],
    *,
    yes: bool,
) -> None:
    """Show what is going to be done and ask; refuse first what would be refused afterwards."""
    from pipelines.release.promote import kept
    from pipelines.release.proposal import approval_problem, propose

    found = registry.version(version)
    now = registry.version(trail[-1].version) if trail else None
    asked, given = propose(registry, found, now), kept(registry, version, approval)
    voice.plan(plan_of(asked, given))
    problem = approval_problem(asked.policy, found, given, trail, asked.outside)
    if refused := asked.refusal(problem):
        raise refused
    voice.confirm([], yes=yes)


def plan_of(asked: Proposal, given: Approval | None) -> list[str]:
    """Return what promoting means, one line a fact."""
    policy, change, now = asked.policy, asked.change, asked.champion
    leaving = change.outside if change else ()
    needed = "needed" if asked.asks_a_person else "not needed"
    return [
        f"model      {asked.version.model_name}",
        f"promote    version {asked.version.version}, model {asked.version.model_sha256}",
        f"verdict    {asked.verdict.id}",
        f"policy     {policy.name} ({policy.risk_tier} risk)",
        f"retrain    {asked.word}",
        *(
            f"  {each.name}: {each.now}, champion {each.former}, foreseen: {each.allowed}"
            for each in leaving
        ),
        f"approval   {needed}; {_answer(given)}",
        f"champion   {f'version {now.version} becomes previous' if now else 'none yet'}",
    ]


def _answer(given: Approval | None) -> str:
    if given is None:
        return "nobody answered yet"
    return f"{given.person} {'approved' if given.approved else 'rejected'} it ({given.id})"


def _registry(place: Place) -> Registry:
    return wiring.registry(place.state)(params.read(place.layout.params).model_name)


def _told(promotion: object, *, unchanged: bool, as_json: bool) -> None:
    voice.record(plain(promotion) | {"unchanged": unchanged}, as_json=as_json)
