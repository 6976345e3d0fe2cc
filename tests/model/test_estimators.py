"""From recipe and contract to a pipeline."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest

from pipelines.contract import Contract
from pipelines.errors import BadRequest
from pipelines.model import estimators, parts, score
from pipelines.params import Recipe
from tests.model.conftest import recipe


def fitted(wanted: Recipe, contract: Contract, people: pd.DataFrame) -> estimators.Pipeline:
    columns = estimators.inputs(contract, wanted)
    transformer, rows = estimators.fit_columns(columns, people, estimators.margin_kind(wanted))
    classifier = estimators.classifier_for(wanted, estimators.directions(columns, rows.shape[1]))
    with estimators.fitting(wanted):
        classifier.fit(rows, parts.favourable(people, contract))
    return estimators.assemble(transformer, classifier)


def test_inputs_are_features_alone(contract: Contract) -> None:
    """Never subject, time, target, ignored or, unasked, protected columns."""
    found = [column.name for column in estimators.inputs(contract, recipe())]
    assert ["income", "debts", "job", "town", "owner", "grade", "since"] == found


def test_protected_columns_are_inputs_only_when_asked(contract: Contract) -> None:
    """`protected_as_features` adds the protected columns, and `exclude` takes columns away."""
    asked = recipe(protected_as_features=True, exclude=("town", "years"))
    found = [column.name for column in estimators.inputs(contract, asked)]
    assert ["income", "debts", "job", "owner", "grade", "since", "origin"] == found


def test_a_misspelt_exclusion_is_refused_with_the_closest_name(contract: Contract) -> None:
    """A column that was to be left out must not stay in because of a typing error."""
    with pytest.raises(BadRequest) as caught:
        estimators.inputs(contract, recipe(exclude=("incom",)))
    assert "did you mean 'income'?" == caught.value.hint
    with pytest.raises(BadRequest, match="names no input"):
        estimators.inputs(contract, recipe(exclude=("origin",)))


def test_excluding_everything_is_refused(contract: Contract) -> None:
    """A model has at least one input."""
    every = tuple(column.name for column in estimators.inputs(contract, recipe()))
    with pytest.raises(BadRequest, match="leaves no input"):
        estimators.inputs(contract, recipe(exclude=every))


@pytest.mark.parametrize(
    ("estimator", "wrong", "hint"),
    [
        ("logistic_regression", "max_itr", "did you mean 'max_iter'?"),
        ("hist_gradient_boosting", "max_leaf_node", "did you mean 'max_leaf_nodes'?"),
    ],
)
def test_a_misspelt_hyperparameter_is_refused(estimator: str, wrong: str, hint: str) -> None:
    """The estimator's own parameter names are what counts."""
    with pytest.raises(BadRequest) as caught:
        estimators.classifier_for(recipe(estimator, hyperparameters={wrong: 3}), [])
    assert hint == caught.value.hint


@pytest.mark.parametrize("name", estimators.RESERVED)
def test_what_clew_sets_cannot_be_set(name: str) -> None:
    """Seed, threads and monotone directions come from elsewhere."""
    with pytest.raises(BadRequest) as caught:
        estimators.classifier_for(recipe(hyperparameters={name: 1}), [])
    assert name == caught.value.observed


@pytest.mark.parametrize("wrong", [{"C": -1.0}, {"max_iter": 1}])
def test_a_refused_value_and_a_fit_that_stops_early_are_bad_requests(
    wrong: dict[str, float], contract: Contract, people: pd.DataFrame
) -> None:
    """A model that did not converge is no model."""
    with pytest.raises(BadRequest, match="refused its hyperparameters"):
        fitted(recipe(hyperparameters=wrong), contract, people)


def test_trees_keep_the_contracts_direction(contract: Contract, people: pd.DataFrame) -> None:
    """More income never lowers the score when the contract says so; without it, it does."""
    free = msgspec.structs.replace(
        contract,
        columns=tuple(msgspec.structs.replace(each, monotone="no") for each in contract.columns),
    )
    steps = np.linspace(1.0, 80.0, 60)
    one = pd.concat([people.iloc[[0]]] * len(steps)).assign(income=steps)
    for asked, monotone in ((contract, True), (free, False)):
        model = fitted(recipe("hist_gradient_boosting"), asked, people)
        rises = np.diff(score.margins(model, one, "trees"))
        assert monotone == bool((rises >= 0).all())


@pytest.mark.parametrize("estimator", ["logistic_regression", "hist_gradient_boosting"])
def test_unknown_and_missing_values_are_scored(
    estimator: str, contract: Contract, people: pd.DataFrame
) -> None:
    """A category never seen is left out of the sum; a missing one has a weight of its own."""
    model = fitted(recipe(estimator), contract, people)
    kind = estimators.margin_kind(recipe(estimator))
    odd = people.iloc[[0]].copy()
    odd["town"], odd["owner"], odd["since"], odd["income"] = "Zz", None, None, None
    assert np.isfinite(score.margins(model, odd, kind)).all()
    names = model.named_steps[score.COLUMNS].get_feature_names_out()
    assert "texts__job_nan" in names
    assert "codes__owner_nan" in names
    assert "codes__grade_nan" not in names


def test_frequent_texts_are_categories_and_rare_ones_are_not(
    contract: Contract, people: pd.DataFrame
) -> None:
    """A text column without listed values gives at most MAX_CATEGORIES categories."""
    people["town"] = [f"t{number % 40:02d}" for number in range(len(people))]
    model = fitted(recipe(), contract, people)
    names = model.named_steps[score.COLUMNS].get_feature_names_out()
    towns = [name for name in names if name.startswith("texts__town_t")]
    assert estimators.MAX_CATEGORIES == len(towns)
