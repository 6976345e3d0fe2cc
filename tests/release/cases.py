"""A small world for the gate: synthetic applicants, a real model of them, and every record."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.canonical import canonical_json, sha256_file
from pipelines.contract import Band, Column, Contract, Protected
from pipelines.data import cast, files
from pipelines.data import profile as profiles
from pipelines.data.result import Validation
from pipelines.layout import Layout, Model, State
from pipelines.model import evaluate, train
from pipelines.params import Params
from pipelines.params import read as read_params
from pipelines.ports import Context, Run
from pipelines.records import Candidate, Champion, Part, Snapshot, Split
from pipelines.release import checks as catalogue
from pipelines.release import policy as packs
from pipelines.release.checks._case import Case
from pipelines.typed import plain, read_json
from tests.conftest import ROOT, git

PACK = "test-2026-11"
MODEL_NAME = "applicants"
LINEAR = "estimator: logistic_regression\n    hyperparameters: {C: 1.0, max_iter: 5000}"
FOREST = "estimator: hist_gradient_boosting\n    hyperparameters: {max_iter: 20}"

CONTRACT = Contract(
    name="applicants",
    version="1",
    columns=(
        Column(name="id", role="subject", kind="string", required=True, unique=True),
        Column(name="income", role="feature", kind="number", required=True),
        Column(name="debt", role="feature", kind="number"),
        Column(name="job", role="feature", kind="string", required=True),
        Column(name="answer", role="ignored", kind="integer"),
        Column(
            name="blue",
            role="protected",
            kind="integer",
            protected=Protected(attribute="colour", groups={"1": "blue", "0": "green"}),
        ),
        Column(
            name="years",
            role="protected",
            kind="number",
            protected=Protected(
                attribute="age", bands=(Band(name="young", below=40.0), Band(name="old"))
            ),
        ),
        Column(name="paid", role="target", kind="integer", required=True, favourable=1),
    ),
)

PARAMS = f"""
model_name: {MODEL_NAME}
policy: {PACK}
candidate: plain
data:
  source: {{kind: files, location: landing}}
  encoding: utf-8
  chunk_rows: 1000
  max_refused_share: 0.01
split: {{method: random, test_share: 0.5, seed: 1}}
candidates:
  plain:
    estimator: logistic_regression
    hyperparameters: {{C: 1.0, max_iter: 5000}}
    approval_rate: 0.6
    seed: 7
evaluate: {{bootstrap_samples: 200, confidence: 0.95, seed: 11, min_group_size: 30}}
schedules: {{prepare_data: "0 2 * * *", train_model: "0 4 * * 1"}}
"""

POLICY = f"""
name: {PACK}
jurisdiction: nowhere
in_force_from: 2020-01-01
in_force_until: null
risk_tier: high
risk_because: a test
sources: [{{text: none, says: nothing}}]
checks:
  contract:
    {{gates: true, not_enough_data: block, because: test,
     thresholds: {{max_refused_share: 0.01, min_rows: 100}}}}
  reproducibility:
    {{gates: true, not_enough_data: block, because: test, thresholds: {{times: 1}}}}
  leakage:
    {{gates: true, not_enough_data: block, because: test,
     thresholds: {{max_single_roc_auc: 0.95}}}}
  performance:
    {{gates: true, not_enough_data: watch, because: test,
     thresholds: {{min_roc_auc: 0.7, max_loss: 0.03}}}}
  calibration:
    {{gates: true, not_enough_data: watch, because: test,
     thresholds: {{max_error: 0.08, bins: 10, min_slope: 0.5, max_slope: 2.0}}}}
  training_drift:
    {{gates: true, not_enough_data: watch, because: test,
     thresholds: {{max_wasserstein: 0.2, max_psi: 0.2, max_jensen_shannon: 0.15,
                  max_null_rate_change: 0.05, alpha: 0.05}}}}
  faithfulness:
    {{gates: true, not_enough_data: block, because: test,
     thresholds: {{min_share: 0.95, min_recovered: 0.5, min_people: 30}}}}
  scenarios:
    {{gates: true, not_enough_data: watch, because: test, thresholds: {{min_scenarios: 1}}}}
  sensitivity:
    {{gates: true, not_enough_data: block, because: test,
     thresholds: {{monotone: gate, max_protected_change: 0.0, max_noise_flips: 0.05,
                  max_single_flips: 1.0}}}}
  robustness:
    {{gates: true, not_enough_data: watch, because: test,
     thresholds: {{evasion_budget: 0.5, max_evasion_share: 0.3, min_people: 30}}}}
  privacy:
    {{gates: true, not_enough_data: block, because: test,
     thresholds: {{max_advantage: 0.15, max_roc_auc: 0.6}}}}
  bias:
    {{gates: true, not_enough_data: block, because: test,
     thresholds: {{definition: selection_rate, attributes: [colour], intersections: show,
                  min_ratio: 0.8, max_difference: 0.1, alpha: 0.05, min_group_size: 30}}}}
