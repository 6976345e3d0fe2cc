"""Training drift: alarms on drift, not on chance, and measures what Evidently measures."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.data import profile as profiles
from pipelines.release.checks import training_drift as drift
from pipelines.release.checks._case import Line
from tests.release import cases

LIMITS = drift.Thresholds(
    max_wasserstein=0.2,
    max_psi=0.2,
    max_jensen_shannon=0.15,
    max_null_rate_change=0.05,
    alpha=0.05,
)
COLUMNS = drift.compared(cases.CONTRACT)


def lines(current: pd.DataFrame, reference: pd.DataFrame) -> tuple[Line, ...]:
    """Compare two samples as the check does: the reference's bins for both."""
    before = cases.profile_of(reference)
    now = profiles.profile([current], cases.CONTRACT, before.edges)
    return drift.compare(now, before, COLUMNS, LIMITS)[0]


def failed(found: tuple[Line, ...]) -> set[str]:
    return {line.name for line in found if line.outcome == "fail"}


def numbers(values: Any, reference: Any) -> tuple[profiles.Numbers, profiles.Numbers]:
    """Return the profiles of one numeric column in two samples."""
    edges = profiles.edges_of(np.asarray(reference, float))
    found = []
    for each in (values, reference):
        array = np.asarray(each, float)
        counts = np.bincount(np.searchsorted(edges, array), minlength=len(edges) + 1)
        found.append(
            profiles.Numbers(
                minimum=array.min(),
                maximum=array.max(),
                mean=array.mean(),
                std=array.std(),
                edges=tuple(edges),
                counts=tuple(counts.tolist()),
            )
        )
    return found[0], found[1]


def test_compared_are_inputs_groups_and_target() -> None:
    """Ignored columns and ids are not compared."""
    assert ("income", "debt", "job", "blue", "years", "paid") == COLUMNS


def test_the_same_rows_do_not_drift() -> None:
    """A sample against itself scores 0 everywhere and passes."""
    rows = cases.applicants(1500, 3)
    found = lines(rows, rows)
    assert {"pass"} == {line.outcome for line in found}
    assert 0.0 == max(line.value or 0.0 for line in found)


def test_false_alarms_on_resampled_data_are_rare() -> None:
    """On samples drawn from the reference itself, whole reports fail in under 5 of 100."""
    rows, rng = cases.applicants(3000, 4), np.random.default_rng(9)
    alarms = 0
    for _ in range(60):
        order = rng.permutation(len(rows))
        alarms += bool(failed(lines(rows.iloc[order[:1000]], rows.iloc[order[1000:]])))
    assert alarms <= 3


def test_a_shift_is_named_by_column() -> None:
    """A mean that moved by half a standard deviation fails, in that column only."""
    found = lines(cases.applicants(1500, 5, shift=5.0), cases.applicants(1500, 6))
    assert {"income"} == {name.split(":")[0] for name in failed(found)}


def test_new_categories_fail() -> None:
    """A category that the champion never saw, held by a third of the rows, fails."""
    changed = cases.applicants(1500, 5, jobs=["baker", "smith", "pilot"])
    found = lines(changed, cases.applicants(1500, 6))
    assert {"job: Jensen-Shannon distance"} == failed(found)


def test_missing_values_are_seen() -> None:
    """A column that loses nine tenths of its values drifts, though the rest are alike."""
    rows = cases.applicants(1500, 5)
    rows.loc[rows.index % 10 != 0, "debt"] = np.nan
    found = failed(lines(rows, cases.applicants(1500, 6)))
    assert "debt: change of the share of missing values" in found


def test_a_tiny_spread_hides_nothing() -> None:
    """A shift of eight standard deviations counts as eight, however small the deviation is."""
    rng = np.random.default_rng(1)
    reference = rng.normal(0.0, 1e-5, 2000)
    current, before = numbers(rng.normal(8e-5, 1e-5, 2000), reference)
    assert drift.wasserstein(current, before) == pytest.approx(8.0, rel=0.05)


def test_one_outlier_hides_nothing() -> None:
    """One value of a million leaves the bins where they were: the shift is still seen."""
    rng = np.random.default_rng(1)
    reference, shifted = rng.normal(0.0, 1.0, 2000), rng.normal(1.0, 1.0, 2000)
    clean = drift.psi(*(each.counts for each in numbers(shifted, reference)))
    spoiled = drift.psi(*(each.counts for each in numbers(np.append(shifted, 1e6), reference)))
    assert spoiled == pytest.approx(clean, rel=0.02)
    assert clean > 0.5


