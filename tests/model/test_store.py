"""Models on disk."""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from pipelines.canonical import sha256_bytes
from pipelines.contract import Contract
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.model import score, store, train
from tests.model.conftest import recipe

KINDS = {"logistic_regression": "linear", "hist_gradient_boosting": "trees"}


@pytest.fixture(params=list(KINDS))
def model(request: pytest.FixtureRequest, contract: Contract, people: pd.DataFrame) -> Pipeline:
    return train.train(recipe(request.param), contract, people).model


def test_saving_a_loaded_model_gives_its_bytes_back(model: Pipeline) -> None:
    """The file depends on what the model holds, not on which objects were shared in memory."""
    data = store.dumps(model)
    assert data == store.dumps(store.loads(data))


def test_a_loaded_model_scores_the_same_bits(model: Pipeline, people: pd.DataFrame) -> None:
    """What is decided on after loading is what was fitted."""
    kind = score.KINDS[type(model.named_steps[score.ESTIMATOR]).__name__]
    loaded = store.loads(store.dumps(model))
    expected = score.margins(model, people, kind)
    assert expected.tobytes() == score.margins(loaded, people, kind).tobytes()


def test_the_file_holds_no_clock_and_no_address(model: Pipeline) -> None:
    """Members are sorted, dated 1980, and named by content."""
    with zipfile.ZipFile(io.BytesIO(store.dumps(model))) as file:
        names = file.namelist()
        assert sorted(names) == names
        assert {store.EPOCH} == {each.date_time for each in file.infolist()}
        for name in set(names) - {store.SCHEMA}:
            assert f"{sha256_bytes(file.read(name))[:32]}.npy" == name


def test_the_digest_is_checked_before_the_file_is_read(tmp_path: Path) -> None:
    """Other bytes are refused as such, even bytes that no parser would take."""
    path = tmp_path / "model.skops"
    path.write_bytes(b"not a zip file")
    with pytest.raises(IntegrityBroken, match="not what its record says"):
        store.load(path, "0" * 64)
    with pytest.raises(IntegrityBroken, match="not a skops file"):
        store.load(path, sha256_bytes(b"not a zip file"))
    with pytest.raises(NotThere):
        store.load(tmp_path / "none.skops", "0" * 64)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(MinMaxScaler().fit(np.eye(2)), id="an estimator that we never save"),
        pytest.param({"run": partial(print, "here")}, id="a function"),
        pytest.param(Pipeline([("f", FunctionTransformer(np.exp))]), id="a ufunc in a pipeline"),
        pytest.param(print, id="a builtin"),
    ],
)
def test_a_type_that_is_not_on_our_list_is_refused(hostile: object, tmp_path: Path) -> None:
    """Neither skops' own list nor the file's decides: what we never save is never loaded."""
    data = skops.io.dumps(hostile)
    path = tmp_path / "model.skops"
    path.write_bytes(data)
    with pytest.raises(IntegrityBroken, match="not on the list"):
        store.load(path, sha256_bytes(data))


def test_a_type_that_is_not_on_our_list_is_not_saved() -> None:
    """A model that could not be loaded is refused when it is made."""
    with pytest.raises(IntegrityBroken, match="not on the list"):
        store.dumps(Pipeline([("scale", MinMaxScaler().fit(np.eye(2)))]))


def test_a_refused_type_hidden_behind_a_known_name_is_refused(model: Pipeline) -> None:
    """Every object of the schema is looked at, also those that share an id with an allowed one."""
    with zipfile.ZipFile(io.BytesIO(store.dumps(model))) as file:
        members = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(members[store.SCHEMA])
    steps = schema["content"]["content"]["steps"]
    evil = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode"}
    steps["content"].append(evil | {"__id__": steps["__id__"], "content": "posix.system"})
    members[store.SCHEMA] = json.dumps(schema).encode()
    with pytest.raises(IntegrityBroken) as caught:
        store.loads(store._zipped(members))
    assert "posix.system (FunctionNode)" == caught.value.observed


def test_the_list_holds_nothing_that_is_not_needed(
    contract: Contract, people: pd.DataFrame
) -> None:
    """Each allowed type is part of some model of these two kinds, or of a plain numpy scalar."""
    used: set[tuple[str, str, str]] = set()
    for estimator in KINDS:
        wanted = recipe(estimator, protected_as_features=True)
        data = store.dumps(train.train(wanted, contract, people).model)
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            used |= {
                store._type(node) for node in store._nodes(json.loads(file.read(store.SCHEMA)))
            }
    assert set() == store.ALLOWED - used
    assert isinstance(ColumnTransformer([]), ColumnTransformer)
