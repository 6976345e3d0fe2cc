"""A model version as it decides: loaded by content, immutable, and swapped as a whole.

Whoever serves holds one `Standing` and replaces it by another; a request takes it once.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipelines.canonical import sha256_bytes, sha256_file
from pipelines.contract import Contract
from pipelines.decisions.admit import Admission, compile_admission
from pipelines.decisions.reasons import Reasons, reasons
from pipelines.decisions.records import ModelName, Scorer, Stop
from pipelines.errors import GateRefused, IntegrityBroken
from pipelines.model.contributions import Explainer
from pipelines.model.plan import Plan, Row
from pipelines.params import DecideParams
from pipelines.ports import Registry
from pipelines.records import Candidate, ModelVersion, PlanProof, Reference
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """One version, ready to decide: a snapshot that nothing changes.

    A margin below `decline_below` is declined, one from `approve_from` on approved; between the
    two, which are equal without a refer band, a person decides.
    """

    name: ModelName
    record: ModelVersion
    candidate: Candidate
    contract: Contract
    contract_sha256: str
    model: Pipeline | None
    plan: Plan
    admission: Admission
    reasons: Reasons
    threshold: float
    decline_below: float
    approve_from: float

    def margin(self, row: Row) -> float:
        """Return one row's margin in log-odds, by the plan where it is proven."""
        if self.name.scorer == "plan" or self.model is None:
            return self.plan.margin(row)
        import pandas as pd

        from pipelines.model import score

        frame = pd.DataFrame({name: [row[name]] for name in self.candidate.features}, dtype=object)
        return float(score.margins(self.model, frame, self.candidate.margin)[0])


class Standing(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Who decides at one moment: taken once for each request, so no request mixes two."""

    champion: LoadedModel
    challenger: LoadedModel | None = None
    stop: Stop | None = None


def load(files: VersionFiles, record: ModelVersion, settings: DecideParams) -> LoadedModel:
    """Load a version out of a folder of its files.

    Every file that is used is checked against the digest in the records before it is parsed.
    Raises IntegrityBroken, NotThere, or GateRefused for a version that cannot give reasons.
    """
    from pipelines.model import store
    from pipelines.model.plan_compiler import compile_plan

    model = store.load(files.model, record.model_sha256)
    return assemble(files, record, settings, compile_plan(model), model)


def assemble(
    files: VersionFiles,
    record: ModelVersion,
    settings: DecideParams,
    plan: Plan,
    model: Pipeline | None,
) -> LoadedModel:
    """Make a version of its files and its plan; without its `model` only a proven plan may score.

    Raises as `load` does.
    """
    candidate = read_json(files.record, Candidate)
    # By its bytes: a record that gained a field since it was written keeps its id.
    written = sha256_bytes(files.record.read_bytes().rstrip(b"\n"))
    _same("the candidate", written, record.candidate_id)
    _same("the model", candidate.model_sha256, record.model_sha256)
    contract = read_json(files.contract, Contract)
    explainer = Explainer(plan, _reference(files, candidate), candidate.features)
    scorer: Scorer = "plan" if _proven(files, candidate, plan) else "scikit-learn"
    if model is None and scorer != "plan":
        raise IntegrityBroken(
            "a plan that is not the proven one may not score", where=record.version
        )
    threshold = float.fromhex(candidate.threshold)
    half = float.fromhex(candidate.refer_band) / 2.0
    return LoadedModel(
        name=ModelName(
            model_name=record.model_name,
            version=record.version,
            candidate_id=candidate.id,
            model_sha256=candidate.model_sha256,
            scorer=scorer,
        ),
        record=record,
        candidate=candidate,
        contract=contract,
        contract_sha256=contract.sha256,
        model=model,
        plan=plan,
        admission=compile_admission(contract, candidate.features, plan.texts, settings.max_bytes),
        reasons=reasons(explainer, contract, settings.max_reasons),
        threshold=threshold,
        decline_below=threshold - half,
        approve_from=threshold + half,
    )


def fetch(registry: Registry, record: ModelVersion, settings: DecideParams) -> LoadedModel:
    """Load a registered version; its files are checked against its record first."""
    with tempfile.TemporaryDirectory(prefix="clew-model-") as folder:
        return load(fetched(registry, record, Path(folder) / "version"), record, settings)


def _reference(files: VersionFiles, candidate: Candidate) -> Reference:
    if candidate.reference_sha256 is None:
        raise GateRefused(
            "a version without a reference gives no reasons, so it may not decide",
            where=files.reference.name,
            hint="clew retrain",
        )
    _same("the reference", sha256_file(files.reference), candidate.reference_sha256)
    return read_json(files.reference, Reference)


def _proven(files: VersionFiles, candidate: Candidate, plan: Plan) -> bool:
    """Say whether the version carries the proof of this very plan; else scikit-learn scores."""
    if not files.plan_proof.is_file():
        return False
    proof = read_json(files.plan_proof, PlanProof)
    bound = (proof.model_sha256, proof.plan_sha256) == (candidate.model_sha256, plan.sha256)
    return bound and proof.proven


def _same(what: str, observed: str, expected: str) -> None:
    if observed != expected:
        raise IntegrityBroken(
            f"{what} of a version is not what its record says", observed=observed, expected=expected
        )
