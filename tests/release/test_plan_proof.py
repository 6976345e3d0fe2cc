"""Registration proves the plan that will decide, and says where there is none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pipelines.decisions import load
from pipelines.errors import IntegrityBroken
from pipelines.layout import Layout, Model
from pipelines.params import DecideParams
from pipelines.ports import Tag
from pipelines.records import Candidate, Check, PlanProof
from pipelines.release import plan_proof, register, shown
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json
from tests.release.versions import Bench


def test_a_candidates_plan_is_proven_on_its_whole_split(checkout: Layout) -> None:
    """Every row of train and test is compared, and the proof names the model's digest."""
    found = plan_proof.prove(checkout)
    candidate = read_json(Model(checkout.candidate).record, Candidate)
    assert (True, 1600, candidate.model_sha256) == (found.proven, found.rows, found.model_sha256)
    assert found.edge_cases > 40


def test_tags_say_how_a_version_scores() -> None:
    """By its plan, named by digest; or by scikit-learn, and why."""
    proof = PlanProof(
        model_sha256="m", plan_sha256="p", rows=9, edge_cases=9, differing=0, proven=True
    )
    assert {Tag.SCORER: "plan", Tag.PLAN: "p"} == plan_proof.tags(proof)
    differs = msgspec.structs.replace(proof, proven=False, differing=1, because="1 row differs")
    assert "scikit-learn: 1 row differs" == plan_proof.tags(differs)[Tag.SCORER]
    none = msgspec.structs.replace(differs, plan_sha256=None)
    assert "none" == plan_proof.tags(none)[Tag.PLAN]


def test_a_registered_version_decides(quick: Bench, tmp_path: Path) -> None:
    """Its folder carries proof and reference, and it is loaded by content with its plan."""
    record = quick.registered()
    files = fetched(quick.registry, record, tmp_path / "version")
    assert read_json(files.plan_proof, PlanProof).proven
    found = load.fetch(quick.registry, record, DecideParams())
    assert ("plan", record.candidate_id) == (found.name.scorer, found.name.candidate_id)


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_a_candidate_with_another_reference_is_not_registered(quick: Bench, change: str) -> None:
    """The reference is bound to the candidate by digest."""
    quick.judged()
    path = Model(quick.layout.candidate).reference
    path.write_bytes(path.read_bytes() + b" ")
    if change == "gone":
        path.unlink()
    with pytest.raises(IntegrityBroken):
        register.run(quick.context)
    assert [] == list(quick.registry.versions())


def test_a_versions_folder_names_the_proof_apart(tmp_path: Path) -> None:
    """The proof is a file of a version, for it is made when the version is."""
    assert "plan.json" == VersionFiles(tmp_path).plan_proof.name


def test_the_figures_of_checks_are_the_versions_own(tmp_path: Path) -> None:
    """Single numbers of a check's evidence are shown with the version; lists and names are not."""
    evidence = {"share": 0.98, "people": 81, "named": {"debt": 3}, "champion_id": "c", "ok": True}
    Check(
        name="faithfulness",
        outcome="pass",
        observed="",
        expected="",
        candidate_id="c",
        split_id="s",
        policy_sha256="p",
        evidence=evidence,
    ).write(tmp_path / "faithfulness.json")
    expected = {"check.faithfulness.share": 0.98, "check.faithfulness.people": 81.0}
    (tmp_path / "faithfulness.evidently.json").write_text('{"metrics": [], "tests": []}')
    assert expected == shown.check_figures(tmp_path, ["faithfulness"])
