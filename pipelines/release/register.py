"""The step `register`: register the candidate with everything it came from."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.canonical import sha256_file, sha256_tree
from pipelines.contract import Contract
from pipelines.errors import BadRequest, ClewError, GateRefused, IntegrityBroken
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout, Model
from pipelines.params import read as read_params
from pipelines.ports import Context, RegistryEntry, Run
from pipelines.records import (
    Candidate,
    Champion,
    Environment,
    Evaluation,
    ModelVersion,
    Snapshot,
    Split,
    Verdict,
)
from pipelines.release import gate, modification, plan_proof, shown
from pipelines.release import policy as packs
from pipelines.release.documents import write as documents
from pipelines.release.version_files import collect
from pipelines.typed import read_json

BOUND = (
    "candidate_id",
    "model_sha256",
    "test_sha256",
    "params_sha256",
    "policy",
    "policy_sha256",
    "champion_id",
    "checks",
    "outcomes",
    "passed",
)


def unbound(stored: Verdict, again: Verdict) -> ClewError | None:
    """Compare a stored verdict with one given again on the checkout as it stands.

    Returns the refusal that names the first thing the stored verdict is not bound to, or None.
    """
    for name in BOUND:
        observed, expected = getattr(stored, name), getattr(again, name)
        if observed != expected:
            return GateRefused(
                "the verdict is not about this candidate as it stands",
                where=name,
                observed=observed,
                expected=expected,
                hint="dvc repro gate",
            )
    return None


def refuse_broken_chain(layout: Layout, candidate: Candidate) -> None:
    """Raise IntegrityBroken when a file of the candidate is not what the records before it say."""
    split = read_json(layout.split_record, Split)
    snapshot = read_json(layout.snapshot_record, Snapshot)
    environment = read_json(Model(layout.candidate).environment, Environment)
    evaluation = read_json(EvaluationFiles(layout.evaluation).record, Evaluation)
    metrics = EvaluationFiles(layout.evaluation).metrics
    test = "test"
    for what, observed, expected in (
        ("the model file", sha256_file(Model(layout.candidate).model), candidate.model_sha256),
        ("the test part", sha256_file(layout.split_rows(test)), split.parts[test].sha256),
        ("the split", split.id, candidate.split_id),
        ("the snapshot", snapshot.id, candidate.snapshot_id),
        ("the split's snapshot", split.snapshot_id, snapshot.id),
        ("the rows", sha256_file(layout.snapshot_rows), snapshot.rows_sha256),
        ("the environment", environment.id, candidate.environment_id),
        ("the lock", sha256_file(layout.model_lock), environment.lock_sha256),
        ("the reference", _reference_sha256(layout), candidate.reference_sha256),
        ("the evaluation", evaluation.candidate_id, candidate.id),
        ("the metrics", sha256_file(metrics), evaluation.metrics_sha256),
    ):
        if observed != expected:
            raise IntegrityBroken(
                f"{what} of the candidate is not what its record says",
                observed=observed,
                expected=expected,
                hint="git status, then dvc repro gate",
            )


def _reference_sha256(layout: Layout) -> str | None:
    """Return the digest of the reference that reasons compare with; a model may have none."""
    path = Model(layout.candidate).reference
    return sha256_file(path) if path.is_file() else None


def entry(
    context: Context, run: Run, verdict: Verdict, candidate: Candidate, folder: Path
) -> RegistryEntry:
    """Return what is registered; files that are made for it are written into `folder`."""
    layout = context.layout
    params = read_params(layout.params)
    snapshot = read_json(layout.snapshot_record, Snapshot)
    contract = read_json(layout.snapshot_contract, Contract)
    proof = plan_proof.prove(layout)
    policy = packs.read(layout, params.policy)
    files = collect(layout, params, policy, proof, folder / "files")
    asked = read_json(layout.champion_record, Champion)
    modification.report(files, layout.champion, asked, policy).write(files.modification)
    documents.card(files, params.model_name)
    version = ModelVersion(
        model_name=params.model_name,
        version="",
        candidate_id=candidate.id,
        model_sha256=candidate.model_sha256,
        verdict_id=verdict.id,
        passed=verdict.passed,
        run_id=run.id,
        commit=run.commit,
        registry_run="",
        files_sha256=sha256_tree(files.folder),
    )
    data_md5 = shown.data_md5(layout)
    cost, cost_known_by = shown.training_cost(layout)
    return RegistryEntry(
        version=version,
        files=files.folder,
        tags=shown.tags(run, verdict, candidate, data_md5) | plan_proof.tags(proof),
        params=shown.flat_params(params) | cost_known_by,
        metrics=shown.flat_metrics(EvaluationFiles(layout.evaluation).metrics)
        | shown.check_figures(layout.checks, verdict.checks)
        | cost,
        folders=shown.folders(layout, folder / "shown") | shown.documents(files),
        dataset=shown.dataset(contract, snapshot, run, data_md5),
        inputs=shown.inputs(contract, candidate.features),
        example=shown.example(contract, candidate.features),
        description=shown.description(version, verdict, candidate),
    )


def run(context: Context) -> ModelVersion | None:
    """Register the candidate that the gate passed and return its version, once a run.

    A blocked candidate is logged without a version, so that people see why; None is returned.
    Raises GateRefused when the verdict is not bound to what the checkout holds.
    """
    if context.run is None:
        raise BadRequest("only a run's candidate is registered", hint="clew retrain")
    layout = context.layout
    candidate = read_json(Model(layout.candidate).record, Candidate)
    verdict = read_json(layout.verdict, Verdict)
    refuse_broken_chain(layout, candidate)
    refused = unbound(verdict, gate.verdict(gate.trial_of(context)))
    if refused:
        raise refused
    registry = context.registry(read_params(layout.params).model_name)
    with tempfile.TemporaryDirectory() as folder, registry.lock():
        found = entry(context, context.run, verdict, candidate, Path(folder))
        if verdict.passed and not verdict.blocked_by:
            return registry.register(found)
        registry.log_blocked(found)
        return None
