"""Whether a retrain stayed inside what the policy pack declared beforehand.

Regulation (EU) 2024/1689, Art. 3(23) and 43(4): a change that was foreseen is no substantial
modification. Candidate and champion are compared by their records; what cannot be compared is
outside.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import IntegrityBroken
from pipelines.records import Champion, Record, Verdict
from pipelines.release.envelope import Line, compare, side
from pipelines.release.policy import Policy
from pipelines.release.version_files import VersionFiles, record_id
from pipelines.typed import read_json


class Modification(Record, frozen=True):
    """A candidate beside the champion that its verdict compared it with.

    `former` is the champion's version, None without one. Without an envelope `declared` is false;
    either way there are no lines.
    """

    candidate_id: str
    champion_id: str
    policy_sha256: str
    former: str | None
    declared: bool
    lines: tuple[Line, ...]

    @property
    def outside(self) -> tuple[Line, ...]:
        """The lines that leave the envelope; each asks for a person, whatever the tier."""
        return tuple(each for each in self.lines if not each.inside)

    @property
    def word(self) -> str:
        """Say in a few words how it came out."""
        if self.former is None:
            return "first version: nothing to compare"
        if not self.declared:
            return "no envelope is declared"
        names = ", ".join(each.name for each in self.outside)
        return f"outside: {names}" if names else "inside"


def report(files: VersionFiles, champion: Path, asked: Champion, policy: Policy) -> Modification:
    """Compare a candidate's files with the champion's that the run pinned.

    `asked` is what the registry answered. Raises IntegrityBroken when `champion` holds another
    model than it names; a champion that is not there to compare with raises NotThere.
    """
    verdict = read_json(files.verdict, Verdict)
    lines: tuple[Line, ...] = ()
    if asked.state == "version" and policy.envelope:
        former = VersionFiles(champion)
        if (observed := record_id(former.record)) != asked.candidate_id:
            raise IntegrityBroken(
                "the champion's files are not the champion's",
                observed=observed,
                expected=asked.candidate_id,
                hint="dvc repro champion",
            )
        lines = compare(side(former), side(files), policy.envelope)
    return Modification(
        candidate_id=record_id(files.record),
        champion_id=verdict.champion_id,
        policy_sha256=verdict.policy_sha256,
        former=asked.version,
        declared=policy.envelope is not None,
        lines=lines,
    )


def of(files: VersionFiles) -> Modification | None:
    """Return the comparison that a version carries; None for one from before they were made."""
    path = files.modification
    return read_json(path, Modification) if path.is_file() else None


def asks_a_person(files: VersionFiles, verdict: Verdict, policy: Policy) -> str:
    """Say why a version left its envelope; empty when it did not, or when none is declared.

    A comparison that is missing, or of something else than the verdict is about, is outside.
    """
    if policy.envelope is None:
        return ""
    found = of(files)
    if found is None:
        return "it was not compared with the champion"
    bound = (verdict.candidate_id, verdict.champion_id, verdict.policy_sha256)
    if bound != (found.candidate_id, found.champion_id, found.policy_sha256):
        return "it was compared with something else than the champion of its verdict"
    compared = found.former is None or bool(found.lines)
    return "" if compared and not found.outside else found.word
