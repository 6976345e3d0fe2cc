"""Training on the default data, in the model's own environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines import contract, params
from pipelines.canonical import sha256_file
from pipelines.errors import DataRefused, IntegrityBroken
from pipelines.layout import Layout, Model
from pipelines.model import score, store, train
from pipelines.model.estimators import is_number
from pipelines.model.training_report import against_monotone
from pipelines.records import Candidate, Environment, Split
from pipelines.typed import read_json
from tests.model.conftest import context

TRAIN = """
import sys
from pathlib import Path
from pipelines.layout import Layout, State
from pipelines.model import train
from pipelines.ports import Context
root = Path(sys.argv[1])
print(train.run(Context(layout=Layout(root), state=State(root / "var"), registry=None)).id)
"""


def choose(layout: Layout, candidate: str) -> None:
    layout.params.write_text(params.override(layout.params, {"candidate": candidate}))


def test_the_same_commit_gives_the_same_model(
    checkout: Layout, in_model_environment: Callable[..., str]
) -> None:
    """Two fresh processes with other hash seeds and thread counts give the same bytes."""
    choose(checkout, "naive")
    digests, records = set(), set()
    for number in ("1", "2"):
        in_model_environment(
            TRAIN,
            str(checkout.root),
            PYTHONHASHSEED=number,
            OMP_NUM_THREADS=number,
            OPENBLAS_NUM_THREADS=number,
        )
        digests.add(sha256_file(Model(checkout.candidate).model))
        records.add(read_json(Model(checkout.candidate).record, Candidate).environment_id)
    assert 1 == len(digests)
    assert 2 == len(records), "the environments differ in their threads, and the model does not"


@pytest.fixture(scope="module")
def fair(boston: Layout, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Train the fair candidate once."""
    import shutil

    root = tmp_path_factory.mktemp("fair") / "checkout"
    shutil.copytree(boston.root, root)
    layout = Layout(root)
    choose(layout, "fair")
    train.run(context(root))
    return layout


def test_the_candidate_is_bound_to_what_it_came_from(fair: Layout) -> None:
    """The record names model, split, snapshot, parameters and environment by digest."""
    files = Model(fair.candidate)
    candidate = read_json(files.record, Candidate)
    split = read_json(fair.split_record, Split)
    assert sha256_file(files.model) == candidate.model_sha256
    assert (split.id, split.snapshot_id) == (candidate.split_id, candidate.snapshot_id)
    assert read_json(files.environment, Environment).id == candidate.environment_id
    assert params.read(fair.params).recipe.sha256 == candidate.params_sha256
    assert "linear" == candidate.margin


def test_the_operating_point_is_the_approval_rate_out_of_fold(fair: Layout) -> None:
    """Of the training part, scored out of fold, the wanted share lies at or above it."""
    report = json.loads(Model(fair.candidate).training.read_text(encoding="utf-8"))
    assert abs(report["approval_rate_out_of_fold"] - report["approval_rate"]) < 1 / report["rows"]


def test_the_fair_candidate_reaches_its_target_out_of_fold(fair: Layout) -> None:
    """The choice in params.yaml is one that the training part supports."""
    report = json.loads(Model(fair.candidate).training.read_text(encoding="utf-8"))
    assert report["mitigation"]["reached"] is True
    chosen = report["fits"][report["chosen"]]
    assert chosen["selection_rate_ratio"] >= report["mitigation"]["target_ratio"]
    others = [
        each["roc_auc"]
        for each in report["fits"]
        if each["selection_rate_ratio"] >= report["mitigation"]["target_ratio"]
    ]
    assert max(others) == chosen["roc_auc"]


def test_the_model_scores_after_loading(fair: Layout) -> None:
    """The stored file, loaded by its digest, scores every training row with a finite number."""
    import numpy as np
    import pandas as pd

    candidate = read_json(Model(fair.candidate).record, Candidate)
    model = store.load(Model(fair.candidate).model, candidate.model_sha256)
    frame = pd.read_parquet(fair.split_rows("train"), dtype_backend="numpy_nullable")
    assert np.isfinite(score.margins(model, frame, candidate.margin)).all()


def test_a_changed_training_part_is_refused(checkout: Layout) -> None:
    """Rows that are not those of the split's record train nothing."""
    path = checkout.split_rows("train")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(IntegrityBroken, match="the train part is not"):
        train.run(context(checkout.root))
    assert not checkout.candidate.exists()


def test_the_fair_candidate_runs_against_no_direction(fair: Layout) -> None:
    """Every weight has the sign that the contract wants, and the report says so."""
    found = contract.read(fair.contract)
    model = store.loads(Model(fair.candidate).model.read_bytes())
    names = model.named_steps[score.COLUMNS].get_feature_names_out()
    weights = dict(zip(names, model.named_steps[score.ESTIMATOR].coef_[0], strict=True))
    signs = {"increasing": 1, "decreasing": -1, "no": 0}
    turned = {
        each.name: signs[each.monotone] * weights.get(f"numbers__{each.name}", 0)
        for each in found.columns
    }
    assert {} == {name: weight for name, weight in turned.items() if weight < 0}
    assert [] == json.loads(Model(fair.candidate).training.read_text())["against_monotone"]


def test_inputs_against_the_contracts_direction_are_reported(fair: Layout) -> None:
    """A weight of the wrong sign is named by its column, one of the right sign is not."""
    columns = contract.read(fair.contract).columns
    signs = {"increasing": 1.0, "decreasing": -1.0, "no": 0.5}
    right = np.array([[signs[each.monotone] for each in columns if is_number(each)]])
    named = [each.name for each in columns if is_number(each) and each.monotone != "no"]
    chosen = params.read(fair.params).candidates["fair"]
    for sign, expected in ((1, []), (-1, named)):
        final = SimpleNamespace(coef_=sign * right)
        assert expected == against_monotone(chosen, columns, final)


def test_rows_without_a_target_are_refused(contract, people) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """A missing outcome is neither favourable nor not."""
    from tests.model.conftest import recipe

    with pytest.raises(DataRefused, match="without a target") as caught:
        train.train(recipe(), contract, people.assign(good=[None, *people["good"][1:]]))
    assert 1 == caught.value.observed


def test_a_contract_without_protected_columns_trains(contract, people) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Nobody is compared with anybody when the contract names no groups."""
    import msgspec

    from tests.model.conftest import recipe

    kept = tuple(each for each in contract.columns if each.role != "protected")
    trained = train.train(recipe(), msgspec.structs.replace(contract, columns=kept), people)
    assert trained.report["fits"][0]["selection_rate_ratio"] is None  # type: ignore[index, call-overload]


def test_training_reads_nothing_of_the_test_part(checkout: Layout) -> None:
    """The candidate is the same when the test part is gone."""
    choose(checkout, "naive")
    before = train.run(context(checkout.root))
    Path(checkout.split_rows("test")).unlink()
    assert before == train.run(context(checkout.root))
