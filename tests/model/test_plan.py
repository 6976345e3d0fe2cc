"""A plan is the fitted pipeline as plain numbers: the same bits, or no plan at all."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from pipelines.errors import BadRequest
from pipelines.model import proof, score
from pipelines.model.plan import number
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from tests.model.small import made, people

KINDS: tuple[MarginKind, ...] = ("linear", "trees")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_gives_the_pipelines_bits(kind: MarginKind) -> None:
    """Every row's margin, missing values and dates among them, is scikit-learn's to the bit."""
    found = made(kind)
    expected = score.margins(found.trained.model, people(), kind)
    observed = [found.plan.margin(row) for row in rows(people(), found.plan.inputs)]
    assert proof.bits(expected).tolist() == proof.bits(np.array(observed)).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_transforms_as_the_pipeline_does(kind: MarginKind) -> None:
    """The estimator's inputs are the same bits too, each under its source column."""
    found = made(kind)
    expected = score.transformed(found.trained.model, people())
    observed = np.array([found.plan.transformed(row) for row in rows(people(), found.plan.inputs)])
    assert np.array_equal(expected, observed, equal_nan=True)
    assert expected.shape[1] == len(found.plan.sources) == found.plan.width
    assert set(found.plan.inputs) == set(found.features) == set(found.plan.sources)


def test_the_known_texts_are_the_models() -> None:
    """A plan tells which values of a text its model has seen."""
    texts = made("linear").plan.texts
    assert {"town": {"Ay", "Be", "Ce"}, "job": {"clerk", "cook"}} == {
        name: set(known) for name, known in texts.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_plans_digest_is_over_every_number(kind: MarginKind) -> None:
    """The same fit has the same digest; the last bit of one number gives another."""
    plan = made(kind).plan
    assert plan.sha256 == compile_plan(made(kind).trained.model).sha256
    moved = dataclasses.replace(plan, start=math.nextafter(plan.start, math.inf))
    assert plan.sha256 != moved.sha256
    if kind == "trees":
        first = dataclasses.replace(plan.trees[0][-1], value=plan.trees[0][-1].value + 1e-9)
        trees = ((*plan.trees[0][:-1], first), *plan.trees[1:])
        assert plan.sha256 != dataclasses.replace(plan, trees=trees).sha256


def _scaled_otherwise(model: Pipeline) -> Pipeline:
    numbers = model.named_steps["columns"].named_transformers_["numbers"]
    numbers.steps[1] = ("scale", MinMaxScaler())
    return model


def _not_centred(model: Pipeline) -> Pipeline:
    numbers = model.named_steps["columns"].named_transformers_["numbers"]
    numbers.named_steps["scale"].with_mean = False
    return model


def _not_scaled(model: Pipeline) -> Pipeline:
    numbers = model.named_steps["columns"].named_transformers_["numbers"]
    numbers.named_steps["scale"].with_std = False
    return model


def _infinite(model: Pipeline) -> Pipeline:
    model.named_steps["estimator"].coef_[0, 0] = np.inf
    return model


def _one_more_step(model: Pipeline) -> Pipeline:
    model.steps.insert(1, ("again", "passthrough"))
    return model


def _narrower(model: Pipeline) -> Pipeline:
    model.named_steps["columns"].transformers_.pop()
    return model


CHANGES = (
    _scaled_otherwise,
    _not_centred,
    _not_scaled,
    _infinite,
    _one_more_step,
    _narrower,
)


@pytest.mark.parametrize("change", CHANGES)
def test_another_pipeline_has_no_plan(change: object) -> None:
    """Whatever the compiler does not know to the last step is refused, never guessed."""
    changed = change(copy.deepcopy(made("linear").trained.model))  # type: ignore[operator]
    with pytest.raises(BadRequest, match="has no plan"):
        compile_plan(changed)


def test_trees_that_split_by_categories_have_no_plan() -> None:
    """A split by a set of categories is refused: this walk knows thresholds only."""
    model = copy.deepcopy(made("trees").trained.model)
    model.named_steps["estimator"]._predictors[0][0].nodes["is_categorical"][0] = 1
    with pytest.raises(BadRequest, match="has no plan"):
        compile_plan(model)


@pytest.mark.parametrize(
    "moment",
    [
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 22, 6, 7, 8, 123457, tzinfo=dt.UTC),
        dt.datetime(1815, 6, 18, tzinfo=dt.UTC),
    ],
)
def test_a_moment_is_days_since_1970_as_training_counts_them(moment: dt.datetime) -> None:
    """A timestamp becomes the very double that the data frame's arithmetic gives."""
    series = pd.Series([pd.Timestamp(moment)], name="at").dt.as_unit("us")
    assert [score._number(series)[0]] == [number(moment)]


def test_numbers_are_read_as_doubles() -> None:
    """Booleans are 1 and 0, dates are days, what is missing is NaN."""
    assert [1.0, 0.0, 3.0, 31.0] == [
        number(True),
        number(False),
        number(3),
        number(dt.date(1970, 2, 1)),
    ]
    assert math.isnan(number(None))
