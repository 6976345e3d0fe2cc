"""The step `gate`: the verdict. Whatever is missing, unreadable or unknown blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.canonical import sha256_file
from pipelines.errors import ClewError, GateRefused
from pipelines.layout import Layout, Model
from pipelines.params import Params
from pipelines.params import read as read_params
from pipelines.ports import Context
from pipelines.records import Candidate, Champion, Check, Split, Verdict
from pipelines.release import checks as catalogue
from pipelines.release import policy as packs
from pipelines.release import scenarios
from pipelines.release.check import CHAMPION_ID, record_path, report_path
from pipelines.release.policy import Policy
from pipelines.typed import read_json

NO_CHAMPION_RECORD = "unreadable"


@dataclass(frozen=True, slots=True)
class Trial:
    """All that a verdict rests on. A record that could not be read is None, and has its reason.

    `known` are the checks that have code; `reports` the stored results by name.
    """

    policy: Policy
    params_sha256: str
    recipe_sha256: str
    candidate: Candidate
    split: Split
    champion: Champion | None
    known: tuple[str, ...]
    reports: Mapping[str, Check]
    problems: tuple[str, ...]

    @property
    def champion_id(self) -> str:
        return self.champion.id if self.champion else NO_CHAMPION_RECORD


def verdict(trial: Trial) -> Verdict:
    """Judge: passed only if nothing speaks against it."""
    reasons = tuple(_reasons(trial))
    return Verdict(
        passed=not reasons,
        blocked_by=reasons,
        candidate_id=trial.candidate.id,
        model_sha256=trial.candidate.model_sha256,
        test_sha256=trial.split.parts["test"].sha256,
        params_sha256=trial.params_sha256,
        policy=trial.policy.name,
        policy_sha256=trial.policy.sha256,
        champion_id=trial.champion_id,
        checks={name: check.id for name, check in sorted(trial.reports.items())},
        outcomes={name: check.outcome for name, check in sorted(trial.reports.items())},
    )


def _reasons(trial: Trial) -> Iterator[str]:
    """Yield, in plain sentences, everything that blocks."""
    yield from trial.problems
    if trial.champion is None:
        yield "there is no readable record of what the registry answered about the champion"
    yield from _of_another_origin(trial)
    named, known = set(trial.policy.checks), set(trial.known)
    if not trial.policy.gating:
        yield "the policy pack names no gating check"
    for name in sorted((known | set(trial.reports)) - named):
        yield f"the check {name} is unknown to the policy"
    for name in sorted(named - known):
        yield f"the policy names the check {name}, and no file provides it"
    for name in sorted(named & known):
        yield from _of_check(name, trial)


def _of_another_origin(trial: Trial) -> Iterator[str]:
    if trial.candidate.split_id != trial.split.id:
        yield "the candidate was trained on another split"
    if trial.candidate.snapshot_id != trial.split.snapshot_id:
        yield "the candidate was trained on another snapshot"
    if trial.candidate.params_sha256 != trial.recipe_sha256:
        yield "the candidate was trained by another recipe"


def _of_check(name: str, trial: Trial) -> Iterator[str]:
    check, rule = trial.reports.get(name), trial.policy.checks[name]
    if check is None:
        yield f"the check {name} has no readable result"
        return
    yield from _of_another(name, check, trial)
    if not rule.gates or check.outcome == "pass":
        return
    if check.outcome == "not-enough-data" and rule.not_enough_data == "watch":
        return
    yield (
        f"the check {name} says {check.outcome}: observed {check.observed}; "
        f"expected {check.expected}"
    )


def _of_another(name: str, check: Check, trial: Trial) -> Iterator[str]:
    """Yield what the check's result belongs to, where that is not what stands trial."""
    pairs = (
        ("another check", check.name, name),
        ("another candidate", check.candidate_id, trial.candidate.id),
        ("another split", check.split_id, trial.split.id),
        ("another state of the policy", check.policy_sha256, trial.policy.sha256),
        ("another champion", check.evidence.get(CHAMPION_ID), trial.champion_id),
    )
    for what, found, expected in pairs:
        if found != expected:
            yield f"the result of the check {name} is about {what}"


