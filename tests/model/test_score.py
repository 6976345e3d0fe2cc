"""The score: one definition, the same bits however it is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from pipelines.contract import Contract
from pipelines.errors import BadRequest
from pipelines.layout import Layout
from pipelines.model import estimators, score, store, train
from pipelines.model.score import MarginKind
from pipelines.records import Split
from pipelines.typed import read_json
from tests.model.conftest import candidates, recipe

ESTIMATORS = {"linear": "logistic_regression", "trees": "hist_gradient_boosting"}
SCORE_ALL = """
import hashlib, sys
from pathlib import Path
import pandas as pd
from threadpoolctl import threadpool_info
from pipelines.model import score, store
frame = pd.read_parquet(sys.argv[2], dtype_backend="numpy_nullable")
margins = score.margins(store.loads(Path(sys.argv[1]).read_bytes()), frame, sys.argv[3])
kernels = sorted({each["architecture"] for each in threadpool_info() if "architecture" in each})
print(hashlib.sha256(margins.tobytes()).hexdigest(), *kernels)
"""


@pytest.fixture(scope="module", params=list(ESTIMATORS))
def kind(request: pytest.FixtureRequest) -> MarginKind:
    chosen: MarginKind = request.param
    return chosen


@pytest.fixture(scope="module")
def model(boston: Layout, kind: MarginKind) -> Pipeline:
    """Fit the default data's training part with every input, protected ones too."""
    contract = read_json(boston.snapshot_contract, Contract)
    frame = pd.read_parquet(boston.split_rows("train"), dtype_backend="numpy_nullable")
    wanted = recipe(ESTIMATORS[kind], protected_as_features=True)
    return train.train(wanted, contract, frame).model


@pytest.fixture(scope="module")
def rows(boston: Layout) -> pd.DataFrame:
    return pd.read_parquet(boston.snapshot_rows, dtype_backend="numpy_nullable")


def test_a_row_scores_the_same_alone_and_in_a_batch(
    model: Pipeline, rows: pd.DataFrame, kind: MarginKind
) -> None:
    """From typed columns on, a row gets the same bits alone and among all others."""
    batch = score.margins(model, rows, kind)
    alone = [score.margins(model, rows.iloc[[at]], kind)[0] for at in range(0, len(rows), 40)]
    assert batch[::40].tobytes() == np.array(alone).tobytes()


def test_every_row_of_the_estimator_scores_the_same_alone(
    model: Pipeline, rows: pd.DataFrame, kind: MarginKind
) -> None:
    """The same on all rows, from transformed rows on, in any memory layout."""
    inputs = score.transformed(model, rows)
    fitted = model.named_steps[score.ESTIMATOR]
    batch = score.estimator_margins(fitted, inputs, kind)
    alone = np.concatenate(
        [score.estimator_margins(fitted, inputs[[at]], kind) for at in range(len(inputs))]
    )
    turned = score.estimator_margins(fitted, np.asfortranarray(inputs), kind)
    assert batch.tobytes() == alone.tobytes()
    assert batch.tobytes() == turned.tobytes()


def test_the_score_is_scikit_learns_but_for_the_last_bits(
    model: Pipeline, rows: pd.DataFrame, kind: MarginKind
) -> None:
    """Margins and probabilities agree with decision_function and predict_proba."""
    inputs = score.transformed(model, rows)
    fitted = model.named_steps[score.ESTIMATOR]
    margins = score.margins(model, rows, kind)
    assert np.allclose(fitted.decision_function(inputs), margins, rtol=0, atol=1e-12)
    assert np.allclose(
        fitted.predict_proba(inputs)[:, 1], score.probabilities(margins), rtol=0, atol=1e-12
    )


def test_other_kernels_and_thread_counts_score_the_same_bits(
    model: Pipeline,
    boston: Layout,
    kind: MarginKind,
    tmp_path: Path,
    in_model_environment: Callable[..., str],
) -> None:
    """Two OpenBLAS kernels, one and two threads, in the model's environment: one digest."""
    file = tmp_path / "model.skops"
    store.save(model, file)
    arguments = (str(file), str(boston.split_rows("test")), kind)
    settings: list[dict[str, str]] = [
        {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
        {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem"},
    ]
    said = [in_model_environment(SCORE_ALL, *arguments, **each).split() for each in settings]
    assert 1 == len({digest for digest, *_ in said})
    assert ["Haswell"] == said[2][1:]
    assert ["Nehalem"] == said[3][1:]


def test_the_wrong_kind_is_refused(model: Pipeline, rows: pd.DataFrame, kind: MarginKind) -> None:
    """A linear model is not scored as trees, nor the other way round."""
    other: MarginKind = "trees" if kind == "linear" else "linear"
    with pytest.raises(BadRequest, match="not of the kind"):
        score.margins(model, rows.iloc[:1], other)


def test_a_missing_column_is_named(model: Pipeline, rows: pd.DataFrame, kind: MarginKind) -> None:
    """A column that the model needs and the rows lack is refused by name."""
    name = model.named_steps[score.COLUMNS].feature_names_in_[0]
    with pytest.raises(BadRequest) as caught:
        score.margins(model, rows.iloc[:1].drop(columns=name), kind)
    assert name == caught.value.observed


def test_a_value_that_is_no_number_is_not_repeated(
    contract: Contract, people: pd.DataFrame
) -> None:
    """The message names the column and not what stands in it."""
    columns = estimators.inputs(contract, recipe())
    transformer, _ = estimators.fit_columns(columns, people, "linear")
    marked = people.iloc[:2].astype({"income": object}).assign(income=["SECRET-4711", 1.0])
    with pytest.raises(BadRequest) as caught:
        score.prepare(transformer, marked)
    assert "income" == caught.value.observed
    assert "SECRET" not in str(caught.value)


def test_dates_are_days(contract: Contract, people: pd.DataFrame) -> None:
    """A date enters as days since 1970-01-01, and a missing one as a missing number."""
    columns = [contract.column("since")]
    transformer, _ = estimators.fit_columns(columns, people, "trees")
    frame = pd.DataFrame({"since": [pd.Timestamp("1970-01-11").date(), None]})
    found = score.prepare(transformer, frame)["since"]
    assert 10.0 == found[0]
    assert np.isnan(found[1])


def test_the_candidates_of_params_are_linear() -> None:
    """The default candidates are scored as this file tests for linear models."""
    assert {"linear"} == {estimators.margin_kind(each) for each in candidates().values()}


def test_train_and_test_parts_are_disjoint(boston: Layout) -> None:
    """The fixtures of these tests come from the real split, whose parts share nobody."""
    split = read_json(boston.split_record, Split)
    subject = read_json(boston.snapshot_contract, Contract).subject.name
    one, other = (set(pd.read_parquet(boston.split_rows(part))[subject]) for part in split.parts)
    assert set() == one & other
