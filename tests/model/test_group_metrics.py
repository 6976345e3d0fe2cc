"""Fairness measures from counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score

from pipelines.model import group_metrics as gm

ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 1), st.integers(0, 1)),
    min_size=1,
    max_size=60,
)


def table(*rows: tuple[str, int, int]) -> gm.GroupCounts:
    return gm.count(*zip(*rows, strict=True))


def counted(**cells: tuple[int, int, int, int]) -> gm.GroupCounts:
    """Give counts by group: (denied bad, denied good, favoured bad, favoured good)."""
    return gm.GroupCounts(tuple(cells), np.array(list(cells.values())).reshape(-1, 2, 2))


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_one_pass_counts_every_row(rows: list[tuple[str, int, int]]) -> None:
    """The table holds, for each group, outcome and target, as many people as there are rows."""
    found = table(*rows)
    expected = {
        (name, outcome, target): rows.count((name, outcome, target))
        for name in found.names
        for outcome in (0, 1)
        for target in (0, 1)
    }
    observed = {
        (name, outcome, target): int(found.table[at, outcome, target])
        for at, name in enumerate(found.names)
        for outcome in (0, 1)
        for target in (0, 1)
    }
    assert expected == observed
    assert len(rows) == found.sizes.sum()


def test_rates_are_those_of_fairlearn() -> None:
    """Selection, true and false positive rate and precision equal fairlearn's, group by group."""
    rng = np.random.default_rng(1)
    group = rng.choice(["a", "b", "c"], 500)
    outcome, target = rng.integers(0, 2, 500), rng.integers(0, 2, 500)
    frame = fairlearn.MetricFrame(
        metrics={
            "selection_rate": fairlearn.selection_rate,
            "true_positive_rate": fairlearn.true_positive_rate,
            "false_positive_rate": fairlearn.false_positive_rate,
            "positive_predictive_value": precision_score,
        },
        y_true=target,
        y_pred=outcome,
        sensitive_features=group,
    )
    found = gm.measures(gm.count(group, outcome, target).table, 0)
    for name in frame.by_group.columns:
        assert np.allclose(frame.by_group[name].to_numpy(), found[name], rtol=0, atol=1e-15)


def test_undefined_is_nan_and_not_zero() -> None:
    """A group without a qualified person has no true positive rate, nor a gap in it."""
    counts = counted(a=(5, 5, 5, 5), b=(10, 0, 10, 0))
    found = gm.measures(counts.table, 0)
    assert np.isnan(found["true_positive_rate"][1])
    assert np.isnan(found["equal_opportunity_difference"][1])
    nobody = gm.measures(counted(a=(9, 9, 0, 0), b=(4, 4, 0, 0)).table, 0)
    assert np.isnan(nobody["impact_ratio"]).all()
    assert np.isnan(nobody["positive_predictive_value"]).all()


def test_reference_is_the_highest_rate_of_sufficient_size() -> None:
    """A few lucky people are no yardstick, and neither are people of unknown group."""
    counts = counted(
        few=(0, 0, 2, 3), many=(20, 20, 20, 40), more=(30, 30, 10, 30), unknown=(0, 0, 0, 50)
    )
    assert 1 == counts.reference(min_size=30)
    assert 0 == counts.reference(min_size=5)
    assert counts.reference(min_size=1000) is None
    assert np.isnan(gm.against_reference(counts.table, None)["impact_ratio"]).all()


def test_a_joined_group_of_unknown_part_is_not_eligible() -> None:
    """An intersection counts as unknown when either of its parts is."""
    counts = counted(**{"black & unknown": (0, 0, 0, 99), "black & old": (9, 9, 9, 9)})
    assert [False, True] == counts.eligible(1).tolist()


def test_impact_ratio_is_the_rate_over_the_references() -> None:
    """Half the rate is a ratio of a half; differences are the group's less the reference's."""
    counts = counted(a=(0, 0, 50, 50), b=(25, 25, 25, 25))
    found = gm.against_reference(counts.table, counts.reference(30))
    assert [1.0, 0.5] == found["impact_ratio"].tolist()
    assert [0.0, -0.5] == found["equal_opportunity_difference"].tolist()
    assert [0.0, 0.0] == found["predictive_parity_difference"].tolist()


def test_intersections_join_every_two_attributes() -> None:
    """Three attributes have three intersections, each row named by both of its groups."""
    named = {"race": ["b", "w"], "sex": ["f", "m"], "age": ["o", "y"]}
    found = gm.intersections(named)
    assert ["race & sex", "race & age", "sex & age"] == list(found)
    assert ["b & f", "w & m"] == found["race & sex"].tolist()


def test_bootstrap_keeps_group_sizes_and_follows_its_seed() -> None:
    """Each draw holds as many people per group as there are; the same seed gives the same draws."""
    counts = counted(a=(1, 2, 3, 4), b=(0, 0, 0, 0), c=(9, 0, 0, 1))
    drawn = gm.bootstrap(counts.table, 50, np.random.default_rng(1))
    assert (50, 3, 2, 2) == drawn.shape
    assert (drawn.sum(axis=(2, 3)) == counts.sizes).all()
    assert (drawn == gm.bootstrap(counts.table, 50, np.random.default_rng(1))).all()
    assert not (drawn == gm.bootstrap(counts.table, 50, np.random.default_rng(2))).all()


def test_bootstrap_spreads_as_resampled_rows_do() -> None:
    """The interval of a rate equals that of rows drawn with replacement, within its own noise."""
    rng = np.random.default_rng(3)
    outcome = np.repeat([0, 1], [60, 140])
    counts = gm.count(np.full(200, "a"), outcome, outcome)
    low, high = gm.interval(gm.selection_rate(gm.bootstrap(counts.table, 4000, rng))[:, 0], 0.95)
    rows = rng.choice(outcome, (4000, 200)).mean(axis=1)
    assert np.allclose(np.quantile(rows, [0.025, 0.975]), [low, high], atol=0.011)


def test_an_interval_with_an_undefined_draw_is_undefined() -> None:
    """Draws without a value are not left out: the interval says that it does not know."""
    low, high = gm.interval(np.array([[0.1, np.nan], [0.2, 0.5]]), 0.9)
    assert np.isnan([low[1], high[1]]).all()
    assert pytest.approx(0.105) == low[0]


def test_group_columns_are_read_from_the_scores() -> None:
    """The attributes of a table of scores are its columns ``group:NAME``, in order."""
    frame = pd.DataFrame(columns=["_row", "margin", "group:race", "group:marital status"])
    assert {
        "race": "group:race",
        "marital status": "group:marital status",
    } == gm.group_columns(frame)
