"""Evaluation on the default data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipelines import flow, params
from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data.groups import groups
from pipelines.errors import IntegrityBroken
from pipelines.layout import Evaluation as Files
from pipelines.layout import Layout, Model
from pipelines.model import evaluate, evaluation_plots, train
from pipelines.params import EvaluateParams
from pipelines.records import Candidate, Evaluation, Split
from pipelines.typed import read_json
from tests.model.conftest import context

QUICK = EvaluateParams(bootstrap_samples=40, confidence=0.9, seed=1, min_group_size=30)


@pytest.fixture(scope="module")
def evaluated(boston: Layout, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Train and evaluate the naive candidate once."""
    root = tmp_path_factory.mktemp("evaluated") / "checkout"
    shutil.copytree(boston.root, root)
    layout = Layout(root)
    layout.params.write_text(params.override(layout.params, {"candidate": "naive"}))
    train.run(context(root))
    evaluate.run(context(root))
    return layout


@pytest.fixture(scope="module")
def measured(evaluated: Layout) -> Any:
    return json.loads(Files(evaluated.evaluation).metrics.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scores(evaluated: Layout) -> pd.DataFrame:
    return pd.read_parquet(Files(evaluated.evaluation).scores)


def test_the_record_is_bound_to_candidate_and_test_part(evaluated: Layout) -> None:
    """The evaluation names the candidate, the test part and its own files by digest."""
    files = Files(evaluated.evaluation)
    expected = Evaluation(
        candidate_id=read_json(Model(evaluated.candidate).record, Candidate).id,
        test_sha256=read_json(evaluated.split_record, Split).parts["test"].sha256,
        scores_sha256=sha256_file(files.scores),
        metrics_sha256=sha256_file(files.metrics),
    )
    assert expected == read_json(files.record, Evaluation)


def test_scores_have_one_line_for_each_test_row(evaluated: Layout, scores: pd.DataFrame) -> None:
    """The columns are those of the docstring, in the order of the test part."""
    test = pd.read_parquet(evaluated.split_rows("test"), dtype_backend="numpy_nullable")
    contract = read_json(evaluated.snapshot_contract, Contract)
    named = [f"group:{name}" for name in contract.attributes]
    base = ["_row", "margin", "probability", "favourable", "target"]
    assert base + named == list(scores.columns)
    assert test["_row"].tolist() == scores["_row"].tolist()
    assert groups(test, contract)["race"].tolist() == scores["group:race"].tolist()
    threshold = float.fromhex(read_json(Model(evaluated.candidate).record, Candidate).threshold)
    assert (scores["margin"] >= threshold).astype(int).tolist() == scores["favourable"].tolist()


def test_metrics_follow_from_the_scores(measured: Any, scores: pd.DataFrame) -> None:
    """ROC AUC, confusion and a group's selection rate can be had again from scores.parquet."""
    overall = measured["overall"]
    area = roc_auc_score(scores["target"], scores["margin"])
    assert area == overall["measures"]["roc_auc"]["value"]
    both = scores["favourable"] * 2 + scores["target"]
    assert [(both == cell).sum() for cell in range(4)] == list(overall["confusion"].values())
    black = scores[scores["group:race"] == "black"]
    found = measured["attributes"]["race"]["groups"]["black"]
    assert len(black) == found["n"]
    assert black["favourable"].mean() == found["measures"]["selection_rate"]["value"]


def test_all_groups_and_all_pairs_of_attributes_are_there(
    measured: Any, scores: pd.DataFrame
) -> None:
    """Every group and every intersection that has people is measured, and small ones are marked."""
    named = [name for name in scores.columns if name.startswith("group:")]
    assert len(named) == len(measured["attributes"])
    assert len(named) * (len(named) - 1) // 2 == len(measured["intersections"])
    for found in [*measured["attributes"].values(), *measured["intersections"].values()]:
        assert len(scores) == sum(each["n"] for each in found["groups"].values())
        for each in found["groups"].values():
            assert (each["n"] < measured["min_group_size"]) == each["small"]


def test_intervals_hold_their_estimates(measured: Any) -> None:
    """Rates of counts lie inside their intervals, and the reference's ratio is exactly 1."""
    race = measured["attributes"]["race"]
    for each in race["groups"].values():
        rate = each["measures"]["selection_rate"]
        assert rate["low"] <= rate["value"] <= rate["high"]
    reference = race["groups"][race["reference"]]["measures"]["impact_ratio"]
    assert {"value": 1.0, "low": 1.0, "high": 1.0} == reference


def test_the_naive_candidate_shows_the_disparity(measured: Any) -> None:
    """On the default data the ratio for black applicants is under four fifths, interval and all."""
    ratio = measured["attributes"]["race"]["groups"]["black"]["measures"]["impact_ratio"]
    assert ratio["value"] < 0.8
    assert ratio["high"] < 0.85


def test_the_same_work_gives_the_same_record(evaluated: Layout) -> None:
    """Evaluating again changes no byte."""
    before = read_json(Files(evaluated.evaluation).record, Evaluation)
    assert before == evaluate.run(context(evaluated.root))


def test_plots_are_those_of_the_flow(evaluated: Layout) -> None:
    """Each picture that dvc.yaml names has its file with the columns that it names."""
    for plot in flow.dvc_stages()["plots"]:  # type: ignore[attr-defined]
        ((name, axes),) = plot.items()
        table = pd.read_csv(evaluated.root / name)
        assert {axes["x"], axes["y"]} <= set(table.columns)
        assert len(table) > 0


def test_undefined_measures_are_null(scores: pd.DataFrame) -> None:
    """Where nobody has the favourable target, rates among them are null and not 0."""
    table = scores.assign(target=np.where(scores["group:race"] == "black", 0, scores["target"]))
    found: Any = evaluate.measure(table, QUICK)["attributes"]
    black = found["race"]["groups"]["black"]["measures"]
    for name in ("true_positive_rate", "equal_opportunity_difference", "roc_auc"):
        assert {"value": None, "low": None, "high": None} == black[name]
    json.dumps(found, allow_nan=False)


def test_when_nobody_is_selected_the_ratio_is_null(scores: pd.DataFrame) -> None:
    """0 over 0 is no ratio, and it must not look like one that passes."""
    found: Any = evaluate.measure(scores.assign(favourable=0), QUICK)["attributes"]
    white = found["race"]["groups"]["white"]["measures"]
    assert white["impact_ratio"]["value"] is None
    assert white["positive_predictive_value"]["value"] is None


def test_a_candidate_of_another_split_is_refused(evaluated: Layout, tmp_path: Path) -> None:
    """Scores on rows that the candidate may have trained on say nothing."""
    root = tmp_path / "other"
    shutil.copytree(evaluated.root, root)
    record = json.loads(Layout(root).split_record.read_text())
    record["params_sha256"] = "0" * 64
    Layout(root).split_record.write_text(json.dumps(record))
    with pytest.raises(IntegrityBroken, match="another split"):
        evaluate.run(context(root))


def test_a_changed_model_or_test_part_is_refused(evaluated: Layout, tmp_path: Path) -> None:
    """Digests are checked before anything is scored."""
    for number, touch in enumerate(("model", "test")):
        layout = Layout(tmp_path / str(number))
        shutil.copytree(evaluated.root, layout.root)
        path = Model(layout.candidate).model if touch == "model" else layout.split_rows("test")
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(IntegrityBroken):
            evaluate.run(context(layout.root))


def test_a_test_part_with_one_outcome_has_no_curve(scores: pd.DataFrame) -> None:
    """The ROC table then has its columns and no line."""
    found = evaluation_plots.roc(scores.assign(target=1))
    assert ["false_positive_rate", "true_positive_rate"] == list(found.columns)
    assert 0 == len(found)
