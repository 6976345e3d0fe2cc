"""Bias: our numbers are fairlearn's and scipy's, and small groups neither pass nor fail by luck."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate
from scipy.stats import fisher_exact
from sklearn.metrics import precision_score

from pipelines.model import group_metrics
from pipelines.model.group_metrics import GroupCounts
from pipelines.release.checks import bias
from pipelines.release.checks._case import Line

LIMITS = bias.Thresholds(
    definition="selection_rate",
    attributes=("*",),
    intersections="gate",
    min_ratio=0.8,
    max_difference=0.1,
    alpha=0.05,
    min_group_size=30,
)


def people(sizes: dict[str, int], rates: dict[str, float], seed: int = 1) -> tuple[Any, ...]:
    """Return group, outcome and target of people; `rates` are exact shares of outcomes."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(list(sizes), list(sizes.values()))
    favourable = np.concatenate(
        [np.arange(size) < round(rates[name] * size) for name, size in sizes.items()]
    ).astype(int)
    return groups, favourable, rng.integers(0, 2, len(groups))


def compared(counts: GroupCounts, limits: bias.Thresholds = LIMITS) -> list[bias.Comparison]:
    drawn = group_metrics.bootstrap(counts.table, 300, np.random.default_rng(2))
    return list(bias.compare("colour", counts, limits.min_group_size, drawn, 0.95))


def judged(
    sizes: dict[str, int], rates: dict[str, float], limits: bias.Thresholds = LIMITS
) -> dict[str, str]:
    """Return each group's outcome by the gating definition."""
    found = compared(group_metrics.count(*people(sizes, rates)), limits)
    kept = [each for each in found if each.definition == limits.definition]
    return {each.group: bias.outcome(each, limits) for each in kept}


def test_the_numbers_are_fairlearns() -> None:
    """Rates, ratio and differences of each group are those of fairlearn's MetricFrame."""
    sizes, rates = {"a": 400, "b": 150, "c": 60}, {"a": 0.6, "b": 0.45, "c": 0.5}
    groups, favourable, target = people(sizes, rates)
    frame = MetricFrame(
        metrics={
            "rate": selection_rate,
            "tpr": true_positive_rate,
            "ppv": precision_score,
        },
        y_true=target,
        y_pred=favourable,
        sensitive_features=groups,
    ).by_group
    for each in compared(group_metrics.count(groups, favourable, target)):
        mine, best = frame.loc[each.group], frame.loc["a"]
        expected = {
            "selection_rate": mine["rate"] / best["rate"],
            "equal_opportunity": mine["tpr"] - best["tpr"],
            "predictive_parity": mine["ppv"] - best["ppv"],
        }[each.definition]
        assert expected == pytest.approx(each.value)
        assert "a" == each.reference


def test_p_values_are_fishers_with_holm() -> None:
    """With two groups to compare, the smaller p of Fisher's exact test is doubled."""
    sizes, rates = {"a": 200, "b": 100, "c": 50}, {"a": 0.6, "b": 0.4, "c": 0.5}
    found = compared(group_metrics.count(*people(sizes, rates)))
    p = {each.group: each.p for each in found if each.definition == "selection_rate"}
    raw = fisher_exact([[40, 60], [120, 80]]).pvalue
    assert 2.0 * raw == pytest.approx(p["b"])


@pytest.mark.parametrize(
    ("minority", "rate", "expected"),
    [
        (400, 0.40, "fail"),
        (40, 0.46, "not-enough-data"),
        (400, 0.55, "pass"),
        (12, 0.60, "not-enough-data"),
        (20, 0.05, "fail"),
    ],
)
def test_a_ratio_is_judged_with_its_significance(minority: int, rate: float, expected: str) -> None:
    """Below four fifths: significant fails, else nothing is told; a small group never passes."""
    sizes, rates = {"a": 400, "b": minority}, {"a": 0.6, "b": rate}
    assert {"b": expected} == judged(sizes, rates)


def test_nobody_selected_fails() -> None:
    """Where nobody is selected the ratio is undefined, and undefined is no pass."""
    assert {"b": "fail"} == judged({"a": 100, "b": 100}, {"a": 0.0, "b": 0.0})


def test_the_reference_is_no_tiny_group() -> None:
    """Three people who all were selected set no standard; the highest large group does."""
    found = compared(
        group_metrics.count(*people({"a": 100, "b": 100, "c": 3}, {"a": 0.6, "b": 0.5, "c": 1.0}))
    )
    assert {"a"} == {each.reference for each in found}


