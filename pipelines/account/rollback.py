"""Take the bad version of an incident out of force: back to the champion before it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.account.incident import Incident, act, dossier
from pipelines.errors import GateRefused, NotThere
from pipelines.ledger.log import Ledger
from pipelines.params import read as read_params
from pipelines.ports import Context, Registry
from pipelines.records import Candidate
from pipelines.release import promote
from pipelines.release.approve import named, reasoned
from pipelines.release.history import checked, standing
from pipelines.release.version_files import fetched
from pipelines.typed import read_json


def plan(context: Context, ledger: Ledger, number: bytes) -> tuple[str, str]:
    """Return the champion and the version that takes its place.

    Raises NotThere when the champion has no part in the incident, GateRefused when the version
    before it has: then people decide.
    """
    registry = _registry(context)
    incident = dossier(ledger, number).incident
    versions = standing(checked(registry.promotions()))
    if not versions or not touched(registry, versions[-1], incident):
        raise NotThere(
            "the champion has no part in this incident",
            where=registry.model_name,
            observed=versions[-1] if versions else "no champion",
            hint="clew history",
        )
    if len(versions) == 1 or touched(registry, versions[-2], incident):
        raise GateRefused(
            "there is no former champion without a part in this incident",
            where=registry.model_name,
            observed=versions[-2] if len(versions) > 1 else "no former champion",
            hint="clew stop, so that people decide",
        )
    return versions[-1], versions[-2]


def touched(registry: Registry, version: str, incident: Incident) -> bool:
    """Say whether a version is what is bad, or was trained on it. Files are checked by digest."""
    if incident.target == "model-version":
        return version == incident.name
    with tempfile.TemporaryDirectory() as folder:
        files = fetched(registry, registry.version(version), Path(folder) / "version")
        return read_json(files.record, Candidate).snapshot_id == incident.name


def run(context: Context, ledger: Ledger, number: bytes, person: str, reason: str) -> str:
    """Undo the champion's promotion and record it with the incident; return who is champion now."""
    person, reason = named(person), reasoned(reason)
    bad, _ = plan(context, ledger, number)
    done = promote.undo(context, version=bad, person=person, reason=reason)
    came_to = {
        "from": bad,
        "to": done.promotion.version,
        "promotion_id": done.promotion.id,
    }
    act(ledger, number, "rolled-back", person, reason, came_to)
    return done.promotion.version


def _registry(context: Context) -> Registry:
    return context.registry(read_params(context.layout.params).model_name)