def test_a_constant_that_varies_fails() -> None:
    """A column without spread has no distance; any other value in it fails."""
    before = cases.applicants(1500, 5)
    before["debt"] = 3.0
    now = before.copy()
    assert set() == failed(lines(now, before))
    now.loc[7, "debt"] = 4.0
    assert {"debt: normalised Wasserstein distance"} == failed(lines(now, before))


def test_too_few_rows_cannot_be_judged() -> None:
    """Where chance alone exceeds the threshold the answer is not-enough-data, not a pass."""
    found = lines(cases.applicants(30, 5), cases.applicants(1500, 6))
    outcomes = {line.name: line.outcome for line in found}
    assert "not-enough-data" == outcomes["income: normalised Wasserstein distance"]
    assert "not-enough-data" == outcomes["job: Jensen-Shannon distance"]


def test_a_column_the_champion_did_not_have_is_not_passed_over() -> None:
    """A new input has nothing to compare with, and that is said."""
    rows = cases.applicants(1500, 5)
    now = cases.profile_of(rows)
    kept = {name: each for name, each in now.columns.items() if name != "income"}
    before = msgspec.structs.replace(now, columns=kept)
    found = {line.name: line.outcome for line in drift.compare(now, before, COLUMNS, LIMITS)[0]}
    assert "not-enough-data" == found["income"]


@pytest.mark.parametrize("effect", [0.3, 5.0])
@pytest.mark.parametrize("p", [0.001, 0.5])
def test_an_alert_needs_effect_and_significance(effect: float, p: float) -> None:
    """Beyond the threshold alone, or significant alone, is no alert."""
    found = drift.Drift("income", "wasserstein", effect, 0.01, p)
    expected = "fail" if effect > 1.0 and p < 0.05 else "pass"
    limits = msgspec.structs.replace(LIMITS, max_wasserstein=1.0)
    assert expected == drift.judge_drift(found, p, limits)


def test_chance_sets_a_floor_to_the_threshold() -> None:
    """A score under what chance gives at this size is no alert, whatever the threshold."""
    found = drift.Drift("income", "psi", 0.3, 0.4, 0.001)
    assert "not-enough-data" == drift.judge_drift(found, 0.001, LIMITS)


@pytest.mark.parametrize("kinds", [3, 10])
def test_the_floors_are_the_quantiles_of_chance(kinds: int) -> None:
    """About 95 of 100 samples without drift stay under the floor of each measure."""
    rng = np.random.default_rng(kinds)
    pairs = rng.multinomial(800, np.full(kinds, 1.0 / kinds), (600, 2))
    for measure, score in (("psi", drift.psi), ("jensen_shannon", drift.jensen_shannon)):
        floor = drift.floor(measure, 800, 800, kinds)  # type: ignore[arg-type]
        below = np.mean([score(one, two) <= floor for one, two in pairs])
        assert below == pytest.approx(0.95, abs=0.03)


def test_the_floor_of_the_distance_is_that_of_chance() -> None:
    """At least 93 of 100 normal samples without drift stay under the distance's floor."""
    rng, below = np.random.default_rng(4), 0
    for _ in range(200):
        found = drift.wasserstein(*numbers(rng.normal(size=500), rng.normal(size=900)))
        below += found <= drift.floor("wasserstein", 500, 900, 10)
    assert below >= 186


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.0])
def test_the_distance_is_close_to_the_exact_one(shift: float) -> None:
    """From ten bins and the means the distance is within .01 deviations of the exact one."""
    rng = np.random.default_rng(3)
    reference, current = rng.lognormal(size=4000), rng.lognormal(size=4000) + shift
    exact = stats.wasserstein_distance(current, reference) / reference.std()
    assert exact == pytest.approx(drift.wasserstein(*numbers(current, reference)), abs=0.01)


def test_evidently_measures_the_same() -> None:
    """Where the method is the same, Evidently's score is ours: Jensen-Shannon and Wasserstein."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    now = cases.applicants(1500, 5, shift=4.0, jobs=["baker", "baker", "smith", "tailor"])
    before = cases.applicants(1500, 6)
    kinds = DataDefinition(numerical_columns=["income"], categorical_columns=["job"])
    kept = [
        pd.DataFrame({"income": each["income"].astype(float), "job": each["job"].astype(object)})
        for each in (now, before)
    ]
    report = Report(
        [
            ValueDrift(column="income", method="wasserstein"),
            ValueDrift(column="job", method="jensenshannon"),
        ]
    ).run(*(Dataset.from_pandas(each, kinds) for each in kept))
    theirs = [float(metric["value"]) for metric in report.dict()["metrics"]]
    ours = {line.name: line.value for line in lines(now, before)}
    assert theirs[0] == pytest.approx(ours["income: normalised Wasserstein distance"], rel=0.03)
    assert theirs[1] == pytest.approx(ours["job: Jensen-Shannon distance"], rel=1e-6)
