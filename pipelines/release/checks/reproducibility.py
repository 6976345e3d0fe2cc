"""Reproducibility: train again in a fresh process; the same inputs must give the same model."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pipelines
from pipelines import environments, quiet
from pipelines.canonical import sha256_file
from pipelines.errors import Unavailable
from pipelines.layout import Layout, Model, State
from pipelines.records import Candidate
from pipelines.release.checks._case import Case, Finding, Line
from pipelines.release.policy import Thresholds as Base
from pipelines.typed import read_json

CODE = Path(pipelines.__file__).parent.parent
READ_BY_TRAIN = ("split", "snapshot_contract", "contract", "params", "model_lock")
OTHER_HASH_SEED = "1"


class Thresholds(Base, frozen=True):
    """`times`: how many times the model is trained again."""

    times: int


def retrain(layout: Layout, state: State, python: Path, folder: Path) -> str:
    """Train again from copies of what `train` reads, in `folder`; return the model's SHA-256.

    `python` is the model environment's. The process gets another seed for Python's hashes, so a
    model that hangs on the order of a set differs. Raises Unavailable when the process fails.
    """
    there = Layout(folder)
    for name in READ_BY_TRAIN:
        source, target = getattr(layout, name), getattr(there, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copy2(source, target)
    own = {"PYTHONPATH": str(CODE), "PYTHONHASHSEED": OTHER_HASH_SEED}
    done = subprocess.run(  # noqa: S603
        [str(python), "-m", "pipelines.run_step", "train", "--inside"],
        cwd=folder,
        env=quiet.environment(state) | own,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable("training again failed", observed=f"exit code {done.returncode}")
    files = Model(there.candidate)
    return _agreed(read_json(files.record, Candidate).model_sha256, sha256_file(files.model))


def compare(expected: str, found: list[str]) -> tuple[Line, ...]:
    """Compare the digests of models trained again with the candidate's."""
    return tuple(
        Line(
            name=f"trained again, time {number}",
            outcome="pass" if digest == expected else "fail",
            observed=f"model {digest[:12]}",
            expected=f"model {expected[:12]}",
            value=float(digest == expected),
        )
        for number, digest in enumerate(found, 1)
    )


def judge(case: Case, limits: Thresholds) -> Finding:
    """Train the candidate again, in the model's environment, and compare digests."""
    python = environments.model_python(case.layout.model_lock, case.state)
    found = []
    for _ in range(limits.times):
        with tempfile.TemporaryDirectory(prefix="clew-again-") as folder:
            found.append(retrain(case.layout, case.state, python, Path(folder)))
    evidence = {"expected": case.candidate.model_sha256, "found": list(found)}
    return Finding(compare(case.candidate.model_sha256, found), evidence)


def _agreed(recorded: str, on_disk: str) -> str:
    return on_disk if recorded == on_disk else f"{recorded[:6]}≠{on_disk[:6]}"
