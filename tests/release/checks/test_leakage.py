"""Leakage: an input that gives the target away is found in whatever way it does."""
# ruff: noqa: ARG005 - each way to make a column takes the target and chance

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.release.checks import leakage
from tests.release import cases

ROWS = 1200


def area(values: Any, seed: int = 1) -> float:
    target = np.random.default_rng(0).integers(0, 2, ROWS)
    given_values = pd.Series(values(target, np.random.default_rng(seed)))
    return leakage.single_roc_auc(given_values, target, np.random.default_rng(2))


@pytest.mark.parametrize(
    "values",
    [
        lambda t, r: t,
        lambda t, r: 1 - t,
        lambda t, r: np.where(t == 1, "x", "y"),
        lambda t, r: np.where(t == 1, np.nan, r.normal(size=ROWS)),
        lambda t, r: np.where(t == 1, r.normal(size=ROWS), r.choice([-9.0, 9.0], ROWS)),
        lambda t, r: pd.array(np.where(t == 1, True, False), dtype="boolean"),
        lambda t, r: pd.array(t, dtype="Int64"),
    ],
    ids=["itself", "turned", "text", "missing", "both ends", "boolean", "nullable"],
)
def test_what_gives_the_target_away_is_found(values: Any) -> None:
    """As a number, turned round, as text, by being missing, or at both ends: above .95."""
    assert area(values) > 0.95


@pytest.mark.parametrize(
    "values",
    [
        lambda t, r: r.normal(size=ROWS),
        lambda t, r: np.where(r.random(ROWS) < 0.3, np.nan, r.normal(size=ROWS)),
        lambda t, r: r.choice(list("abcdef"), ROWS),
        lambda t, r: [f"p{number}" for number in range(ROWS)],
        lambda t, r: np.full(ROWS, np.nan),
        lambda t, r: np.full(ROWS, 3.0),
    ],
    ids=["number", "with missing", "text", "unique text", "all missing", "constant"],
)
def test_what_says_nothing_is_not_called_a_leak(values: Any) -> None:
    """Noise, text that never repeats, an empty and a constant column stay near .5."""
    assert 0.45 <= area(values) <= 0.6


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=2, max_size=60))
def test_any_column_gets_a_number(values: list[float | None]) -> None:
    """Whatever a numeric column holds, the area is between 0 and 1, or undefined by its target."""
    target = np.arange(len(values)) % 2
    column = pd.Series(values, dtype="float64")
    found = leakage.single_roc_auc(column, target, np.random.default_rng(1))
    assert 0.0 <= found <= 1.0


def test_one_class_is_no_pass() -> None:
    """With one class nothing can be measured: undefined, and the line fails."""
    found = leakage.single_roc_auc(
        pd.Series([1.0, 2.0]), np.array([1, 1]), np.random.default_rng(1)
    )
    assert np.isnan(found)
    limits = leakage.Thresholds(max_single_roc_auc=0.9)
    assert "fail" == leakage._strength("income", found, limits).outcome


def test_roles_that_are_no_inputs() -> None:
    """An id, an ignored column, the target and a column out of nowhere are no inputs."""
    features = ("income", "blue", "id", "answer", "paid", "nowhere")
    found = leakage.forbidden_inputs(features, cases.CONTRACT)
    assert ("id", "answer", "paid", "nowhere") == found
