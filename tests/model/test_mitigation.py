"""The fairness-aware search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.contract import Contract
from pipelines.errors import BadRequest, DataRefused
from pipelines.model import mitigation, score, train
from pipelines.model.mitigation import Fit
from pipelines.params import Mitigation
from tests.model.conftest import recipe

SEARCH = Mitigation(
    method="grid_search",
    constraint="demographic_parity",
    attribute="origin",
    grid_size=5,
    grid_limit=0.6,
    folds=3,
    target_ratio=0.85,
)


def fit(roc_auc: float, ratio: float) -> Fit:
    return Fit({}, roc_auc, {"a": 1.0, "b": ratio})


def test_the_best_of_those_that_reach_the_target_is_chosen() -> None:
    """The highest ROC AUC at or above the target ratio; the first of equals."""
    found = [fit(0.9, 0.7), fit(0.8, 0.85), fit(0.8, 0.9), fit(0.7, 1.0)]
    assert (1, True) == mitigation.choose(found, 0.85)


def test_without_one_that_reaches_it_the_highest_ratio_is_taken_and_said() -> None:
    """The fall-back is not silent: the second value is False."""
    found = [fit(0.9, 0.7), fit(0.8, 0.8), fit(0.7, float("nan"))]
    assert (1, False) == mitigation.choose(found, 0.85)


def test_pressure_goes_to_the_groups_that_lag() -> None:
    """Size times lag, summing to 1; small and unknown groups count as the reference."""
    groups = np.repeat(["ahead", "behind", "further", "few", "unknown"], [100, 100, 50, 5, 40])
    good = np.concatenate(
        [
            np.arange(100) < 90,
            np.arange(100) < 80,
            np.arange(50) < 25,
            np.zeros(5, dtype=bool),
            np.zeros(40, dtype=bool),
        ]
    ).astype(np.int64)
    found = mitigation.pressure(groups, good, 30)
    assert {"behind": pytest.approx(10 / 30), "further": pytest.approx(20 / 30)} == found.directions
    assert ["ahead", "behind", "further"] == sorted(set(found.groups))
    assert (found.groups[groups == "few"] == "ahead").all()


def test_a_search_without_a_gap_is_refused() -> None:
    """One large group, or groups that fare alike, leave nothing to press."""
    alike = np.tile([1, 0], 50)
    with pytest.raises(DataRefused, match="no two large groups"):
        mitigation.pressure(np.full(100, "one"), alike, 30)
    with pytest.raises(DataRefused, match="no two large groups"):
        mitigation.pressure(np.repeat(["a", "b"], 50), alike, 30)


def test_the_path_starts_at_no_pressure_and_ends_at_the_limit() -> None:
    """Vectors are evenly apart along one direction."""
    found = mitigation.path({"a": 0.25, "b": 0.75}, 3, 2.0)
    assert ({"a": 0.0, "b": 0.0}, {"a": 0.25, "b": 0.75}, {"a": 0.5, "b": 1.5}) == found
    for size, limit in ((1, 1.0), (5, 0.0)):
        with pytest.raises(BadRequest, match="a search needs"):
            mitigation.path({"a": 1.0}, size, limit)


def test_no_pressure_is_the_plain_fit(contract: Contract, people: pd.DataFrame) -> None:
    """The first point of the path scores as the recipe without a mitigation does."""
    plain = train.train(recipe(), contract, people)
    wanted = recipe(mitigation=Mitigation(**{**_fields(SEARCH), "target_ratio": 0.0}))
    searched = train.train(wanted, contract, people)
    assert 0 == searched.report["chosen"]
    expected = plain.model.named_steps[score.ESTIMATOR].coef_
    rescaled = [each.report["rescaled"]["slope"] for each in (plain, searched)]
    found = searched.model.named_steps[score.ESTIMATOR].coef_
    assert np.allclose(expected / rescaled[0], found / rescaled[1], atol=1e-3)


@pytest.mark.parametrize("constraint", ["demographic_parity", "true_positive_rate_parity"])
def test_pressure_raises_the_lagging_groups_rate(
    constraint: str, contract: Contract, people: pd.DataFrame
) -> None:
    """Out of fold, the ratio at the end of the path is above the unpressed one."""
    search = Mitigation(**{**_fields(SEARCH), "constraint": constraint, "grid_limit": 1.0})
    report = train.train(recipe(mitigation=search), contract, people).report
    ratios = [each["selection_rate_ratio"] for each in report["fits"]]
    assert ratios[0] < 0.8
    assert ratios[-1] > ratios[0] + 0.05


def test_the_final_model_never_sees_the_attribute(contract: Contract, people: pd.DataFrame) -> None:
    """It is one plain estimator: its inputs hold no protected column, and it draws no lots."""
    trained = train.train(recipe(mitigation=SEARCH), contract, people)
    assert not {"origin", "years"} & set(trained.features)
    assert "LogisticRegression" == type(trained.model.named_steps[score.ESTIMATOR]).__name__
    swapped = people.assign(origin=people["origin"].map({"north": "south", "south": "north"}))
    expected = score.margins(trained.model, people, "linear")
    assert expected.tobytes() == score.margins(trained.model, swapped, "linear").tobytes()


def test_an_unreached_target_is_said_in_the_report(
    contract: Contract, people: pd.DataFrame
) -> None:
    """training.json names the target, that it was not reached, and what was taken instead."""
    search = Mitigation(**{**_fields(SEARCH), "target_ratio": 1.5})
    report = train.train(recipe(mitigation=search), contract, people).report
    assert report["mitigation"]["reached"] is False
    assert "no fit reaches" in report["mitigation"]["says"]
    best = max(each["selection_rate_ratio"] for each in report["fits"])
    assert best == report["fits"][report["chosen"]]["selection_rate_ratio"]


def test_an_unknown_attribute_is_refused_with_the_closest_name(
    contract: Contract, people: pd.DataFrame
) -> None:
    """A misspelt attribute must not leave a gap unpressed."""
    search = Mitigation(**{**_fields(SEARCH), "attribute": "orign"})
    with pytest.raises(BadRequest) as caught:
        train.train(recipe(mitigation=search), contract, people)
    assert "did you mean 'origin'?" == caught.value.hint


def test_a_limit_that_leaves_one_outcome_is_refused(
    contract: Contract, people: pd.DataFrame
) -> None:
    """A multiplier so high that every row gets the same label is named as the cause."""
    rows = np.zeros((4, 1))
    groups, good = np.array(["a", "a", "b", "b"]), np.array([1, 1, 1, 1])
    with pytest.raises(BadRequest, match="one outcome only"):
        mitigation.fits(recipe(mitigation=SEARCH), [0], rows, good, groups, [{"b": 0.0}])


def _fields(settings: Mitigation) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
