"""What of a retrain is compared with the champion, and whether it stays inside the envelope."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.contract import Contract
from pipelines.params import Recipe
from pipelines.records import Candidate, Record
from pipelines.release.policy import Envelope
from pipelines.release.version_files import Declared, VersionFiles
from pipelines.typed import plain, read_json

UNKNOWN, UNSET = "not on record", "not set"
Scalar = int | float | str | bool | None


class Line(Record, frozen=True):
    """One thing compared: as it was, as it is, what the envelope allows, and whether it holds."""

    name: str
    former: str
    now: str
    allowed: str
    inside: bool


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared of one model; None where its files do not say."""

    candidate: Candidate
    contract: Contract
    recipe: Recipe | None
    roc_auc: float | None
    ratio: float | None


def side(files: VersionFiles) -> Side:
    """Read what is compared of a model from its files."""
    found: Any = json.loads(files.metrics.read_bytes()) if files.metrics.is_file() else None
    return Side(
        candidate=read_json(files.record, Candidate),
        contract=read_json(files.contract, Contract),
        recipe=read_json(files.declared, Declared).recipe if files.declared.is_file() else None,
        roc_auc=found["overall"]["measures"]["roc_auc"]["value"] if found else None,
        ratio=lowest_ratio(found) if found else None,
    )


def lowest_ratio(metrics: Mapping[str, Any]) -> float | None:
    """Return the lowest selection-rate ratio of a group that is large enough; None without one."""
    ratios = [
        measure["value"]
        for attribute in metrics["attributes"].values()
        for group in attribute["groups"].values()
        if not group["small"] and (measure := group["measures"].get("impact_ratio"))
    ]
    known = [each for each in ratios if each is not None]
    return min(known) if known and len(known) == len(ratios) else None


def compare(former: Side, now: Side, envelope: Envelope) -> tuple[Line, ...]:
    """Return every line of the comparison."""
    return (
        _estimator(former, now, envelope),
        _inputs(former, now, envelope),
        *_settings(former.recipe, now.recipe, envelope),
        _contract(former, now, envelope),
        _performance(former, now, envelope),
        _bias(former, now, envelope),
        *_operating_point(former, now, envelope),
    )


def _estimator(former: Side, now: Side, envelope: Envelope) -> Line:
    pair = (former.candidate.estimator, now.candidate.estimator)
    inside = envelope.estimator == "any" or pair[0] == pair[1]
    return Line(
        name="estimator", former=pair[0], now=pair[1], allowed=envelope.estimator, inside=inside
    )


def _inputs(former: Side, now: Side, envelope: Envelope) -> Line:
    before, after = set(former.candidate.features), set(now.candidate.features)
    new, gone = ", ".join(sorted(after - before)), ", ".join(sorted(before - after))
    inside = {"any": True, "fewer": not new, "same": not new and not gone}[envelope.inputs]
    said = "; ".join(filter(None, (new and f"new: {new}", gone and f"gone: {gone}")))
    return Line(
        name="inputs",
        former=f"{len(before)} inputs",
        now=f"{len(after)} inputs{said and f' ({said})'}",
        allowed={"fewer": "the same or fewer"}.get(envelope.inputs, envelope.inputs),
        inside=inside,
    )


def _settings(former: Recipe | None, now: Recipe | None, envelope: Envelope) -> Iterator[Line]:
    if former is None or now is None:
        said = ["on record" if each else UNKNOWN for each in (former, now)]
        yield Line(name="recipe", former=said[0], now=said[1], allowed="on record", inside=False)
        return
    before, after = _named(former), _named(now)
    for name in sorted({*before, *after}):
        pair = before.get(name, UNSET), after.get(name, UNSET)
        allowed = envelope.hyperparameters.get(name)
        number = isinstance(pair[1], (int, float)) and not isinstance(pair[1], bool)
        inside = pair[0] == pair[1]
        if allowed and number:
            inside = allowed[0] <= float(str(pair[1])) <= allowed[1]
        yield Line(
            name=name,
            former=str(pair[0]),
            now=str(pair[1]),
            allowed=f"{allowed[0]:g} to {allowed[1]:g}" if allowed else "the same",
            inside=inside,
        )


def _named(recipe: Recipe) -> dict[str, Scalar]:
    """Return a recipe's settings by name; its seed may be any."""
    mitigation = json.dumps(plain(recipe.mitigation), sort_keys=True)
    named: dict[str, Scalar] = {"approval_rate": recipe.approval_rate, "mitigation": mitigation}
    return recipe.hyperparameters | named


def _contract(former: Side, now: Side, envelope: Envelope) -> Line:
    before, after = former.contract, now.contract
    return Line(
        name="contract of the training data",
        former=f"{before.name} {before.version}, {before.sha256[:12]}",
        now=f"{after.name} {after.version}, {after.sha256[:12]}",
        allowed=envelope.contract,
        inside=envelope.contract == "any" or before.sha256 == after.sha256,
    )


def _performance(former: Side, now: Side, envelope: Envelope) -> Line:
    known = former.roc_auc is not None and now.roc_auc is not None
    return Line(
        name="ROC AUC",
        former=_number(former.roc_auc),
        now=_number(now.roc_auc),
        allowed=f"at most {envelope.max_loss:g} lower",
        inside=known and float(former.roc_auc or 0) - float(now.roc_auc or 0) <= envelope.max_loss,
    )


def _bias(former: Side, now: Side, envelope: Envelope) -> Line:
    return Line(
        name="lowest selection-rate ratio",
        former=_number(former.ratio),
        now=_number(now.ratio),
        allowed=f"at least {envelope.min_ratio:g}",
        inside=now.ratio is not None and now.ratio >= envelope.min_ratio,
    )


def _operating_point(former: Side, now: Side, envelope: Envelope) -> Iterator[Line]:
    for name, limit in (
        ("threshold", envelope.max_threshold_shift),
        ("refer_band", envelope.max_threshold_shift),
    ):
        before = float.fromhex(getattr(former.candidate, name))
        after = float.fromhex(getattr(now.candidate, name))
        yield Line(
            name="operating point" if name == "threshold" else "width of the refer band",
            former=f"{before:.6g} log-odds",
            now=f"{after:.6g} log-odds",
            allowed=f"moved by at most {limit:g}",
            inside=abs(after - before) <= limit,
        )


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4f}"
