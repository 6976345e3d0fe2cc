"""Discrimination and calibration with intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from pipelines.model import metrics
from pipelines.model.score import probabilities

ROWS = st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 1)), min_size=2, max_size=60)


def people(size: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(size)
    margin = rng.normal(0.5, 1.5, size)
    target = (rng.random(size) < probabilities(slope * margin)).astype(np.int64)
    return margin, target


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_counts_by_cell_give_what_the_rows_give(rows: list[tuple[int, int]]) -> None:
    """Not resampled, the cells' measures are the rows', ties and all."""
    margin = np.array([float(each) for each, _ in rows])
    target = np.array([each for _, each in rows])
    cells = metrics.cut(margin, target)
    found = metrics.of_cells(cells, cells.counts[None])
    for name, expected in metrics.of_rows(margin, target).items():
        assert np.allclose(expected, found[name][0], rtol=0, atol=1e-9, equal_nan=True), name


def test_measures_are_scikit_learns() -> None:
    """ROC AUC, average precision, log loss and Brier score equal the library's."""
    margin, target = people(700)
    share, found = probabilities(margin), metrics.of_rows(margin, target)
    assert roc_auc_score(target, margin) == found["roc_auc"]
    assert average_precision_score(target, margin) == found["pr_auc"]
    assert pytest.approx(log_loss(target, share), abs=1e-12) == found["log_loss"]
    assert pytest.approx(brier_score_loss(target, share), abs=1e-12) == found["brier"]


def test_the_calibration_error_is_the_mean_gap_of_ten_bins() -> None:
    """On distinct margins in ten equal bins it is the textbook number."""
    margin, target = people(500)
    order = np.argsort(margin)
    gaps = [
        abs(probabilities(margin)[part].mean() - target[part].mean())
        for part in np.array_split(order, 10)
    ]
    found = metrics.of_rows(margin, target)["calibration_error"]
    assert pytest.approx(np.mean(gaps), abs=1e-12) == found


def test_one_outcome_alone_leaves_ranking_undefined() -> None:
    """Without both outcomes there is no ROC AUC, PR AUC or slope; never 0, never 1."""
    found = metrics.describe(
        np.array([0.1, 2.0]), np.array([1, 1]), 20, 0.9, np.random.default_rng(1)
    )
    for name in ("roc_auc", "pr_auc", "calibration_slope", "calibration_intercept"):
        assert np.isnan([found[name].value, found[name].low, found[name].high]).all()
    assert found["brier"].value > 0


def test_the_interval_of_roc_auc_is_that_of_resampled_rows() -> None:
    """Drawing cells gives the interval that drawing rows gives, within the bootstrap's noise."""
    margin, target = people(300)
    rng = np.random.default_rng(2)
    found = metrics.describe(margin, target, 2000, 0.95, rng)["roc_auc"]
    drawn = [
        roc_auc_score(target[rows], margin[rows]) for rows in rng.integers(0, 300, (1000, 300))
    ]
    assert np.allclose(np.quantile(drawn, [0.025, 0.975]), [found.low, found.high], atol=0.01)


def test_many_rows_use_bounded_cells() -> None:
    """Above MAX_CELLS distinct margins, cells are ranges and change next to nothing."""
    margin, target = people(20_000)
    cells = metrics.cut(margin, target)
    assert len(cells.counts) <= metrics.MAX_CELLS
    assert 20_000 == cells.counts.sum()
    found = metrics.of_cells(cells, cells.counts[None])
    for name, expected in metrics.of_rows(margin, target).items():
        assert pytest.approx(expected, abs=1e-3) == found[name][0]


def test_the_slope_says_who_is_too_sure() -> None:
    """Margins twice too large have a slope of a half, inside its interval."""
    margin, target = people(4000, slope=0.5)
    found = metrics.calibration_line(margin, target, 0.99)["calibration_slope"]
    assert found.low < 0.5 < found.high < 1.0


def test_the_curve_counts_everybody() -> None:
    """The bins of the calibration curve hold all rows, in rising order of probability."""
    margin, target = people(333)
    curve = metrics.calibration_curve(margin, target)
    assert 333 == sum(each["n"] for each in curve)
    predicted = [each["predicted"] for each in curve]
    assert sorted(predicted) == predicted
