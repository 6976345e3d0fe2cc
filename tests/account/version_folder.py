"""A whole version's folder, as registering writes it; also by the libraries of former times."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec

from pipelines.data import profile
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import Standing, load
from pipelines.model import environment
from pipelines.model.score import MarginKind
from pipelines.params import DecideParams
from pipelines.records import ModelVersion, Part, Snapshot, Split
from pipelines.release.version_files import VersionFiles
from tests.decisions import versions
from tests.model.small import CONTRACT, people

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "infra" / "locks" / "model.lock"
SNAPSHOT = Snapshot(
    landed_id="1" * 64,
    contract_sha256=CONTRACT.sha256,
    rows_sha256="2" * 64,
    rows=600,
    refused=3,
    columns=tuple(each.name for each in CONTRACT.columns),
)
SPLIT = Split(
    snapshot_id=SNAPSHOT.id,
    params_sha256="3" * 64,
    parts={"train": Part(rows=400, sha256="4" * 64), "test": Part(rows=200, sha256="5" * 64)},
)


def write_version(
    folder: Path, kind: MarginKind, lock: Path = LOCK, **changes: Any
) -> tuple[VersionFiles, ModelVersion]:
    """Write all files of a version, as registering does, for a model trained in this process."""
    folder.mkdir(parents=True)
    files = VersionFiles(folder)
    shutil.copyfile(lock, files.lock)
    described = environment.describe(lock)
    described.write(files.environment)
    ids = {"environment_id": described.id, "snapshot_id": SNAPSHOT.id, "split_id": SPLIT.id}
    _, record = versions.write(folder, kind, **(ids | changes))
    SNAPSHOT.write(files.snapshot)
    SPLIT.write(files.split)
    frames, edges = [people()], profile.edges([people()], CONTRACT, len(people()))
    profile.profile(frames, CONTRACT, edges).write(files.profile)
    return files, versions.judged(files, record)


def main(folder: str, kind: str, lock: str, *sent: str) -> None:
    """Write a version and print its record, then the decision it makes about each application."""
    files, record = write_version(Path(folder), kind, Path(lock))  # type: ignore[arg-type]
    sys.stdout.write(record.canonical().decode() + "\n")
    named = msgspec.structs.replace(record, version="1")
    standing = Standing(load(files, named, DecideParams()))
    for data in sent:
        made = decide(standing, data.encode(), "request", Holdout())
        sys.stdout.write(msgspec.json.encode(made, order="sorted").decode() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
