"""What runs inside the sandbox where a decision was scored by a plan, and that plan is kept.

It answers as `rescore` does and needs no scikit-learn. The plan is the proven one by its digest,
which stands in the version's files.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipelines import params
from pipelines.account import plan_file
from pipelines.account.rescore import answers, serve
from pipelines.decisions.load import LoadedModel, assemble
from pipelines.model import environment
from pipelines.records import ModelVersion, PlanProof
from pipelines.release.version_files import VersionFiles
from pipelines.typed import read_json


def load(files: VersionFiles, version: bytes, settings: Path, plan: Path) -> LoadedModel:
    """Return the version of these files that scores by a kept plan. Raises IntegrityBroken."""
    sha256 = read_json(files.plan_proof, PlanProof).plan_sha256
    record = msgspec.json.decode(version, type=ModelVersion)
    known = plan_file.loads(plan.read_bytes(), sha256 or "")
    return assemble(files, record, params.read(settings).decide, known, None)


def main(words: Sequence[str]) -> None:
    """Serve the version given as the words of `rescore` and the file of its plan."""
    folder, version, settings, plan = words
    out, files = answers(), VersionFiles(Path(folder))
    model = load(files, version.encode(), Path(settings), Path(plan))
    serve(model, environment.describe(files.lock, numeric=False), sys.stdin.buffer, out)


if __name__ == "__main__":
    main(sys.argv[1:])
