"""The domain classifier: sees what no single column shows, and is off unless it is asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.release import cases
from tests.watch.world import World, at, found


def crossed(rows: int, seed: int, sign: float) -> pd.DataFrame:
    """Return people whose debts follow, or run against, their income; each column is alike."""
    people = cases.applicants(rows, seed)
    order = np.argsort(sign * people["income"].to_numpy())
    debts = np.sort(np.random.default_rng(seed).gamma(2.0, 5.0, rows))
    people["debt"] = pd.Series(debts[np.argsort(order)], dtype="float64")
    return people


def test_a_joint_change_is_seen_by_the_classifier_alone(world: World) -> None:
    """Debts that run against income where they followed it alarm, and no single column does."""
    world.decide(crossed(500, 2, 1.0), at(10, 9))
    world.watch("2026-09")
    world.decide(crossed(500, 2, -1.0), at(10, 10))
    report = world.watch(max_domain_auc=0.65)
    assert ["alarm"] == [each.status for each in found(report, "domain")]
    assert [] == [each.of for each in found(report, "former") if each.status == "alarm"]


def test_alike_windows_are_not_told_apart(world: World) -> None:
    """Two draws of the same people give an AUC near one half."""
    world.decide(cases.applicants(500, 2), at(10, 9))
    world.decide(cases.applicants(500, 3), at(10, 10))
    assert ["ok"] == [e.status for e in found(world.watch(max_domain_auc=0.65), "domain")]
    assert [] == found(world.watch(), "domain")


def test_without_a_window_before_there_is_not_enough_data(world: World) -> None:
    """Nobody to compare with is said, and is no "told apart"."""
    world.decide(cases.applicants(200, 3))
    statuses = [e.status for e in found(world.watch(max_domain_auc=0.65), "domain")]
    assert ["not-enough-data"] == statuses
