"""Privacy: a model that remembers its people is told from one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.layout import State
from pipelines.release.checks import privacy
from pipelines.release.checks.privacy import Thresholds
from tests.release import cases

LIMITS = Thresholds(max_advantage=0.1, max_roc_auc=0.56)
REMEMBERS = (
    "estimator: hist_gradient_boosting\n"
    "    hyperparameters: {max_iter: 300, max_leaf_nodes: 64, min_samples_leaf: 2}"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("privacy")
    return cases.make(folder / "repo", State(folder / "var"))


def outcomes(members: np.ndarray, others: np.ndarray) -> list[str]:
    return [line.outcome for line in privacy.lines(members, others, LIMITS, 0.95)]


def test_a_plain_model_does_not_tell_its_people(world: cases.World) -> None:
    """A few weights hold no one: losses of training and test look alike."""
    found = privacy.judge(world.case, world.limits("privacy"))
    assert "pass" == found.outcome
    assert (800, 800) == (found.evidence["members"], found.evidence["others"])


def test_a_model_that_remembers_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Deep trees fitted to the last row give their people away, by both attacks."""
    folder = tmp_path_factory.mktemp("remembers")
    found = privacy.judge(cases.changed(folder, cases.LINEAR, REMEMBERS).case, LIMITS)
    assert ["fail", "fail"] == [line.outcome for line in found.lines]
    assert found.evidence["advantage"] > 0.2


def test_the_attack_is_that_of_the_paper() -> None:
    """Advantage is the share of members at or under the mean training loss less the others'."""
    members, others = np.array([0.0, 0.0, 0.0, 4.0]), np.array([0.5, 2.0, 2.0, 0.9])
    advantage, area = privacy.lines(members, others, LIMITS, 0.95)
    assert 0.25 == advantage.value
    assert 12 / 16 == area.value


@pytest.mark.parametrize(
    ("size", "shift", "expected"),
    [(4000, 0.0, "pass"), (4000, 1.0, "fail"), (60, 0.0, "not-enough-data")],
)
def test_the_whole_interval_counts(size: int, shift: float, expected: str) -> None:
    """Alike and many passes, apart fails, and too few to tell is no pass."""
    rng = np.random.default_rng(3)
    members, others = rng.normal(0.0, 1.0, size), rng.normal(shift, 1.0, size)
    assert [expected, expected] == outcomes(members, others)


def test_nobody_to_compare_with_fails() -> None:
    """Without a test part nothing is shown to be kept, and undefined is no pass."""
    members = np.array([0.1, 0.2, 0.3])
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        found = list(privacy.lines(members, np.zeros(0), LIMITS, 0.95))
    assert {"fail"} == {line.outcome for line in found}


def test_losses_are_of_each_persons_own_target(world: cases.World) -> None:
    """A row's loss is the negative log probability of what came out for it."""
    case = world.case
    rows = case.rows("test")
    share = 1.0 / (1.0 + np.exp(-case.margins(rows)))
    chosen = np.where(case.favourable(rows) == 1, share, 1.0 - share)
    assert np.allclose(-np.log(chosen), privacy.losses_of(case, "test"))