"""


def applicants(rows: int, seed: int, **changes: Any) -> pd.DataFrame:
    """Return typed rows of the contract. `disparity` moves the income of the blue group."""
    rng = np.random.default_rng(seed)
    blue = rng.integers(0, 2, rows)
    income = rng.normal(50.0, 10.0, rows) - changes.get("disparity", 0.0) * blue
    debt = rng.gamma(2.0, 5.0, rows)
    chance = 1.0 / (1.0 + np.exp(-((income - 50.0) / 5.0 - (debt - 10.0) / 10.0)))
    paid = (rng.random(rows) < chance).astype(int)
    debt[rng.random(rows) < 0.05] = np.nan
    frame = pd.DataFrame(
        {
            "_row": np.arange(rows),
            "id": [f"p{seed}-{number}" for number in range(rows)],
            "income": income + changes.get("shift", 0.0),
            "debt": debt,
            "job": rng.choice(changes.get("jobs", ["baker", "smith", "tailor"]), rows),
            "answer": paid,
            "blue": blue,
            "years": rng.uniform(20.0, 70.0, rows),
            "paid": paid,
        }
    )
    return cast.frame(pa.Table.from_pandas(frame, schema=cast.schema(CONTRACT)))


@dataclass(frozen=True)
class World:
    """A checkout with a candidate in it, committed where a checkout is committed."""

    layout: Layout
    state: State

    @property
    def params(self) -> Params:
        return read_params(self.layout.params)

    @property
    def context(self) -> Context:
        return Context(layout=self.layout, state=self.state, registry=_no_registry)

    def context_of(self, commit: str) -> Context:
        run = Run("r1", commit)
        return Context(self.layout, self.state, _no_registry, run)

    @property
    def case(self) -> Case:
        return Case(
            layout=self.layout,
            state=self.state,
            contract=CONTRACT,
            params=self.params,
            candidate=self.candidate,
            split=read_json(self.layout.split_record, Split),
            champion=read_json(self.layout.champion_record, Champion),
        )

    def limits(self, check: str) -> Any:
        """Return the pack's thresholds of one check."""
        policy = packs.read(self.layout, PACK)
        return packs.thresholds(policy, check, catalogue.load(check).thresholds)

    def crown(self) -> None:
        """Make a copy of the candidate the champion."""
        shutil.rmtree(self.layout.champion, ignore_errors=True)
        shutil.copytree(self.layout.candidate, self.layout.champion)
        shutil.copyfile(files.profile(self.layout), self.layout.champion_profile)
        candidate = self.candidate
        Champion(
            state="version",
            model_name=MODEL_NAME,
            version="1",
            candidate_id=candidate.id,
            model_sha256=candidate.model_sha256,
        ).write(self.layout.champion_record)

    @property
    def candidate(self) -> Candidate:
        return read_json(Model(self.layout.candidate).record, Candidate)


def _no_registry(model_name: str) -> Any:
    raise AssertionError(model_name)


