"""A version's proven plan, taken out of its model once in its own environment, and kept.

The digest of the plan stands in the version's files, and every reading is checked against it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.account import plan_file
from pipelines.account.again import Again
from pipelines.model.plan import Plan
from pipelines.records import PlanProof
from pipelines.release.version_files import VersionFiles
from pipelines.typed import read_json
from pipelines.whole_file import write_whole

NAME: Final = "plan-as-data.json"


def digest(files: VersionFiles) -> str | None:
    """Return the digest of a version's proven plan; None when it has none."""
    if not files.plan_proof.is_file():
        return None
    proof = read_json(files.plan_proof, PlanProof)
    return proof.plan_sha256 if proof.proven else None


def kept(files: VersionFiles) -> Path | None:
    """Return where a version's plan is kept; None when it is not, or not the proven one."""
    path, sha256 = _place(files), digest(files)
    return path if sha256 and path.is_file() else None


def keep(files: VersionFiles, process: Again) -> None:
    """Keep the plan that a version's process compiled. Raises IntegrityBroken for another one."""
    sha256 = digest(files)
    if sha256 and not _place(files).is_file():
        data = process.plan()
        plan_file.loads(data, sha256)
        write_whole(_place(files), data, mode=0o600)


def read(files: VersionFiles) -> Plan | None:
    """Return a version's kept plan; None when none is kept. Raises IntegrityBroken."""
    path, sha256 = _place(files), digest(files)
    return plan_file.loads(path.read_bytes(), sha256) if sha256 and path.is_file() else None


def _place(files: VersionFiles) -> Path:
    return files.folder.parent / NAME