def test_a_group_without_qualified_people_shows_no_gap() -> None:
    """A group without a favourable target has no true positive rate: not told, no gap of 1."""
    limits = msgspec.structs.replace(LIMITS, definition="equal_opportunity")
    groups = np.repeat(["a", "b"], [100, 100])
    favourable = np.tile([0, 1], 100)
    target = np.where(groups == "b", 0, 1)
    (found,) = [
        each
        for each in compared(group_metrics.count(groups, favourable, target), limits)
        if each.definition == "equal_opportunity"
    ]
    assert np.isnan(found.value)
    assert "not-enough-data" == bias.outcome(found, limits)


def test_a_few_people_are_not_named() -> None:
    """A group of so few that it points at persons appears without its name."""
    counts = group_metrics.count(*people({"a": 100, "zqjxvk": 4}, {"a": 0.5, "zqjxvk": 0.0}))
    found = compared(counts)
    assert found
    assert not [each for each in found if "zqjxvk" in each.group]


def lines_of(attribute: str, rate: float, size: int, **changes: Any) -> list[Line]:
    """Return the lines of one attribute whose group b is selected at a rate."""
    limits = msgspec.structs.replace(LIMITS, **changes)
    counts = group_metrics.count(*people({"a": 400, "b": size}, {"a": 0.6, "b": rate}))
    drawn = group_metrics.bootstrap(counts.table, 100, np.random.default_rng(2))
    found = bias.compare(attribute, counts, limits.min_group_size, drawn, 0.95)
    return [bias.line(each, limits, gates=True, confidence=0.95) for each in found]


@pytest.mark.parametrize(
    ("rule", "significant", "underpowered"),
    [("gate", True, True), ("gate-if-significant", True, False), ("show", False, False)],
)
def test_an_intersection_counts_as_the_pack_says(
    rule: str, significant: bool, underpowered: bool
) -> None:
    """A pack may gate on intersections, on significant ones only, or show them."""
    first = lines_of("colour & age", 0.3, 400, intersections=rule)
    assert ("fail", significant) == (first[0].outcome, first[0].counts)
    second = lines_of("colour & age", 0.46, 40, intersections=rule)
    assert ("not-enough-data", underpowered) == (second[0].outcome, second[0].counts)


def test_only_the_packs_definition_counts() -> None:
    """All definitions are shown side by side; the one that the pack names counts."""
    lines = lines_of("colour", 0.3, 400, definition="predictive_parity")
    counted = [line.name for line in lines if line.counts]
    assert 3 == len(lines)
    assert ["positive-predictive-value difference, colour: b"] == counted


def test_the_pack_says_which_attributes_gate() -> None:
    """Named attributes gate where the data have them, and the star stands for all."""
    limits = msgspec.structs.replace(LIMITS, attributes=("race", "religion"))
    assert (("race",), ("religion",)) == bias.gating(("race", "sex"), limits)
    assert (("race", "sex"), ()) == bias.gating(("race", "sex"), LIMITS)


def test_the_sentence_names_the_worst_number() -> None:
    """The observed sentence carries groups, ratio, interval, size and p."""
    (line,) = [line for line in lines_of("colour", 0.3, 400) if line.counts]
    assert line.observed.startswith("b/a selection-rate ratio 0.50 (95 % CI 0.")
    assert "n=400" in line.observed
    assert "p=" in line.observed


def test_no_disparity_seldom_fails_and_a_real_one_does() -> None:
    """Without a disparity about 1 in 40 samples fails at most; with a ratio of .6, most do.

    The bare four-fifths rule would call 34 % of the first samples a disparity.
    """
    rng = np.random.default_rng(7)
    equal, unequal, bare = 0, 0, 0
    for _ in range(200):
        base = rng.binomial(1000, 0.3)
        same, worse = rng.binomial(60, 0.3), rng.binomial(100, 0.18)
        equal += "fail" in _of_counts(base, same, 60).values()
        unequal += "fail" in _of_counts(base, worse, 100).values()
        bare += min(same / 60, base / 1000) / max(same / 60, base / 1000) < 0.8
    assert equal <= 200 * 0.05
    assert unequal >= 200 * 0.5
    assert bare >= 200 * 0.2


def _of_counts(base: int, selected: int, size: int) -> dict[str, str]:
    return judged({"a": 1000, "b": size}, {"a": base / 1000, "b": selected / size})
