"""Facts of a version that the registry knows: its number, who approved it, when it was champion."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.ports import Registry
from pipelines.records import Approval, ModelVersion
from pipelines.release.documents.fact import Known, Row, Source, Table, told, under
from pipelines.release.history import Tenure, history


def of_version(registry: Registry, found: ModelVersion) -> Known:
    """Return what the registry answers of a version. Raises IntegrityBroken, Unavailable."""
    source = Source("version", found.id)
    tenures = [each for each in history(registry) if each.version == found.version]
    facts = under(
        "version",
        told(
            source,
            name=found.model_name,
            number=found.version,
            run=found.run_id,
            commit=found.commit,
            steps=f"the stages of dvc.yaml at commit {found.commit}",
            again=f"git checkout {found.commit} && dvc pull",
            champion=_champion(tenures),
        ),
    )
    if tenures:
        facts["version.tenures"] = _tenures(tenures, source)
    return facts | _approval(registry.approvals(found.version))


def _champion(tenures: Sequence[Tenure]) -> str:
    if not tenures:
        return "has not been champion"
    last = tenures[-1]
    until = f"until {last.until}" if last.until else "in force"
    return f"since {last.since}, {until}; made so by {last.person}: {last.reason}"


def _tenures(tenures: Sequence[Tenure], source: Source) -> Table:
    names = ("since", "until", "how", "by", "reason")
    rows = (
        Row((each.since, each.until or "in force", each.kind, each.person, each.reason), source)
        for each in tenures
    )
    return Table("Times as champion", names, tuple(rows))


def _approval(approvals: Sequence[Approval]) -> Known:
    """Return the newest answer that a person gave."""
    if not approvals:
        return {}
    last = approvals[-1]
    return under(
        "approval",
        told(
            Source("approval", last.id),
            answer="approved" if last.approved else "rejected",
            person=last.person if last.approved else f"{last.person} rejected it",
            reason=last.reason,
            at=last.at,
        ),
    )
