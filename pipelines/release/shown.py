"""What the registry shows of a candidate: tags, parameters, metrics, reports, words."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipelines import flow, markdown
from pipelines.contract import Column, Contract
from pipelines.errors import NotThere
from pipelines.layout import Layout
from pipelines.model.energy import Energy
from pipelines.params import Params
from pipelines.ports import Run, Tag, bound_tags
from pipelines.records import Candidate, Check, ModelVersion, Snapshot, Verdict
from pipelines.release.figures import draw
from pipelines.release.version_files import VersionFiles
from pipelines.typed import load_yaml, plain, read_json

SHOWN_REASONS = 20
# Rows of people stay under DVC, where erasure reaches them.
NOT_SHOWN = ("*.parquet",)
# Beside the reports, so that links between them lead somewhere.
DOCUMENTS = (Layout(Path()).checks.parent / "documents").as_posix()
METRIC_NAME = re.compile(r"[^A-Za-z0-9_\-. ]")


def tags(run: Run, verdict: Verdict, candidate: Candidate, data_md5: str) -> dict[str, str]:
    """Return the tags by which the registry's search finds a run or version."""
    found = {
        Tag.AIRFLOW_RUN: run.airflow_run_id,
        Tag.SNAPSHOT: candidate.snapshot_id,
        Tag.DATA_MD5: data_md5,
        Tag.RECIPE: candidate.recipe,
        Tag.ENVIRONMENT: candidate.environment_id,
        Tag.PARAMS: verdict.params_sha256,
        Tag.POLICY: verdict.policy,
        Tag.BLOCKED_BY: ", ".join(blocking(verdict)),
        Tag.ASKED: run.asked,
    }
    return {name.value: value for name, value in found.items() if value}


def blocking(verdict: Verdict) -> tuple[str, ...]:
    """Return the names of the checks that a blocked verdict's reasons name."""
    said = " ".join(verdict.blocked_by)
    return tuple(name for name in verdict.outcomes if re.search(rf"\b{re.escape(name)}\b", said))


def flat_params(params: Params) -> dict[str, str]:
    """Return the parameters that the verdict depends on, by dotted name."""
    kept = {
        "candidate": params.candidate,
        "policy": params.policy,
        "recipe": plain(params.recipe),
        "split": plain(params.split),
        "evaluate": plain(params.evaluate),
    }
    return {name: _text(value) for name, value in _leaves(kept, "")}


