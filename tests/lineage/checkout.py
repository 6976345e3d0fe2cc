"""A checkout whose files a test writes step by step, as the steps would: lineage looks at these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from pipelines import flow
from pipelines.adapters.memory import MemoryRegistry
from pipelines.adapters.openlineage import MemoryLineage
from pipelines.canonical import canonical_json, sha256_bytes, sha256_file
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout, State
from pipelines.layout import Model as ModelFiles
from pipelines.lineage import cached, observed
from pipelines.ports import Context, Lineage, Run
from pipelines.records import (
    Candidate,
    Champion,
    Evaluation,
    Landed,
    ModelVersion,
    Part,
    Promotion,
    Record,
    Snapshot,
    SourceFile,
    Split,
    Verdict,
)

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0f" * 20
NAME = "boston-mortgages"
SECRET = "Zaphod Beeblebrox"  # noqa: S105 - a person's value, which no event may hold


def sha(text: str) -> str:
    return sha256_bytes(text.encode())


def context(folder: Path, run: Run | None = None) -> Context:
    """Give a step's context in `folder`: the tree's own params and contract, no other file."""
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "contract.yaml", "infra/locks/model.lock"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    layout.policies.mkdir(exist_ok=True)
    (layout.policies / "pack.yaml").write_text("checks: {}\n")
    registry = MemoryRegistry(NAME, folder / "registry")
    return Context(layout, State(folder / "var"), lambda _: registry, run)


def work(step: str, layout: Layout, *, seed: str = "", passed: bool = True) -> Record | None:
    """Write what `step` writes, of a content that `seed` sets, and return its record."""
    return WORK[step](layout, seed, passed)


def whole_run(
    where: Context, sink: Lineage, *, seed: str = "", taken_over: tuple[str, ...] = ()
) -> None:
    """Do every step of the flow; those `taken_over` are told as cached."""
    for step in flow.STEPS:
        if step.name in taken_over:
            work(step.name, where.layout, seed=seed)
            cached(step, where, sink)
            continue
        with observed(step, where, sink) as watched:
            watched.result(work(step.name, where.layout, seed=seed))


def events_of_a_run(folder: Path) -> list[dict[str, object]]:
    """Give the events of one whole run, in order."""
    sink = MemoryLineage()
    whole_run(context(folder, Run("run-a", COMMIT, "manual__a")), sink)
    return [dict(event) for event in sink.events]


def candidate(layout: Layout) -> Candidate:
    """Give the candidate as `train` would have bound it."""
    split = _split(layout)
    return Candidate(
        recipe="fair",
        estimator="logistic_regression",
        model_sha256=sha256_file(ModelFiles(layout.candidate).model),
        split_id=split.id,
        snapshot_id=split.snapshot_id,
        params_sha256=sha("params"),
        environment_id=sha("environment"),
        features=("income",),
        threshold="0x1p+0",
        margin="linear",
    )


def verdict(layout: Layout, *, passed: bool = True) -> Verdict:
    """Give the verdict as `gate` would have bound it."""
    judged = candidate(layout)
    return Verdict(
        passed=passed,
        blocked_by=() if passed else ("bias",),
        candidate_id=judged.id,
        model_sha256=judged.model_sha256,
        test_sha256=sha("test"),
        params_sha256=sha("params"),
        policy="pack",
        policy_sha256=sha("pack"),
        champion_id=sha("champion"),
        checks={"bias": sha("bias")},
        outcomes={"bias": "pass" if passed else "fail"},
    )


def _table(path: Path, seed: str, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: pa.array([SECRET, seed]) for name in names}
    parquet.write_table(pa.table({**columns, "income": pa.array([1.5, None])}), path)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _ingest(layout: Layout, seed: str, passed: bool) -> Landed:
    source = layout.landed / "a.csv"
    _text(source, f"name,income\n{SECRET},1.5\n{seed},\n")
    file = SourceFile(name="a.csv", bytes=source.stat().st_size, sha256=sha256_file(source))
    landed = Landed(kind="files", files=(file,))
    landed.write(layout.landed_record)
    return landed


def _validate(layout: Layout, seed: str, passed: bool) -> None:
    _table(layout.valid / "part-00000.parquet", seed, "_row", "name")
    _table(layout.refused / "refused.parquet", seed, "name")
    broken = {"rule": "range", "column": "income", "count": 1, "rows": [1]}
    found = {"rows": 4, "accepted": 3, "refused": 1, "broken": [broken], "table": []}
    column = {"name": "income", "missing_share": 0.25, "minimum": 4242.5, "maximum": 4343.5}
    text = canonical_json({**found, "columns": [column], "blocked": []}).decode()
    _text(layout.validation_report / "validation.json", text)


def _snapshot(layout: Layout, seed: str, passed: bool) -> Snapshot:
    _table(layout.snapshot_rows, seed, "name")
    _text(layout.snapshot_contract, "{}")
    record = Snapshot(
        landed_id=sha("landed"),
        contract_sha256=sha("contract"),
        rows_sha256=sha256_file(layout.snapshot_rows),
        rows=2,
        refused=1,
        columns=("name", "income"),
    )
    record.write(layout.snapshot_record)
    return record


def _split(layout: Layout, seed: str = "", passed: bool = True) -> Split:
    for part in ("train", "test"):
        if not layout.split_rows(part).exists() or seed:
            _table(layout.split_rows(part), f"{seed}{part}", "name")
    parts = {
        part: Part(rows=2, sha256=sha256_file(layout.split_rows(part)))
        for part in ("train", "test")
    }
    snapshot = sha256_file(layout.snapshot_rows)
    record = Split(snapshot_id=snapshot, params_sha256=sha("params"), parts=parts)
    record.write(layout.split_record)
    return record


def _train(layout: Layout, seed: str, passed: bool) -> Candidate:
    _text(ModelFiles(layout.candidate).model, f"model {seed}")
    record = candidate(layout)
    record.write(ModelFiles(layout.candidate).record)
    return record


def _evaluate(layout: Layout, seed: str, passed: bool) -> Evaluation:
    files = EvaluationFiles(layout.evaluation)
    _table(files.scores, seed)
    _text(files.metrics, "{}")
    _text(layout.plots / "roc.csv", "false_positive_rate,true_positive_rate\n0,0\n")
    record = Evaluation(
        candidate_id=candidate(layout).id,
        test_sha256=sha("test"),
        scores_sha256=sha256_file(files.scores),
        metrics_sha256=sha256_file(files.metrics),
    )
    record.write(files.record)
    return record


def _champion(layout: Layout, seed: str, passed: bool) -> Champion:
    record = Champion(state="version", model_name=NAME, version="2")
    record.write(layout.champion_record)
    return record


def _check(layout: Layout, seed: str, passed: bool) -> None:
    _text(layout.checks / "bias.json", f'{{"passed":{str(passed).lower()},"of":"{seed}"}}')


def _gate(layout: Layout, seed: str, passed: bool) -> Verdict:
    record = verdict(layout, passed=passed)
    record.write(layout.verdict)
    return record


def _register(layout: Layout, seed: str, passed: bool) -> ModelVersion:
    judged = candidate(layout)
    return ModelVersion(
        model_name=NAME,
        version="3",
        candidate_id=judged.id,
        model_sha256=judged.model_sha256,
        verdict_id=verdict(layout).id,
        passed=True,
        run_id="run-a",
        commit=COMMIT,
        registry_run="r1",
        files_sha256=sha("files"),
    )


def _promote(layout: Layout, seed: str, passed: bool) -> Promotion:
    return Promotion(
        number=2,
        former_id=sha("former"),
        model_name=NAME,
        version="3",
        former_version="2",
        verdict_id=verdict(layout).id,
        approval_id=None,
        person=SECRET,
        reason=SECRET,
        at="2026-11-22T00:00:00Z",
        kind="promote",
    )


WORK: dict[str, Callable[[Layout, str, bool], Record | None]] = {
    "ingest": _ingest,
    "validate": _validate,
    "snapshot": _snapshot,
    "split": _split,
    "train": _train,
    "evaluate": _evaluate,
    "champion": _champion,
    "check": _check,
    "gate": _gate,
    "register": _register,
    "promote": _promote,
}
