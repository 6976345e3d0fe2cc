"""The model inventory: each version with its stage, tier, validation, use and watch (SR 26-2)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pipelines.ports import Registry
from pipelines.records import Approval, ModelVersion, Verdict
from pipelines.release import modification
from pipelines.release.history import Tenure, history
from pipelines.release.policy import Policy
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json

Stage = Literal["champion", "former champion", "approved", "rejected", "registered"]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The last window that a version was watched over: end, report, alarms, what they ask for."""

    until: str
    report: str
    alarms: int
    action: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `decisions` is None where there is no ledger to count in."""

    model: str
    version: str
    stage: Stage
    since: str | None
    by: str | None
    tier: str
    tier_because: str
    policy: str
    verdict: str
    verdict_id: str
    not_passed: tuple[str, ...]
    change: str
    window: str
    decisions: int | None
    watched: Watched | None
    next_watch: str | None


def entries(
    registry: Registry,
    window: str,
    decisions: Mapping[str, int] | None,
    watched: Mapping[str, Watched],
    next_watch: str,
) -> tuple[Entry, ...]:
    """Return every version, the newest first. Raises IntegrityBroken, Unavailable.

    `decisions` and `watched` are by version; only the champion is watched next, at `next_watch`.
    """
    tenures = history(registry)
    return tuple(
        _entry(registry, each, tenures, window, decisions, watched.get(each.version), next_watch)
        for each in reversed(registry.versions())
    )


def _entry(
    registry: Registry,
    found: ModelVersion,
    tenures: Sequence[Tenure],
    window: str,
    decisions: Mapping[str, int] | None,
    watched: Watched | None,
    next_watch: str,
) -> Entry:
    own = [each for each in tenures if each.version == found.version]
    stage = stage_of(own, registry.approvals(found.version))
    with tempfile.TemporaryDirectory() as folder:
        files = fetched(registry, found, Path(folder) / "version")
        verdict, policy = read_json(files.verdict, Verdict), read_json(files.policy, Policy)
        change = _change(files)
    return Entry(
        model=found.model_name,
        version=found.version,
        stage=stage,
        since=own[-1].since if own else None,
        by=own[-1].person if own else None,
        tier=policy.risk_tier,
        tier_because=policy.risk_because,
        policy=policy.name,
        verdict="passed" if verdict.passed else "blocked",
        verdict_id=found.verdict_id,
        not_passed=tuple(f"{n}: {o}" for n, o in verdict.outcomes.items() if o != "pass"),
        change=change,
        window=window,
        decisions=None if decisions is None else decisions.get(found.version, 0),
        watched=watched,
        next_watch=next_watch if stage == "champion" else None,
    )


def stage_of(tenures: Sequence[Tenure], approvals: Sequence[Approval]) -> Stage:
    """Return where a version stands, from its times as champion and what people said of it."""
    if tenures:
        return "champion" if tenures[-1].until is None else "former champion"
    if approvals:
        return "approved" if approvals[-1].approved else "rejected"
    return "registered"


def _change(files: VersionFiles) -> str:
    found = modification.of(files)
    return found.word if found else "not compared"
