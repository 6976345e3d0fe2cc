"""Registered versions of small models, as folders of files; and applications to them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec

from pipelines.canonical import canonical_json, sha256_bytes, sha256_file, sha256_tree
from pipelines.decisions.load import LoadedModel, load
from pipelines.model import proof, store
from pipelines.model.score import MarginKind
from pipelines.params import DecideParams
from pipelines.records import Candidate, ModelVersion, Verdict
from pipelines.release.policy import Policy, Retention
from pipelines.release.version_files import VersionFiles
from pipelines.typed import plain
from tests.model.small import CONTRACT, made, people

APPLICATION: dict[str, Any] = {
    "person": "p-marked-7261",
    "income": 31.25,
    "self": 3,
    "job": "cook",
    "town": "Be",
    "owner": True,
    "grade": 2,
    "since": "2011-03-04",
    "paid_at": "2026-02-03T04:05:06.000007+02:00",
    "ratio": -0.25,
}
PACK = Policy(
    name="pack",
    jurisdiction="nowhere",
    in_force_from=dt.date(2026, 1, 1),
    in_force_until=None,
    risk_tier="minimal",
    risk_because="made up",
    sources=(),
    checks={},
    retention={"decision": Retention(months=0, because="made up")},
)


def application(**changes: Any) -> bytes:
    """Return an application as bytes; a field changed to `...` is left out."""
    fields = {**APPLICATION, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def write(
    folder: Path, kind: MarginKind, number: str = "1", **changes: Any
) -> tuple[VersionFiles, ModelVersion]:
    """Write a version's files as registering does; `changes` are of its candidate."""
    found, files = made(kind), VersionFiles(folder)
    model_sha256 = store.save(found.trained.model, files.model)
    found.reference.write(files.reference)
    files.contract.write_bytes(canonical_json(plain(CONTRACT)) + b"\n")
    proof.prove(found.trained.model, kind, model_sha256, [people()]).write(files.plan_proof)
    fields = {
        "recipe": "plain",
        "estimator": kind,
        "model_sha256": model_sha256,
        "split_id": "split",
        "snapshot_id": "snapshot",
        "params_sha256": "params",
        "environment_id": "environment",
        "features": found.features,
        "threshold": found.trained.threshold.hex(),
        "margin": kind,
        "reference_sha256": sha256_file(files.reference),
    }
    candidate = Candidate(**(fields | changes))
    candidate.write(files.record)
    record = ModelVersion(
        model_name="people",
        version=number,
        candidate_id=sha256_bytes(candidate.canonical()),
        model_sha256=model_sha256,
        verdict_id="verdict",
        passed=True,
        run_id="run",
        commit="commit",
        registry_run="registry run",
        files_sha256="files",
    )
    return files, record


def judged(files: VersionFiles, record: ModelVersion, pack: Policy = PACK) -> ModelVersion:
    """Write a pack, and the verdict that a version passed by; return its record to register."""
    files.policy.write_bytes(canonical_json(plain(pack)) + b"\n")
    verdict = Verdict(
        passed=True,
        blocked_by=(),
        candidate_id=record.candidate_id,
        model_sha256=record.model_sha256,
        test_sha256="",
        params_sha256="",
        policy=pack.name,
        policy_sha256=pack.sha256,
        champion_id="",
        checks={},
        outcomes={},
    )
    verdict.write(files.verdict)
    return msgspec.structs.replace(
        record,
        version="",
        registry_run="",
        verdict_id=verdict.id,
        files_sha256=sha256_tree(files.folder),
    )


def loaded(
    folder: Path, kind: MarginKind = "linear", number: str = "1", **changes: Any
) -> LoadedModel:
    """Write a version and load it."""
    return load(*write(folder, kind, number, **changes), DecideParams())
