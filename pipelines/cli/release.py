"""Commands that change or show who is champion: promote, undo, history."""

from __future__ import annotations

import click

from pipelines import params, run_step, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, YES, Place, here
from pipelines.errors import NotThere
from pipelines.ports import Registry
from pipelines.typed import plain

PERSON = click.option("--person", required=True, help="Who does this: a name that stays on record.")
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
    """Make VERSION the champion. Exit 4 without a passed verdict and, at high risk, an approval."""
    place = here()
    registry = _registry(place)
    found = registry.version(version)
    given = registry.approvals(version)
    chosen = approval or (given[-1].id if given else None)
    plan = [
        f"model      {found.model_name}",
        f"promote    version {version}, model {found.model_sha256}",
        f"verdict    {found.verdict_id}",
        f"approval   {chosen or 'none'}",
        f"champion   {registry.aliases().get('champion', 'none')} becomes previous",
    ]
    voice.confirm(plan, yes=yes)
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


def _registry(place: Place) -> Registry:
    return wiring.registry(place.state)(params.read(place.layout.params).model_name)


def _told(promotion: object, *, unchanged: bool, as_json: bool) -> None:
    voice.record(plain(promotion) | {"unchanged": unchanged}, as_json=as_json)
