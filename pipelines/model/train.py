"""Fit the candidate in its own locked environment.

Everything that is chosen (multipliers of a mitigation, scale, operating point) is chosen out of
fold inside the training part; the test part is not read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from pipelines import params as parameters
from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data.groups import groups
from pipelines.layout import Model
from pipelines.model import (
    energy,
    environment,
    estimators,
    mitigation,
    operating_point,
    out_of_fold,
    parts,
    reference,
    store,
    training_report,
)
from pipelines.model.mitigation import Fit, Multipliers
from pipelines.model.out_of_fold import Rows
from pipelines.params import Recipe
from pipelines.ports import Context
from pipelines.records import Candidate, Json, Split
from pipelines.typed import read_json

MIN_GROUP_SIZE = 30


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted model, its operating point as a margin, and how it came about."""

    model: Pipeline
    features: tuple[str, ...]
    threshold: float
    report: dict[str, Json]


def train(recipe: Recipe, contract: Contract, frame: pd.DataFrame) -> Trained:
    """Fit a recipe on the training part. Raises BadRequest or DataRefused."""
    columns = estimators.inputs(contract, recipe)
    rows, named, multipliers = _rows(recipe, contract, frame)
    margins = out_of_fold.margins(recipe, columns, rows, multipliers)
    found = [
        _fit(each, margin, rows, named, recipe)
        for each, margin in zip(multipliers, margins, strict=True)
    ]
    chosen, reached = _choose(recipe, found)
    fitted, (final,) = out_of_fold.fit(recipe, columns, rows, [multipliers[chosen]])
    line, _ = operating_point.logistic_line(margins[chosen], rows.favourable)
    intercept, slope = (float(value) for value in line) if _usable(line) else (0.0, 1.0)
    operating_point.rescale(final, estimators.margin_kind(recipe), intercept, slope)
    scaled = intercept + slope * margins[chosen]
    threshold = operating_point.threshold(scaled, recipe.approval_rate)
    report: dict[str, Json] = {
        "rows": len(frame),
        "favourable_share": float(rows.favourable.mean()),
        "approval_rate": recipe.approval_rate,
        "approval_rate_out_of_fold": float((scaled >= threshold).mean()),
        "rescaled": {"intercept": intercept, "slope": slope},
        "roc_auc_out_of_fold": found[chosen].roc_auc,
        "against_monotone": training_report.against_monotone(recipe, columns, final),
        "mitigation": training_report.mitigation_told(recipe, reached),
        "chosen": chosen,
        "fits": [training_report.plain_fit(each) for each in found],
    }
    names = tuple(column.name for column in columns)
    return Trained(estimators.assemble(fitted, final), names, threshold, report)


def _rows(
    recipe: Recipe, contract: Contract, frame: pd.DataFrame
) -> tuple[Rows, dict[str, NDArray[np.str_]], tuple[Multipliers, ...]]:
    """Return the training rows, the groups that fits are judged by, and the multipliers to try."""
    favourable = parts.favourable(frame, contract)
    by_attribute = groups(frame, contract)
    named = {name: by_attribute[name].to_numpy(dtype=str) for name in contract.attributes}
    people = frame[contract.subject.name].to_numpy(dtype=object)
    settings = recipe.mitigation
    if settings is None:
        alike = np.full(len(frame), "", dtype=str)
        return Rows(frame, favourable, people, alike), named, ({},)
    mitigation.check_attribute(settings, tuple(named))
    of_attribute = named[settings.attribute]
    found = mitigation.pressure(of_attribute, favourable, settings.min_group_size)
    multipliers = mitigation.path(found.directions, settings.grid_size, settings.grid_limit)
    rows = Rows(frame, favourable, people, found.groups)
    return rows, {settings.attribute: of_attribute}, multipliers


def _fit(
    multipliers: Multipliers,
    margins: NDArray[np.float64],
    rows: Rows,
    named: dict[str, NDArray[np.str_]],
    recipe: Recipe,
) -> Fit:
    """Judge one vector of multipliers out of fold; ratios are named ``attribute: group``."""
    size = recipe.mitigation.min_group_size if recipe.mitigation else MIN_GROUP_SIZE
    found = {
        f"{attribute}: {group}": ratio
        for attribute, each in named.items()
        for group, ratio in mitigation.ratios(margins, each, recipe.approval_rate, size).items()
    }
    return Fit(multipliers, float(roc_auc_score(rows.favourable, margins)), found)


def _choose(recipe: Recipe, found: Sequence[Fit]) -> tuple[int, bool]:
    if recipe.mitigation is None:
        return 0, True
    return mitigation.choose(found, recipe.mitigation.target_ratio)


def _usable(line: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(line).all() and line[1] > 0)


def run(context: Context) -> Candidate:
    """Train the candidate that params.yaml names.

    Writes model, record, environment, report, and the reference that reasons compare with (none
    for a model without a plan: such a model has no reasons, and its gate check says so). What it
    cost stands apart from them, for it differs each time.
    """
    layout = context.layout
    settings = parameters.read(layout.params)
    meter = energy.Meter(settings.energy.watts)
    contract = read_json(layout.snapshot_contract, Contract)
    split = read_json(layout.split_record, Split)
    frame = parts.read(layout, split, "train")
    trained = train(settings.recipe, contract, frame)
    files = Model(layout.candidate)
    model_sha256 = store.save(trained.model, files.model)
    described = environment.describe(layout.model_lock)
    described.write(files.environment)
    text = json.dumps(trained.report, indent=1, allow_nan=False, ensure_ascii=False)
    files.training.write_text(text + "\n", encoding="utf-8")
    kind = estimators.margin_kind(settings.recipe)
    compared = reference.make(
        trained.model, kind, frame, trained.threshold, settings.decide.reference
    )
    files.reference.unlink(missing_ok=True)
    if compared:
        compared.write(files.reference)
    candidate = Candidate(
        recipe=settings.candidate,
        estimator=settings.recipe.estimator,
        model_sha256=model_sha256,
        split_id=split.id,
        snapshot_id=split.snapshot_id,
        params_sha256=settings.recipe.sha256,
        environment_id=described.id,
        features=trained.features,
        threshold=trained.threshold.hex(),
        margin=kind,
        refer_band=settings.decide.refer_band.hex(),
        reference_sha256=sha256_file(files.reference) if compared else None,
    )
    candidate.write(files.record)
    meter.read().write(layout.training_energy)
    return candidate
