"""The step `promote`: make a passed and approved version the champion; and undo that."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import BadRequest, GateRefused, NotThere
from pipelines.params import read as read_params
from pipelines.ports import Context, Registry
from pipelines.records import Approval, ModelVersion, Promotion
from pipelines.release import champion, history
from pipelines.release.approve import named, reasoned
from pipelines.release.documents.write import card_in_force
from pipelines.release.proposal import approval_problem, propose

log = logging.getLogger("clew.promote")


@dataclass(frozen=True, slots=True)
class Promoted:
    """The promotion in force after the call; `unchanged` says that it was so before."""

    promotion: Promotion
    unchanged: bool


def run(
    context: Context,
    *,
    version: str,
    person: str,
    reason: str,
    approval: str | None = None,
) -> Promoted:
    """Make a version the champion; `approval` is the id of an approval kept with it.

    The champion already: unchanged; if its alias was moved by hand, it is put back. Raises
    GateRefused, BadRequest, NotThere, IntegrityBroken, Unavailable.
    """
    person, reason = named(person), reasoned(reason)
    registry = context.registry(read_params(context.layout.params).model_name)
    with registry.lock():
        trail = champion.settle(registry)
        if trail and trail[-1].version == version:
            return _in_force(registry, trail)
        champion.refuse_moved_alias(registry, trail)
        found = registry.version(version)
        given = kept(registry, version, approval)
        _judge(registry, found, given, trail)
        return _append(
            registry,
            Promotion(
                number=len(trail) + 1,
                former_id=trail[-1].id if trail else None,
                model_name=registry.model_name,
                version=version,
                former_version=trail[-1].version if trail else None,
                verdict_id=found.verdict_id,
                approval_id=given.id if given else None,
                person=person,
                reason=reason,
                at=history.now_after(trail),
                kind="promote",
            ),
        )


def undo(context: Context, *, version: str, person: str, reason: str) -> Promoted:
    """Take `version`, the champion, out of force and go back to the one before it.

    Asked for again, or by two people at once, it goes back once: the second time it is unchanged.
    An alias that was moved by hand is put right by it.
    """
    person, reason = named(person), reasoned(reason)
    registry = context.registry(read_params(context.layout.params).model_name)
    with registry.lock():
        trail = champion.settle(registry)
        if trail and trail[-1].kind == "undo" and trail[-1].former_version == version:
            return _in_force(registry, trail)
        back = _former(registry, trail, version)
        return _append(
            registry,
            Promotion(
                number=len(trail) + 1,
                former_id=trail[-1].id,
                model_name=registry.model_name,
                version=back,
                former_version=version,
                verdict_id=registry.version(back).verdict_id,
                approval_id=None,
                person=person,
                reason=reason,
                at=history.now_after(trail),
                kind="undo",
            ),
        )


def _judge(
    registry: Registry,
    version: ModelVersion,
    approval: Approval | None,
    trail: Sequence[Promotion],
) -> None:
    """Raise the refusal of a version."""
    now = registry.version(trail[-1].version) if trail else None
    asked = propose(registry, version, now)
    problem = approval_problem(asked.policy, version, approval, trail, asked.outside)
    if refused := asked.refusal(problem):
        raise refused


def kept(registry: Registry, version: str, approval_id: str | None) -> Approval | None:
    """Return the approval of this id that is a version; None for none. Raises NotThere."""
    if approval_id is None:
        return None
    known = registry.approvals(version)
    for each in known:
        if each.id == approval_id:
            return each
    raise NotThere(
        "no such approval of this version",
        where=f"{registry.model_name} version {version}",
        observed=approval_id,
        expected=", ".join(each.id for each in known) or "none was given",
    )


def _append(registry: Registry, wanted: Promotion) -> Promoted:
    """Claim the next number of the trail, then set the aliases. Of two at once, one wins."""
    stands = registry.append(wanted)
    champion.settle(registry)
    if stands != wanted:
        raise GateRefused(
            "another promotion came first",
            where=f"{registry.model_name}: promotion {wanted.number}",
            observed=f"version {stands.version}, by {stands.person}",
            expected=f"version {wanted.version}",
            hint="clew history",
        )
    _show_card(registry, wanted.version)
    return Promoted(wanted, unchanged=False)


def _in_force(registry: Registry, trail: Sequence[Promotion]) -> Promoted:
    """Return the promotion in force; put its aliases back where they were moved by hand."""
    for alias, version in history.aliases_after(trail).items():
        if registry.aliases().get(alias) != version:
            registry.point(alias, version)
    _show_card(registry, trail[-1].version)
    return Promoted(trail[-1], unchanged=True)


def _show_card(registry: Registry, version: str) -> None:
    """Show the card that names the approver. The change is made: it does not hang on its card."""
    try:
        card_in_force(registry, registry.version(version))
    except Exception as error:  # noqa: BLE001 - an undo in an incident must not look refused
        log.warning(
            "the card in force was not written (%s): clew document model-card %s",
            type(error).__name__,
            version,
        )


def _former(registry: Registry, trail: Sequence[Promotion], version: str) -> str:
    versions = history.standing(trail)
    if not versions or versions[-1] != version:
        raise BadRequest(
            "this version is not the champion",
            where=registry.model_name,
            observed=version,
            expected=versions[-1] if versions else "no champion",
            hint="clew history",
        )
    if len(versions) == 1:
        raise BadRequest(
            "there is no former champion to go back to",
            where=f"{registry.model_name} version {version}",
            hint="clew retrain",
        )
    return versions[-2]