def make(folder: Path, state: State, frame: pd.DataFrame | None = None) -> World:
    """Write a whole world: pack, params and lock committed; data, model and scores beside them."""
    layout = Layout(folder)
    write_committed(layout)
    rows = applicants(1600, 1) if frame is None else frame
    snapshot = write_snapshot(layout, rows)
    write_split(layout, rows, snapshot)
    world = World(layout, state)
    train.run(world.context)
    evaluate.run(world.context)
    Champion(state="none", model_name=MODEL_NAME).write(layout.champion_record)
    return world


def write_committed(layout: Layout) -> None:
    """Write params, the pack and the lock, and commit them."""
    layout.policies.mkdir(parents=True, exist_ok=True)
    layout.params.write_text(PARAMS, encoding="utf-8")
    (layout.policies / f"{PACK}.yaml").write_text(POLICY, encoding="utf-8")
    layout.model_lock.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Layout(ROOT).model_lock, layout.model_lock)
    (layout.root / ".gitignore").write_text("/data/\n/models/\n/reports/\n", encoding="utf-8")
    git(layout.root, "init", "--quiet", "--initial-branch=main")
    git(layout.root, "add", "--all")
    git(layout.root, "commit", "--quiet", "--message", "as it stands")


def write_snapshot(layout: Layout, rows: pd.DataFrame) -> Snapshot:
    """Write rows, contract, profile, record and the validation that accepted them."""
    layout.snapshot.mkdir(parents=True, exist_ok=True)
    layout.validation_report.mkdir(parents=True, exist_ok=True)
    write_rows(rows, layout.snapshot_rows)
    layout.snapshot_contract.write_bytes(canonical_json(plain(CONTRACT)) + b"\n")
    profile_of(rows).write(files.profile(layout))
    snapshot = Snapshot(
        landed_id="landed",
        contract_sha256=CONTRACT.sha256,
        rows_sha256=sha256_file(layout.snapshot_rows),
        rows=len(rows),
        refused=2,
        columns=tuple(column.name for column in CONTRACT.columns),
    )
    snapshot.write(layout.snapshot_record)
    validation(len(rows)).write(files.validation(layout))
    return snapshot


def validation(accepted: int, refused: int = 2, **changes: Any) -> Validation:
    """Return the result of validating a landing."""
    found = {
        "landed_id": "landed",
        "contract_sha256": CONTRACT.sha256,
        "rows": accepted + refused,
        "accepted": accepted,
        "refused": refused,
        "max_refused_share": 0.01,
        "broken": (),
        "table": (),
        "columns": (),
        "blocked": (),
    }
    return Validation(**(found | changes))


def changed(folder: Path, old: str, new: str) -> World:
    """Make a world whose candidate is trained by other parameters."""
    made = make(folder / "repo", State(folder / "var"))
    text = made.layout.params.read_text()
    assert old in text
    made.layout.params.write_text(text.replace(old, new))
    train.run(made.context)
    evaluate.run(made.context)
    return made


def profile_of(rows: pd.DataFrame) -> profiles.Profile:
    """Return the profile of rows with edges of their own."""
    edges = profiles.edges([rows], CONTRACT, len(rows))
    return profiles.profile([rows], CONTRACT, edges)


def write_rows(rows: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(rows, schema=cast.schema(CONTRACT), preserve_index=False)
    pq.write_table(table, path)


def write_split(layout: Layout, rows: pd.DataFrame, snapshot: Snapshot) -> Split:
    """Put the first half of the rows in train, the other in test."""
    half = len(rows) // 2
    parts = {}
    for name, part in (("train", rows[:half]), ("test", rows[half:])):
        write_rows(part, layout.split_rows(name))
        parts[name] = Part(rows=len(part), sha256=sha256_file(layout.split_rows(name)))
    split = Split(snapshot_id=snapshot.id, params_sha256="split", parts=parts)
    split.write(layout.split_record)
    return split
