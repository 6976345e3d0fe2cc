"""Facts of a model: what it is, how it was made, where it decides, in which environment."""

from __future__ import annotations

import json
import math
from typing import Any

from pipelines.canonical import sha256_file
from pipelines.model.energy import Energy
from pipelines.params import Recipe
from pipelines.records import Candidate, Environment, PlanProof, Reference
from pipelines.release.documents.fact import Fact, Known, Row, Source, Table, listed, told, under
from pipelines.release.version_files import Declared, VersionFiles, record_id
from pipelines.typed import read_json


def of_model(files: VersionFiles) -> Known:
    """Return the facts of a version's model."""
    candidate = read_json(files.record, Candidate)
    return {
        **under("model", _candidate(candidate, Source("candidate", record_id(files.record)))),
        **under("model", _recipe(files)),
        **under("training", _training(files)),
        **under("reference", _reference(files)),
        **under("plan", _plan(files)),
        **under("environment", _environment(files)),
    }


def _candidate(found: Candidate, source: Source) -> Known:
    threshold, band = float.fromhex(found.threshold), float.fromhex(found.refer_band)
    refers = f"a person decides within {band / 2:g} log-odds of it" if band else "no band around it"
    facts = told(
        source,
        candidate=source.id,
        recipe=found.recipe,
        estimator=found.estimator.replace("_", " "),
        features=listed(found.features),
        inputs=f"{len(found.features)} inputs",
        operating_point=f"favourable from a margin of {threshold:.6g} log-odds on "
        f"(a score of {_probability(threshold):.3f})",
        referred=refers,
        output="a margin in log-odds; the score is its probability; the outcome follows from the "
        "operating point alone",
    )
    facts["file"] = Fact(f"SHA-256 {found.model_sha256}", Source("model", found.model_sha256))
    return facts


def _probability(margin: float) -> float:
    return 1.0 / (1.0 + math.exp(-margin))


def _recipe(files: VersionFiles) -> Known:
    """Return what the recipe asked for; nothing where the version does not carry it."""
    if not files.declared.is_file():
        return {}
    recipe: Recipe = read_json(files.declared, Declared).recipe
    source = Source("recipe", recipe.sha256)
    settings = (f"{name} {value}" for name, value in recipe.hyperparameters.items())
    protected = "are inputs" if recipe.protected_as_features else "are no inputs"
    return told(
        source,
        hyperparameters=listed(settings),
        approval_rate=f"{recipe.approval_rate:.0%} of the training part, scored out of fold",
        seed=recipe.seed,
        protected=f"protected columns {protected}",
        excluded=listed(recipe.exclude) or "no other column is left out",
        mitigation=_mitigation(recipe),
    )


def _mitigation(recipe: Recipe) -> str:
    asked = recipe.mitigation
    if asked is None:
        return "none"
    return (
        f"{asked.method.replace('_', ' ')} under {asked.constraint.replace('_', ' ')} for the "
        f"attribute {asked.attribute}; lowest ratio asked for {asked.target_ratio:g}, out of fold"
    )


def _training(files: VersionFiles) -> Known:
    found: Any = json.loads(files.training.read_bytes())
    source = Source("training", sha256_file(files.training))
    auc = found.get("roc_auc_out_of_fold")
    mitigation = found.get("mitigation") or {}
    return told(
        source,
        rows=found.get("rows"),
        roc_auc=None if auc is None else f"{auc:.3f}",
        trade_off=mitigation.get("says"),
        against=listed(found.get("against_monotone") or ()) or None,
    ) | _energy(files)


def _energy(files: VersionFiles) -> Known:
    """Return what the training cost, where it was recorded."""
    if not files.energy.is_file():
        return {}
    cost = read_json(files.energy, Energy)
    said = f"{cost.kwh * 1000:.3g} Wh, {cost.method}; {cost.cpu_seconds:.3g} s of CPU time"
    return told(Source("energy", record_id(files.energy)), energy=said)


def _reference(files: VersionFiles) -> Known:
    if not files.reference.is_file():
        return {}
    found = read_json(files.reference, Reference)
    whom = {
        "above_cutoff": "applicants of the training part at or just above the operating point",
        "all": "applicants of the training part, evenly spaced by margin",
    }.get(found.population, found.population)
    source = Source("reference", sha256_file(files.reference))
    return told(source, population=f"{found.size} {whom}")


def _plan(files: VersionFiles) -> Known:
    if not files.plan_proof.is_file():
        return {}
    found = read_json(files.plan_proof, PlanProof)
    said = (
        f"the compiled plan decides: it gave the pipeline's bits on {found.rows} rows and "
        f"{found.edge_cases} edge cases"
        if found.proven
        else f"scikit-learn decides: {found.because}"
    )
    return told(Source("plan proof", record_id(files.plan_proof)), proof=said)


def _environment(files: VersionFiles) -> Known:
    found = read_json(files.environment, Environment)
    source = Source("environment", record_id(files.environment))
    packages = tuple(
        Row((name, version), source) for name, version in sorted(found.packages.items())
    )
    threads = (f"{name}={value}" for name, value in sorted(found.threads.items()))
    facts = told(
        source,
        python=found.python,
        system=listed(each for each in (found.system, found.machine, found.libc) if each),
        blas=listed(found.blas),
        cpu=listed(found.cpu_features),
        threads=listed(threads),
        lock=f"hash-pinned lock, SHA-256 {found.lock_sha256}",
    )
    if packages:
        facts["packages"] = Table("Packages", ("package", "version"), packages)
    return facts
