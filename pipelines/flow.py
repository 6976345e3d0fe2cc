"""The map of the data flow: each step's name, code, reads and writes. Data only.

A step's name is at once its command, its module, its `dvc.yaml` stage, its Airflow task and its
lineage job. `dvc.yaml` is generated from here and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipelines.errors import BadRequest, did_you_mean

SHARED_CODE = (
    "pipelines/canonical.py",
    "pipelines/contract.py",
    "pipelines/layout.py",
    "pipelines/params.py",
    "pipelines/records.py",
)
# What of `decide` comes with a version; the rest is the service's and may change any day.
DECIDE = ("decide.reference", "decide.refer_band", "decide.max_reasons")


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow of the flow.

    `reads` and `writes` name properties of `layout.Layout`; `params` name keys of `params.yaml`;
    `code` are the files beside the step's own module whose change makes its result stale.
    `refusal` says that the step's result can refuse what comes after it: its module then has a
    function ``refusal(layout) -> ClewError | None``.
    """

    name: str
    module: str
    summary: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    kind: Literal["file", "effect"] = "file"
    environment: Literal["clew", "model"] = "clew"
    always: bool = False
    refusal: bool = False
    record: str = field(default="")


STEPS: tuple[Step, ...] = (
    Step(
        name="ingest",
        module="pipelines.data.ingest",
        summary="bring landed files in, byte for byte, and pin them",
        writes=("landed",),
        kind="effect",
        record="landed_record",
    ),
    Step(
        name="validate",
        module="pipelines.data.validate",
        summary="test every row against the contract; keep and count the refused",
        reads=("landed", "contract"),
        writes=("valid", "refused", "validation_report"),
        params=("data.encoding", "data.chunk_rows", "data.max_refused_share"),
        code=(
            "pipelines/data/cast.py",
            "pipelines/data/duplicates.py",
            "pipelines/data/files.py",
            "pipelines/data/parquet.py",
            "pipelines/data/picture.py",
            "pipelines/data/read.py",
            "pipelines/data/result.py",
            "pipelines/data/rules.py",
            "pipelines/data/schema.py",
        ),
        refusal=True,
    ),
    Step(
        name="snapshot",
        module="pipelines.data.snapshot",
        summary="freeze the accepted rows, with their content id and profile",
        reads=("landed", "valid", "validation_report", "contract"),
        writes=("snapshot",),
        code=(
            "pipelines/data/cast.py",
            "pipelines/data/files.py",
            "pipelines/data/groups.py",
            "pipelines/data/profile.py",
            "pipelines/data/result.py",
            "pipelines/data/rules.py",
            "pipelines/data/validate.py",
        ),
        record="snapshot_record",
    ),
    Step(
        name="split",
        module="pipelines.data.split",
        summary="store which subjects train and which test",
        reads=("snapshot",),
        writes=("split",),
        params=("split",),
        code=("pipelines/data/cast.py", "pipelines/data/groups.py", "pipelines/data/rules.py"),
        record="split_record",
    ),
    Step(
        name="train",
        module="pipelines.model.train",
        summary="fit the candidate in its own locked environment",
        reads=("split", "snapshot_contract", "model_lock"),
        writes=("candidate", "training_energy"),
        params=("candidate", "candidates", *DECIDE[:2]),
        code=(
            "pipelines/data/groups.py",
            "pipelines/model/energy.py",
            "pipelines/model/environment.py",
            "pipelines/model/estimators.py",
            "pipelines/model/group_metrics.py",
            "pipelines/model/leaves.py",
            "pipelines/model/metrics.py",
            "pipelines/model/mitigation.py",
            "pipelines/model/operating_point.py",
            "pipelines/model/out_of_fold.py",
            "pipelines/model/parts.py",
            "pipelines/model/plan.py",
            "pipelines/model/plan_compiler.py",
            "pipelines/model/reference.py",
            "pipelines/model/rows.py",
            "pipelines/model/score.py",
            "pipelines/model/store.py",
            "pipelines/model/training_report.py",
        ),
        environment="model",
    ),
    Step(
        name="evaluate",
        module="pipelines.model.evaluate",
        summary="score the test part; discrimination, calibration, groups, intervals",
        reads=("split", "snapshot_contract", "candidate"),
        writes=("evaluation", "plots"),
        params=("evaluate",),
        code=(
            "pipelines/data/groups.py",
            "pipelines/model/evaluation_plots.py",
            "pipelines/model/group_metrics.py",
            "pipelines/model/metrics.py",
            "pipelines/model/operating_point.py",
            "pipelines/model/parts.py",
            "pipelines/model/score.py",
            "pipelines/model/store.py",
        ),
        environment="model",
    ),
    Step(
        name="champion",
        module="pipelines.release.champion",
        summary="ask the registry for the champion and pin it beside the candidate",
        writes=("champion",),
        params=("model_name",),
        always=True,
    ),
    Step(
        name="check",
        module="pipelines.release.check",
        summary="run every check against the policy pack, each with its report",
        reads=(
            "split",
            "snapshot",
            "validation_report",
            "candidate",
            "champion",
            "evaluation",
            "model_lock",
            "policies",
        ),
        writes=("checks",),
        params=("policy", "evaluate", "candidate", "candidates", "model_name", "split", *DECIDE),
        code=(
            "pipelines/data/groups.py",
            "pipelines/data/profile.py",
            "pipelines/model/contributions.py",
            "pipelines/model/group_metrics.py",
            "pipelines/model/leaf_patterns.py",
            "pipelines/model/leaf_sums.py",
            "pipelines/model/leaf_table.py",
            "pipelines/model/leaves.py",
            "pipelines/model/plan.py",
            "pipelines/model/plan_compiler.py",
            "pipelines/model/reference.py",
            "pipelines/model/rows.py",
            "pipelines/model/score.py",
            "pipelines/model/store.py",
            "pipelines/release/checks",
            "pipelines/release/policy.py",
            "pipelines/release/reports.py",
            "pipelines/release/scenarios.py",
        ),
    ),
    Step(
        name="gate",
        module="pipelines.release.gate",
        summary="give the verdict; whatever is missing, unreachable or unknown blocks",
        reads=("split", "candidate", "champion", "checks", "policies"),
        writes=("verdict",),
        params=("policy", "evaluate", "candidate", "candidates", "model_name", "split", *DECIDE),
        code=(
            "pipelines/release/check.py",
            "pipelines/release/checks",
            "pipelines/release/policy.py",
            "pipelines/release/scenarios.py",
        ),
        refusal=True,
        # Whether the thresholds are older than the run stands in git, which DVC does not watch.
        always=True,
        record="verdict",
    ),
    Step(
        name="register",
        module="pipelines.release.register",
        summary="register the candidate with everything it came from",
        reads=("candidate", "champion", "evaluation", "checks", "verdict", "split", "snapshot"),
        kind="effect",
    ),
    Step(
        name="promote",
        module="pipelines.release.promote",
        summary="make a passed and approved version the champion",
        kind="effect",
    ),
)

