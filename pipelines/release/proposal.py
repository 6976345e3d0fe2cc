"""What promoting a version means, out of its own files: why it may not, and who has to say so."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import GateRefused
from pipelines.ports import Registry
from pipelines.records import Approval, ModelVersion, Promotion, Verdict
from pipelines.release import modification
from pipelines.release.approve import named, reasoned
from pipelines.release.champion import record
from pipelines.release.modification import Modification
from pipelines.release.policy import Policy
from pipelines.release.version_files import fetched
from pipelines.typed import read_json


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version, the champion whose place it would take, and what its files say of it.

    `change` compares the two, None for a version from before that was done; `outside` says why it
    is not the retrain that the policy pack foresaw, and is empty when it is.
    """

    version: ModelVersion
    champion: ModelVersion | None
    verdict: Verdict
    policy: Policy
    change: Modification | None
    outside: str

    @property
    def asks_a_person(self) -> bool:
        """Whether a named person must approve: for the tier, or for what was not foreseen."""
        return self.policy.approval_required or bool(self.outside)

    @property
    def word(self) -> str:
        """Say in a few words how the retrain compares with what was foreseen."""
        return self.outside or (self.change.word if self.change else "not compared")

    def refusal(self, problem: str | None = None) -> GateRefused | None:
        """Return why the version may not become champion; `problem` is its approval's."""
        champion_id = record(self.version.model_name, self.champion).id
        return why_not(self.verdict, self.version, champion_id, problem)


def propose(registry: Registry, version: ModelVersion, champion: ModelVersion | None) -> Proposal:
    """Read what is asked from the version's files in the registry, digests checked."""
    with tempfile.TemporaryDirectory() as folder:
        files = fetched(registry, version, Path(folder) / "version")
        verdict, policy = read_json(files.verdict, Verdict), read_json(files.policy, Policy)
        return Proposal(
            version=version,
            champion=champion,
            verdict=verdict,
            policy=policy,
            change=modification.of(files),
            outside=modification.asks_a_person(files, verdict, policy),
        )


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
            hint=f"clew gate {version.run_id}",
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
