"""A data set that nobody here wrote code for goes all the way: from a landing to a decision."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import flow, run_step, wiring
from pipelines.adapters.memory import MemoryRegistry
from pipelines.decisions import load
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import Standing
from pipelines.layout import Layout, State
from pipelines.params import DecideParams
from pipelines.ports import Context, Run
from pipelines.records import Verdict
from pipelines.release import checks, promote
from pipelines.typed import read_json
from tests.conftest import ROOT, git
from tests.release.versions import LOCK

ADULT = ROOT / "examples" / "adult"
PACK = "policies/census-study-2026-11.yaml"
EVERY = 10  # of the people: enough for every check to say something
PERSON = {
    "person_id": "A1",
    "age": 40,
    "workclass": "Private",
    "education_num": 6,
    "marital_status": "Divorced",
    "occupation": "Other-service",
    "race": "Black",
    "sex": "Female",
    "capital_gain": 0,
    "capital_loss": 0,
    "hours_per_week": 10,
}


def brought_up(clone: Path, state: State) -> Context:
    """Do what docs/how-to/own-data.md says: two files, a pack, a landing; a tenth of the people."""
    shutil.copy(ADULT / "contract.yaml", clone)
    params = (ADULT / "params.yaml").read_text().replace("candidate: fair", "candidate: plain")
    (clone / "params.yaml").write_text(params.replace("samples: 500", "samples: 100"))
    shutil.copy(ADULT / "policy.yaml", clone / PACK)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "own data")
    folder = state.home / "adult"
    land = [sys.executable, str(ADULT / "land.py"), str(folder)]
    landed = Path(subprocess.run(land, capture_output=True, text=True, check=True).stdout.strip())
    head, *people = landed.read_text().splitlines(keepends=True)
    landed.write_text("".join([head, *people[::EVERY]]))
    registry = MemoryRegistry("adult-income", state.home / "registry")
    run = Run("train-1", git(clone, "rev-parse", "HEAD"))
    context = wiring.context(Layout(clone), state)
    return replace(context, registry=lambda _: registry, run=run)


@pytest.mark.timeout(900)
def test_two_files_and_a_pack_bring_another_data_set_to_a_decision(
    scratch: Path, state: State
) -> None:
    """Every check judges it, the gate goes by the pack, and reasons are in the contract's words."""
    context = brought_up(scratch, state)
    for step in ("ingest", *(each.name for each in flow.FILE_STEPS)):
        run_step.run(step, context)
    verdict = read_json(context.layout.verdict, Verdict)
    assert set(checks.names()) == set(verdict.outcomes)
    assert "error" not in verdict.outcomes.values()
    assert ("fail", True) == (verdict.outcomes["bias"], verdict.passed)  # it is watched, and said

    (scratch / "dvc.lock").write_text(LOCK)  # the steps ran here, not through DVC
    version = run_step.run("register", context)
    promote.run(context, version=version.version, person="Ada", reason="the study begins")
    registry = context.registry(version.model_name)
    model = load.fetch(registry, version, DecideParams())
    answer = decide(Standing(model), json.dumps(PERSON).encode(), "request-1", Holdout(0.0))
    assert ("decline", "plan") == (answer.outcome, model.name.scorer)
    known = {column.words for column in model.contract.columns}
    assert answer.reasons
    assert {reason.words for reason in answer.reasons} <= known