def run(context: Context) -> Verdict:
    """Read what the checks said, give the verdict, store it and return it.

    Raises NotThere or IntegrityBroken when there is no candidate, split or pack to judge.
    """
    layout = context.layout
    layout.verdict.unlink(missing_ok=True)
    found = verdict(trial_of(context))
    found.write(layout.verdict)
    return found


def trial_of(context: Context) -> Trial:
    """Gather what a verdict rests on from the checkout."""
    layout = context.layout
    params: Params = read_params(layout.params)
    policy = packs.read(layout, params.policy)
    candidate = read_json(Model(layout.candidate).record, Candidate)
    split = read_json(layout.split_record, Split)
    champion, no_champion = _champion(layout, params.model_name)
    reports, unreadable = _reports(layout)
    commit = context.run.commit if context.run else None
    problems = (
        *packs.thresholds_committed(layout, policy, commit),
        *_scenarios(layout, scenarios.path(layout, params.model_name), reports, commit),
        *_changed(layout, candidate, split),
        *no_champion,
        *unreadable,
    )
    return Trial(
        policy=policy,
        params_sha256=params.judged_sha256,
        recipe_sha256=params.recipe.sha256,
        candidate=candidate,
        split=split,
        champion=champion,
        known=catalogue.names(),
        reports=reports,
        problems=problems,
    )


def refusal(layout: Layout) -> ClewError | None:
    """Return GateRefused when the stored verdict blocks, or when there is none to read."""
    try:
        found = read_json(layout.verdict, Verdict)
    except ClewError as error:
        return GateRefused("there is no verdict to go by", observed=error.what, hint="clew gate")
    if found.passed and not found.blocked_by:
        return None
    reports, _ = _reports(layout)
    blocking = [name for name in sorted(reports) if _speaks_of(name, found)]
    where = ", ".join(report_path(name).as_posix() for name in blocking)
    return GateRefused(
        f"the gate refuses candidate {found.candidate_id[:12]} under {found.policy}",
        where=", ".join(blocking),
        observed="".join(f"\n    - {reason}" for reason in found.blocked_by),
        expected="every gating check passes, on this candidate, split and policy",
        hint=f"read {where or report_path('index').as_posix()}",
    )


def _speaks_of(name: str, found: Verdict) -> bool:
    return any(f"check {name} " in reason for reason in found.blocked_by)


def _champion(layout: Layout, model_name: str) -> tuple[Champion | None, tuple[str, ...]]:
    try:
        found = read_json(layout.champion_record, Champion)
    except ClewError:
        return None, ()
    if found.model_name != model_name:
        return found, ("the champion's record is of another model name",)
    if found.state == "version" and not (found.version and found.model_sha256):
        return found, ("the champion's record names no version or no model",)
    return found, ()


def _changed(layout: Layout, candidate: Candidate, split: Split) -> Iterator[str]:
    """Yield which files are not what their records say."""
    parts = {"model": (Model(layout.candidate).model, candidate.model_sha256)}
    for name, part in split.parts.items():
        parts[f"{name} part"] = (layout.split_rows(name), part.sha256)
    for name, (path, expected) in parts.items():
        if not path.is_file() or sha256_file(path) != expected:
            yield f"the {name} is missing or not what its record says"


def _scenarios(
    layout: Layout, path: Path, reports: Mapping[str, Check], commit: str | None
) -> Iterator[str]:
    """Yield what speaks against the scenarios that the candidate was judged by."""
    there = path.is_file()
    if there:
        yield from packs.file_committed(layout, path, commit)
    report = reports.get(scenarios.CHECK)
    now = sha256_file(path) if there else None
    if report and report.outcome != "error" and report.evidence.get(scenarios.SHA256) != now:
        yield f"the result of the check {scenarios.CHECK} is about other scenarios"


def _reports(layout: Layout) -> tuple[dict[str, Check], tuple[str, ...]]:
    """Return the stored results by file name, and the reason for each that cannot be read."""
    found, unreadable = dict[str, Check](), list[str]()
    for path in sorted(layout.checks.glob("*.json")):
        if path.name.endswith(".evidently.json"):
            continue
        try:
            found[path.stem] = read_json(record_path(layout, path.stem), Check)
        except ClewError:
            unreadable.append(f"the result of the check {path.stem} cannot be read")
    return found, tuple(unreadable)
