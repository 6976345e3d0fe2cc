"""The step `promote`: make a passed and approved version the champion; and undo that."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadRequest, GateRefused, NotThere
from pipelines.params import read as read_params
from pipelines.ports import Context, Registry
from pipelines.records import Approval, ModelVersion, Promotion, Verdict
from pipelines.release import champion, history, modification
from pipelines.release.approve import named, reasoned
from pipelines.release.policy import Policy
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json


@dataclass(frozen=True, slots=True)
class Promoted:
    """The promotion in force after the call; `unchanged` says that it was so before."""

    promotion: Promotion
    unchanged: bool


def why_not(
    verdict: Verdict, version: ModelVersion, champion_id: str, approval_problem: str | None
) -> GateRefused | None:
    """Return the reason why a version may not become champion; None when it may.

    `champion_id` is the id of the Champion record as the registry answers now.
    """
    where = f"{version.model_name} version {version.version}"
    if not verdict.passed or verdict.blocked_by or not version.passed:
        return GateRefused(
            "the gate blocked this version",
            where=where,
            observed=", ".join(verdict.blocked_by) or "not passed",
            expected="a verdict that passed",
            hint="clew gate",
        )
    bound = (verdict.id, verdict.candidate_id, verdict.model_sha256)
    if bound != (version.verdict_id, version.candidate_id, version.model_sha256):
        return GateRefused(
            "the verdict is about another model",
            where=where,
            observed=verdict.model_sha256,
            expected=version.model_sha256,
            hint="clew retrain",
        )
    if verdict.champion_id != champion_id:
        return GateRefused(
            "the champion has changed since this version was compared with it",
            where=where,
            observed=champion_id,
            expected=verdict.champion_id,
            hint="clew retrain (judges against the champion of today)",
        )
    if approval_problem:
        return GateRefused(
            "this version needs a person's approval of its very verdict",
            where=where,
            observed=approval_problem,
            expected="an approval by a named person, not used before",
            hint="answer the approval of promote_model in Airflow, under Required Actions",
        )
    return None


def approval_problem(
    policy: Policy,
    version: ModelVersion,
    approval: Approval | None,
    trail: Sequence[Promotion],
    outside: str = "",
) -> str | None:
    """Say why an approval does not do; None when it does, or when none is needed.

    One is needed where the tier is high, and where the retrain is `outside` what the pack foresaw.
    An approval serves once: after an undo the version needs a new one.
    """
    if approval is None and outside:
        return f"no approval of a retrain beyond what was foreseen: {outside}"
    if approval is None:
        return "no approval" if policy.approval_required else None
    about = (approval.model_name, approval.version, approval.verdict_id)
    if about != (version.model_name, version.version, version.verdict_id):
        return "an approval of another verdict or version"
    if not approval.approved:
        return f"{approval.person} rejected it"
    if any(each.approval_id == approval.id for each in trail):
        return "an approval that was used before"
    named(approval.person)
    reasoned(approval.reason)
    return None


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
        given = _approval(registry, version, approval)
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
                at=history.now(),
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
                at=history.now(),
                kind="undo",
            ),
        )


def _judge(
    registry: Registry,
    version: ModelVersion,
    approval: Approval | None,
    trail: Sequence[Promotion],
) -> None:
    """Raise the refusal of a version, from its own files in the registry, digests checked."""
    now = registry.version(trail[-1].version) if trail else None
    champion_id = champion.record(registry.model_name, now).id
    with tempfile.TemporaryDirectory() as folder:
        files = fetched(registry, version, Path(folder) / "version")
        verdict, policy = read_json(files.verdict, Verdict), read_policy(files)
        outside = modification.asks_a_person(files, verdict, policy)
    problem = approval_problem(policy, version, approval, trail, outside)
    refused = why_not(verdict, version, champion_id, problem)
    if refused:
        raise refused


def read_policy(files: VersionFiles) -> Policy:
    """Read the policy pack that a version was judged by."""
    return read_json(files.policy, Policy)


def _approval(registry: Registry, version: str, approval_id: str | None) -> Approval | None:
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
    return Promoted(wanted, unchanged=False)


def _in_force(registry: Registry, trail: Sequence[Promotion]) -> Promoted:
    """Return the promotion in force; put its aliases back where they were moved by hand."""
    for alias, version in history.aliases_after(trail).items():
        if registry.aliases().get(alias) != version:
            registry.point(alias, version)
    return Promoted(trail[-1], unchanged=True)


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
