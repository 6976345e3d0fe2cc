"""The figures of an evaluation, as tables: overall and by group, each with its interval."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.canonical import sha256_file
from pipelines.release.documents.fact import Known, Row, Source, Table, told

NAMES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "area under precision and recall",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
    "calibration_slope": "calibration slope",
    "selection_rate": "selection rate",
    "base_rate": "favourable target",
    "accuracy": "accuracy",
    "true_positive_rate": "true positive rate",
    "false_positive_rate": "false positive rate",
    "positive_predictive_value": "positive predictive value",
}
BY_GROUP = ("roc_auc", "selection_rate", "impact_ratio", "true_positive_rate", "accuracy")
UNDEFINED = "not defined"


def of_evaluation(path: Path) -> Known:
    """Return the facts of a `metrics.json`; none where the version has no such file."""
    if not path.is_file():
        return {}
    found: Any = json.loads(path.read_bytes())
    source = Source("metrics", sha256_file(path))
    share = found["confidence"]
    facts = told(
        source,
        rows=found["rows"],
        confidence=f"{share:.0%} intervals, from {found['bootstrap_samples']} bootstrap samples",
        small=small_groups(found),
        intersections=listed_intersections(found),
    )
    caption = f"Figures on the test part, with {share:.0%} interval"
    overall = found["overall"]["measures"]
    rows = [Row((NAMES[name], figure(overall.get(name))), source) for name in NAMES]
    facts["overall"] = Table(caption, ("measure", "estimate (interval)"), tuple(rows))
    facts["groups"] = Table(
        f"{caption}, by protected group",
        ("group", "people", *(NAMES.get(name, "ratio to the reference") for name in BY_GROUP)),
        tuple(_group_rows(found, source)),
    )
    return facts


def figure(measure: Mapping[str, float | None] | None) -> str:
    """Return an estimate with its interval, to three digits."""
    if measure is None or measure["value"] is None:
        return UNDEFINED
    low, high = measure.get("low"), measure.get("high")
    if low is None or high is None:
        return f"{measure['value']:.3f}"
    return f"{measure['value']:.3f} ({low:.3f} to {high:.3f})"


def _group_rows(found: Any, source: Source) -> Iterator[Row]:  # noqa: ANN401 - JSON
    for attribute, of in found["attributes"].items():
        for name, group in of["groups"].items():
            title = f"{attribute}: {name}"
            if name == of["reference"]:
                title += " (reference)"
            few = f"fewer than {found['min_group_size']} people"
            shown = (
                [few] * len(BY_GROUP)
                if group["small"]
                else [figure(group["measures"].get(measure)) for measure in BY_GROUP]
            )
            yield Row((title, str(group["n"]), *shown), source)


def small_groups(found: Any) -> str:  # noqa: ANN401 - JSON
    """Name the groups that are too small to be judged."""
    names = [
        f"{attribute}: {name}"
        for attribute, of in found["attributes"].items()
        for name, group in of["groups"].items()
        if group["small"]
    ]
    said = f"fewer than {found['min_group_size']} people in the test part"
    return f"{said}: {', '.join(names)}" if names else f"no group has {said}"


def listed_intersections(found: Any) -> str:  # noqa: ANN401 - JSON
    """Say how many intersections of two attributes were measured, and how many are too small."""
    groups = [g for of in found["intersections"].values() for g in of["groups"].values()]
    small = sum(bool(each["small"]) for each in groups)
    return f"{len(groups)} groups of two attributes measured, {small} of them too small to judge"