def flat_metrics(path: Path) -> dict[str, float]:
    """Return every finite number of a metrics file by dotted name, as the registry can take it.

    A character that the registry does not take in a name becomes its code point in hexadecimal,
    so that two groups never become one.
    """
    if not path.is_file():
        raise NotThere("no metrics to register", where=path.name, hint="dvc repro evaluate")
    found = _leaves(json.loads(path.read_text(encoding="utf-8")), "")
    return {
        METRIC_NAME.sub(lambda match: f"_x{ord(match[0]):x}", name): float(value)
        for name, value in found
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def check_figures(folder: Path, names: Iterable[str]) -> dict[str, float]:
    """Return the single figures of these checks' evidence, named ``check.<check>.<figure>``.

    They are the version's own figures, such as the share of people whose reasons hold.
    """
    found = {}
    for check in sorted(names):
        for name, value in read_json(folder / f"{check}.json", Check).evidence.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[f"check.{check}.{name}"] = float(value)
    return found


def training_cost(layout: Layout) -> tuple[dict[str, float], dict[str, str]]:
    """Return what the training cost as metrics, and as a parameter how its energy is known.

    Both are empty where nobody measured it.
    """
    if not layout.training_energy.is_file():
        return {}, {}
    found = read_json(layout.training_energy, Energy)
    metrics = {
        "training.cpu_seconds": found.cpu_seconds,
        "training.wall_seconds": found.wall_seconds,
        "training.kwh": found.kwh,
    }
    by = "" if found.watts is None else f", {found.watts:g} watts a busy core"
    return metrics, {"training.energy": f"{found.method}{by}"}


def _leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{name}.{_called(item, number)}")
    else:
        yield name, value


def _called(item: object, number: int) -> str:
    """Return what a list's item calls itself, else its number."""
    keys = ("attribute", "group", "name")
    found = [str(item[key]) for key in keys if key in item] if isinstance(item, dict) else []
    return ".".join(found) or str(number)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def data_md5(layout: Layout) -> str:
    """Return the address under which DVC keeps the snapshot. Raises NotThere."""
    lock = layout.root / "dvc.lock"
    document = load_yaml(lock)
    stages = document.get("stages", {}) if isinstance(document, dict) else {}
    for out in stages.get("snapshot", {}).get("outs", []):
        if out.get("path") == flow.path("snapshot") and out.get("md5"):
            return str(out["md5"])
    raise NotThere("DVC keeps no snapshot", where=lock.name, hint="dvc repro snapshot")


def dataset(contract: Contract, snapshot: Snapshot, run: Run, md5: str) -> dict[str, str]:
    """Return the name, digests and address of the data that the candidate comes from."""
    return {
        "name": contract.name,
        "sha256": snapshot.rows_sha256,
        "snapshot_id": snapshot.id,
        "rows": str(snapshot.rows),
        "commit": run.commit,
        "path": flow.path("snapshot"),
        "dvc_md5": md5,
    }


def inputs(contract: Contract, features: Sequence[str]) -> dict[str, str]:
    """Return each input of the model with the kind that the contract gives it."""
    kinds: dict[str, str] = {column.name: column.kind for column in contract.columns}
    return {name: kinds.get(name, "number") for name in features}


def example(contract: Contract, features: Sequence[str]) -> dict[str, object]:
    """Return a made-up row, from the contract's ranges and allowed values: nobody's."""
    columns = {column.name: column for column in contract.columns}
    return {name: _made_up(columns[name]) if name in columns else 0.0 for name in features}


def _made_up(column: Column) -> object:
    if column.allowed:
        return column.allowed[0]
    if column.kind == "boolean":
        return False
    if column.kind in ("integer", "number"):
        ends = [end for end in (column.minimum, column.maximum) if end is not None]
        middle = sum(ends) / len(ends) if ends else 0.0
        return float(math.floor(middle)) if column.kind == "integer" else middle
    return "2000-01-01" if column.kind in ("date", "timestamp") else "text"


def folders(layout: Layout, into: Path) -> dict[str, Path]:
    """Copy what people look at, by its folder in the registry; plots are drawn as pictures too."""
    sources = (
        layout.validation_report,
        layout.evaluation,
        layout.checks,
        layout.verdict.parent,
        layout.plots,
    )
    found = {}
    for source in filter(Path.is_dir, sources):
        name = source.relative_to(layout.root).as_posix()
        found[name] = into / name
        shutil.copytree(source, found[name], ignore=shutil.ignore_patterns(*NOT_SHOWN))
        if source == layout.plots:
            draw(found[name])
    return found


def documents(files: VersionFiles) -> dict[str, Path]:
    """Return the folder of a version's documents, by its folder in the registry."""
    return {DOCUMENTS: files.documents}


def description(version: ModelVersion, verdict: Verdict, candidate: Candidate) -> str:
    """Return what the registry's page says of the version, in Markdown."""
    word = "passed" if verdict.passed else "**blocked**"
    rows = [f"| {markdown.plain(name)} | {outcome} |" for name, outcome in verdict.outcomes.items()]
    reasons = [f"- {markdown.plain(reason)}" for reason in verdict.blocked_by[:SHOWN_REASONS]]
    facts = [f"- `{name}`: `{value}`" for name, value in bound_tags(version).items()]
    head = f"Recipe **{markdown.plain(candidate.recipe)}** ({candidate.estimator}), {word} under "
    again = f"All of it again: `git checkout {version.commit} && dvc pull`. "
    thread = f"The thread both ways: `clew lineage {version.candidate_id[:12]}`."
    return "\n".join(
        [
            head + markdown.plain(verdict.policy) + ".",
            "",
            *reasons,
            "",
            "| check | outcome |",
            "| --- | --- |",
            *rows,
            "",
            f"Model card: `{DOCUMENTS}/model-card.html` among the artifacts of the run.",
            f"Reports: artifacts of the run; begin with `{flow.path('checks')}/index.html`.",
            "",
            *facts,
            "",
            again + thread,
        ]
    )
