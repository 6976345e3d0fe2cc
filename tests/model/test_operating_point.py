"""Where a score is cut and how it is scaled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from pipelines.contract import Contract
from pipelines.errors import BadRequest
from pipelines.model import score, train
from pipelines.model.operating_point import logistic_line, rescale, threshold
from tests.model.conftest import recipe

MARGINS = st.lists(st.floats(-50, 50), min_size=1, max_size=50)


@given(MARGINS, st.floats(0.01, 1.0))
def test_the_threshold_selects_the_rate_and_all_ties(margins: list[float], rate: float) -> None:
    """At least the wanted number is selected; without those at the cut it would be fewer."""
    values = np.array(margins)
    wanted = round(rate * len(values))
    if wanted == 0:
        with pytest.raises(BadRequest, match="gives nobody"):
            threshold(values, rate)
        return
    cut = threshold(values, rate)
    assert (values >= cut).sum() >= wanted > (values > cut).sum()


def test_the_logistic_line_is_the_unpenalised_fit() -> None:
    """Newton's method finds what scikit-learn finds without a penalty."""
    rng = np.random.default_rng(1)
    margin = rng.normal(0, 2, 400)
    target = (rng.random(400) < 1 / (1 + np.exp(-(0.4 + 0.6 * margin)))).astype(np.int64)
    line, covariance = logistic_line(margin, target)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(margin[:, None], target)
    assert np.allclose([fitted.intercept_[0], fitted.coef_[0, 0]], line, atol=1e-6)
    assert (np.linalg.eigvalsh(covariance) > 0).all()


@pytest.mark.parametrize("target", [[0, 0, 0, 0], [0, 0, 1, 1]])
def test_a_line_that_does_not_exist_is_nan(target: list[int]) -> None:
    """One class, or classes that the margin separates, have no finite line."""
    line, covariance = logistic_line(np.array([-2.0, -1.0, 1.0, 2.0]), np.array(target))
    assert np.isnan(line).all()
    assert np.isnan(covariance).all()


@pytest.mark.parametrize(
    ("estimator", "kind"), [("logistic_regression", "linear"), ("hist_gradient_boosting", "trees")]
)
def test_rescaling_works_the_line_into_the_estimator(
    estimator: str, kind: score.MarginKind, contract: Contract, people: pd.DataFrame
) -> None:
    """The rescaled model's margin is intercept + slope * margin, in the same order."""
    model = train.train(recipe(estimator), contract, people).model
    before = score.margins(model, people, kind)
    rescale(model.named_steps[score.ESTIMATOR], kind, -0.5, 0.25)
    after = score.margins(model, people, kind)
    assert np.allclose(-0.5 + 0.25 * before, after, rtol=0, atol=1e-12)
    with pytest.raises(BadRequest, match="turns its order round"):
        rescale(model.named_steps[score.ESTIMATOR], kind, 0.0, -1.0)
