"""Score the stored test part; discrimination, calibration, groups, intervals.

`scores.parquet` has one line a row of the test part, in its order: `_row` (int64), `margin` and
`probability` (float64), `favourable` and `target` (int64, 0 or 1) and, per protected attribute, a
text column ``group:<attribute>``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines import params as parameters
from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data.groups import groups
from pipelines.errors import IntegrityBroken
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Model
from pipelines.model import evaluation_plots, group_metrics, metrics, parts, score, store
from pipelines.params import EvaluateParams
from pipelines.ports import Context
from pipelines.records import Candidate, Evaluation, Json, Split
from pipelines.typed import read_json

ROW = "_row"
EVERYBODY = "everybody"


def scores(
    candidate: Candidate, margin: NDArray[np.float64], frame: pd.DataFrame, contract: Contract
) -> pd.DataFrame:
    """Return the table of `scores.parquet`."""
    threshold = float.fromhex(candidate.threshold)
    table = {
        ROW: frame[ROW].to_numpy(dtype=np.int64),
        "margin": margin,
        "probability": score.probabilities(margin),
        "favourable": (margin >= threshold).astype(np.int64),
        "target": parts.favourable(frame, contract),
    }
    named = groups(frame, contract)
    by_group = {
        f"{group_metrics.GROUP_COLUMN}{name}": named[name].to_numpy()
        for name in contract.attributes
    }
    return pd.DataFrame(table | by_group)


def measure(table: pd.DataFrame, settings: EvaluateParams) -> dict[str, Json]:
    """Return everything `metrics.json` says of a table of scores.

    Numbers that are undefined are null, never 0. The same table and settings give the same text.
    """
    rng = np.random.default_rng(settings.seed)
    everybody = np.full(len(table), EVERYBODY)
    named = {
        attribute: table[column].to_numpy(dtype=str)
        for attribute, column in group_metrics.group_columns(table).items()
    }
    overall: Any = _by_group(table, everybody, settings, rng)["groups"]
    curve: list[Json] = [
        dict(each)
        for each in metrics.calibration_curve(_floats(table), table["target"].to_numpy(np.int64))
    ]
    return {
        "rows": len(table),
        "confidence": settings.confidence,
        "bootstrap_samples": settings.bootstrap_samples,
        "min_group_size": settings.min_group_size,
        "overall": overall[EVERYBODY],
        "calibration": curve,
        "attributes": {name: _by_group(table, each, settings, rng) for name, each in named.items()},
        "intersections": {
            name: _by_group(table, each, settings, rng)
            for name, each in group_metrics.intersections(named).items()
        },
    }


def _by_group(
    table: pd.DataFrame,
    named: NDArray[np.str_],
    settings: EvaluateParams,
    rng: np.random.Generator,
) -> dict[str, Json]:
    """Return the measures of every group of one attribute or intersection, and the reference."""
    target = table["target"].to_numpy(np.int64)
    counts = group_metrics.count(named, table["favourable"].to_numpy(np.int64), target)
    reference = counts.reference(settings.min_group_size)
    of_counts = _of_counts(counts.table, reference, settings, rng)
    found: dict[str, Json] = {}
    for at, name in enumerate(counts.names):
        inside = named == name
        of_scores = metrics.describe(
            _floats(table)[inside],
            target[inside],
            settings.bootstrap_samples,
            settings.confidence,
            rng,
        )
        found[name] = {
            "n": int(counts.sizes[at]),
            "small": bool(counts.sizes[at] < settings.min_group_size),
            "confusion": _confusion(counts.table[at]),
            "measures": {key: _plain(each) for key, each in (of_scores | of_counts[at]).items()},
        }
    return {"reference": None if reference is None else counts.names[reference], "groups": found}


def _of_counts(
    table: NDArray[np.int64],
    reference: int | None,
    settings: EvaluateParams,
    rng: np.random.Generator,
) -> list[dict[str, metrics.Estimate]]:
    """Return, per group, the measures that come from its counts."""
    points = group_metrics.measures(table, reference)
    drawn = group_metrics.bootstrap(table, settings.bootstrap_samples, rng)
    spread = group_metrics.measures(drawn, reference)
    limits = {key: group_metrics.interval(spread[key], settings.confidence) for key in points}
    return [
        {
            key: metrics.Estimate(
                float(points[key][at]), float(limits[key][0][at]), float(limits[key][1][at])
            )
            for key in points
        }
        for at in range(len(table))
    ]


def _floats(table: pd.DataFrame) -> NDArray[np.float64]:
    return table["margin"].to_numpy(np.float64)


def _confusion(cells: NDArray[np.int64]) -> Json:
    """Return the confusion matrix at the operating point; positive is favourable."""
    return {
        "true_negative": int(cells[0, 0]),
        "false_negative": int(cells[0, 1]),
        "false_positive": int(cells[1, 0]),
        "true_positive": int(cells[1, 1]),
    }


def _plain(estimate: metrics.Estimate) -> Json:
    return {
        "value": metrics.finite(estimate.value),
        "low": metrics.finite(estimate.low),
        "high": metrics.finite(estimate.high),
    }


def run(context: Context) -> Evaluation:
    """Evaluate the candidate on the test part; write scores, metrics, plots and the record."""
    layout = context.layout
    settings = parameters.read(layout.params).evaluate
    contract = read_json(layout.snapshot_contract, Contract)
    split = read_json(layout.split_record, Split)
    files, model_files = EvaluationFiles(layout.evaluation), Model(layout.candidate)
    candidate = read_json(model_files.record, Candidate)
    if candidate.split_id != split.id:
        raise IntegrityBroken(
            "the candidate was trained on another split",
            observed=candidate.split_id,
            expected=split.id,
            hint="dvc repro",
        )
    model = store.load(model_files.model, candidate.model_sha256)
    frame = parts.read(layout, split, "test")
    table = scores(candidate, score.margins(model, frame, candidate.margin), frame, contract)
    measured = measure(table, settings)
    files.folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(files.scores, index=False)
    text = json.dumps(measured, indent=1, allow_nan=False, ensure_ascii=False)
    files.metrics.write_text(text + "\n", encoding="utf-8")
    training = json.loads(model_files.training.read_text(encoding="utf-8"))
    evaluation_plots.write(layout.plots, table, measured, training)
    record = Evaluation(
        candidate_id=candidate.id,
        test_sha256=split.parts["test"].sha256,
        scores_sha256=sha256_file(files.scores),
        metrics_sha256=sha256_file(files.metrics),
    )
    record.write(files.record)
    return record
