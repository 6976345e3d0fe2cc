"""A checkout whose candidate can be judged, registered and promoted, without waiting for it.

The candidate is a real model; the checks' results are written by hand, for what they say is not
what is tested here. The gate is the real one.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipelines.canonical import sha256_file
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout, Model, State
from pipelines.ports import Context, Registry, Run
from pipelines.records import (
    Approval,
    Candidate,
    Check,
    Environment,
    Evaluation,
    ModelVersion,
    Outcome,
    Split,
    Verdict,
)
from pipelines.release import approve, champion, checks, gate, policy, register
from pipelines.release.check import CHAMPION_ID, record_path
from pipelines.typed import read_json
from tests.conftest import git
from tests.release import cases


def measured(rate: float) -> dict[str, object]:
    """Return a group's measures, as an evaluation writes them."""
    ratio = rate / 0.7
    measures = {
        "selection_rate": {"value": rate, "low": rate - 0.05, "high": rate + 0.05},
        "impact_ratio": {"value": ratio, "low": ratio, "high": ratio},
    }
    return {"n": 400, "small": False, "measures": measures}


METRICS = {
    "rows": 800,
    "confidence": 0.95,
    "bootstrap_samples": 200,
    "min_group_size": 30,
    "overall": {
        "n": 800,
        "small": False,
        "measures": {
            "roc_auc": {"value": 0.8125, "low": 0.75, "high": 0.875},
            "brier": {"value": None, "low": None, "high": None},
        },
    },
    "attributes": {
        "colour": {
            "reference": "<green>",
            "groups": {"blue": measured(0.6), "<green>": measured(0.7)},
        }
    },
    "intersections": {},
}
LOCK = """
stages:
  snapshot:
    cmd: python -m pipelines.run_step snapshot
    outs:
    - {path: data/snapshot, hash: md5, md5: 0123456789abcdef.dir, size: 1, nfiles: 4}
"""


def template(folder: Path) -> Layout:
    """Write the checkout that the tests copy."""
    folder.mkdir()
    layout = cases.make(folder, State(folder)).layout
    (layout.root / "dvc.lock").write_text(LOCK, encoding="utf-8")
    Model(layout.candidate).training.write_text("{}\n")
    layout.plots.mkdir(parents=True, exist_ok=True)
    (layout.plots / "roc.csv").write_text("false_positive_rate,true_positive_rate\n0,0\n1,1\n")
    environment(layout).write(Model(layout.candidate).environment)
    return layout


def environment(layout: Layout) -> Environment:
    """Return an environment's record, bound to the lock."""
    return Environment(
        lock_sha256=sha256_file(layout.model_lock),
        packages={},
        python="3.11",
        python_build="",
        executable_sha256="0" * 64,
        libpython_sha256=None,
        system="",
        machine="",
        libc="",
        cpu_features=(),
        blas=(),
        threads={},
    )


@dataclass(frozen=True)
class Bench:
    """A checkout of a test's own and the registry it is registered in."""

    layout: Layout
    registry: Registry

    @property
    def context(self) -> Context:
        run = Run("train-1", git(self.layout.root, "rev-parse", "HEAD"), "scheduled__2026")
        return Context(self.layout, State(self.layout.root), lambda _: self.registry, run)

    def candidate(self, recipe: str = "plain", **changes: Any) -> Candidate:
        """Name the candidate anew: another recipe is another candidate, of the same model."""
        model = Model(self.layout.candidate)
        found = msgspec.structs.replace(
            read_json(model.record, Candidate),
            recipe=recipe,
            environment_id=environment(self.layout).id,
            **changes,
        )
        found.write(model.record)
        files = EvaluationFiles(self.layout.evaluation)
        files.metrics.write_text(json.dumps(METRICS))
        evaluation = msgspec.structs.replace(
            read_json(files.record, Evaluation),
            candidate_id=found.id,
            metrics_sha256=sha256_file(files.metrics),
        )
        evaluation.write(files.record)
        return found

    def judged(self, recipe: str = "plain", outcome: Outcome = "pass", **changes: Any) -> Verdict:
        """Ask for the champion, write the checks' results, and let the gate judge."""
        found = self.candidate(recipe, **changes)
        asked = champion.run(self.context)
        split = read_json(self.layout.split_record, Split)
        pack = policy.read(self.layout, cases.PACK)
        for name in checks.names():
            Check(
                name=name,
                outcome=outcome,
                observed="0.70",
                expected="at least 0.80",
                candidate_id=found.id,
                split_id=split.id,
                policy_sha256=pack.sha256,
                evidence={CHAMPION_ID: asked.id},
            ).write(record_path(self.layout, name))
        return gate.run(self.context)

    def registered(self, recipe: str = "plain", **changes: Any) -> ModelVersion:
        """Judge a candidate well and register it."""
        self.judged(recipe, **changes)
        found = register.run(self.context)
        assert found is not None
        return found

    def approved(self, version: ModelVersion, choice: str = approve.APPROVE) -> Approval:
        """Let a named person answer about a version."""
        return approve.run(
            self.context,
            version=version.version,
            verdict_id=version.verdict_id,
            chosen=[choice],
            person="Ada",
            reason="the reports are in order",
        )


def copied(template: Layout, folder: Path) -> Layout:
    """Copy the template's checkout, its git repository too."""
    shutil.copytree(template.root, folder)
    return Layout(folder)
