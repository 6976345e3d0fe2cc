"""The files that every registered version carries, and their one digest."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipelines.canonical import canonical_json, sha256_bytes, sha256_file, sha256_tree
from pipelines.data import files as data_files
from pipelines.documentation import Documentation
from pipelines.errors import IntegrityBroken
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout, Model
from pipelines.params import Params, Recipe, Schedules
from pipelines.ports import Registry
from pipelines.records import Candidate, ModelVersion, PlanProof, Record, Verdict
from pipelines.release.policy import Policy
from pipelines.typed import plain, read_json
from pipelines.watch_params import WatchParams


class Declared(Record, frozen=True):
    """What `params.yaml` said of a version when it was made: recipe, watch, people's own words."""

    recipe: Recipe
    watch: WatchParams
    schedules: Schedules
    documentation: Documentation


@dataclass(frozen=True, slots=True)
class VersionFiles(Model):
    """A version's folder: a candidate's files, and what they came from and were judged by."""

    @property
    def profile(self) -> Path:
        return self.folder / "profile.json"

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshot.json"

    @property
    def split(self) -> Path:
        return self.folder / "split.json"

    @property
    def contract(self) -> Path:
        return self.folder / "contract.json"

    @property
    def verdict(self) -> Path:
        return self.folder / "verdict.json"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.json"

    @property
    def plan_proof(self) -> Path:
        return self.folder / "plan.json"

    @property
    def lock(self) -> Path:
        return self.folder / "model.lock"

    @property
    def baseline(self) -> Path:
        return self.folder / "baseline.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def energy(self) -> Path:
        return self.folder / "energy.json"

    @property
    def declared(self) -> Path:
        return self.folder / "declared.json"

    @property
    def modification(self) -> Path:
        return self.folder / "modification.json"

    def check(self, name: str) -> Path:
        return self.folder / "checks" / f"{name}.json"

    @property
    def documents(self) -> Path:
        return self.folder / "documents"


def collect(
    layout: Layout, params: Params, policy: Policy, proof: PlanProof, into: Path
) -> VersionFiles:
    """Copy the files of a checkout's candidate into a new folder and return them.

    Raises NotThere when one is missing. Only a model without a plan has no reference; what its
    training cost may not have been measured.
    """
    from pipelines.release import baseline

    to, candidate = VersionFiles(into), Model(layout.candidate)
    judged = read_json(layout.verdict, Verdict).checks
    into.mkdir(parents=True)
    for source, target in (
        (candidate.record, to.record),
        (candidate.model, to.model),
        (candidate.environment, to.environment),
        (candidate.training, to.training),
        (data_files.profile(layout), to.profile),
        (layout.snapshot_record, to.snapshot),
        (layout.split_record, to.split),
        (layout.snapshot_contract, to.contract),
        (layout.verdict, to.verdict),
        (layout.model_lock, to.lock),
        (EvaluationFiles(layout.evaluation).metrics, to.metrics),
        *((layout.checks / f"{name}.json", to.check(name)) for name in judged),
    ):
        sha256_file(source)  # raises NotThere with the name of what is missing
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
    if read_json(candidate.record, Candidate).reference_sha256 is not None:
        sha256_file(candidate.reference)
        shutil.copyfile(candidate.reference, to.reference)
    if layout.training_energy.is_file():
        shutil.copyfile(layout.training_energy, to.energy)
    proof.write(to.plan_proof)
    baseline.make(layout).write(to.baseline)
    to.policy.write_bytes(canonical_json(plain(policy)) + b"\n")
    Declared(
        recipe=params.recipe,
        watch=params.watch,
        schedules=params.schedules,
        documentation=params.documentation,
    ).write(to.declared)
    return to


def fetched(registry: Registry, record: ModelVersion, into: Path) -> VersionFiles:
    """Copy a version's files from the registry into `into` and check every digest.

    Raises IntegrityBroken when a file is not what the version's record says.
    """
    registry.fetch(record.version, into)
    return checked(record, into)


def checked(record: ModelVersion, folder: Path) -> VersionFiles:
    """Return a version's files once every digest is checked. Raises IntegrityBroken."""
    found = VersionFiles(folder)
    where = f"{record.model_name} version {record.version}"
    _same(where, "the files", sha256_tree(folder), record.files_sha256)
    # Ids are over the bytes as they were written: a record that gained a field since keeps its id.
    _same(where, "the candidate", record_id(found.record), record.candidate_id)
    candidate = read_json(found.record, Candidate)
    _same(where, "the candidate's model", candidate.model_sha256, record.model_sha256)
    _same(where, "the model file", sha256_file(found.model), record.model_sha256)
    _same(where, "the verdict", record_id(found.verdict), record.verdict_id)
    verdict = read_json(found.verdict, Verdict)
    _same(where, "the policy pack", record_id(found.policy), verdict.policy_sha256)
    return found


def record_id(path: Path) -> str:
    """Return the content id of a record from its file."""
    return sha256_bytes(path.read_bytes().rstrip(b"\n"))


def _same(where: str, what: str, observed: str, expected: str) -> None:
    if observed != expected:
        raise IntegrityBroken(
            f"{what} of a registered version is not what its record says",
            where=where,
            observed=observed,
            expected=expected,
            hint="keep everything as it is; restore MLflow's artifacts from their backup",
        )