NAMES = tuple(step.name for step in STEPS)
FILE_STEPS = tuple(step for step in STEPS if step.kind == "file")


def step(name: str) -> Step:
    """Return one step by name. Raises BadRequest with the closest name."""
    for found in STEPS:
        if found.name == name:
            return found
    raise BadRequest(
        "no such step",
        observed=name,
        expected=", ".join(NAMES),
        hint=did_you_mean(name, NAMES) or "clew flow",
    )


def dvc_stages() -> dict[str, object]:
    """Return the content of `dvc.yaml`: one stage a file step."""
    return {"stages": {each.name: _stage(each) for each in FILE_STEPS}} | _plots()


def _stage(each: Step) -> dict[str, object]:
    stage: dict[str, object] = {
        "desc": each.summary,
        "cmd": f"python -m pipelines.run_step {each.name}",
    }
    own = f"{each.module.replace('.', '/')}.py"
    stage["deps"] = sorted({own, *each.code, *SHARED_CODE, *map(path, each.reads)})
    if each.params:
        stage["params"] = sorted(each.params)
    outs: list[object] = [path(name) for name in each.writes]
    stage["outs"] = outs
    if each.always:
        stage["always_changed"] = True
    return stage


def _plots() -> dict[str, object]:
    return {
        "plots": [
            {
                "reports/plots/roc.csv": {
                    "x": "false_positive_rate",
                    "y": "true_positive_rate",
                    "title": "ROC curve, test part",
                }
            },
            {
                "reports/plots/calibration.csv": {
                    "x": "predicted",
                    "y": "observed",
                    "title": "Calibration, test part",
                }
            },
            {
                "reports/plots/selection_rates.csv": {
                    "x": "selection_rate",
                    "y": "group",
                    "template": "bar_horizontal",
                    "title": "Selection rate by protected group",
                }
            },
            {
                "reports/plots/trade_off.csv": {
                    "x": "selection_rate_ratio",
                    "y": "roc_auc",
                    "template": "scatter",
                    "title": "Lowest selection-rate ratio against ROC AUC, out of fold",
                }
            },
        ]
    }


def path(name: str) -> str:
    """Return the relative path of a property of `Layout`."""
    from pathlib import Path

    from pipelines.layout import Layout

    found: Path = getattr(Layout(Path()), name)
    return found.as_posix()
