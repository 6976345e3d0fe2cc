"""Fairness measures from one table of counts: group by outcome by target.

Every measure here is a ratio of counts, so one pass over the rows is enough and a bootstrap needs
the table only. A measure whose denominator is zero is NaN, never 0: a group without a qualified
person has no true positive rate, and no gap may be read from it.

A table has the shape ``(..., groups, 2, 2)``: favourable outcome given (0, 1), then favourable
target (0, 1). Leading axes are bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipelines.data.groups import UNKNOWN

GROUP_COLUMN = "group:"
JOINED = " & "
Floats = NDArray[np.float64]
Counted = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """The count table of one attribute (or of an intersection) with its groups' names, sorted."""

    names: tuple[str, ...]
    table: Counted

    @property
    def sizes(self) -> Counted:
        """People per group, shape (groups,)."""
        return sizes(self.table)

    def eligible(self, min_size: int) -> NDArray[np.bool_]:
        """Which groups are large enough to be judged; people of unknown group are none."""
        known = [UNKNOWN not in name.split(JOINED) for name in self.names]
        return np.array(known, dtype=bool) & (self.sizes >= min_size)

    def reference(self, min_size: int) -> int | None:
        """Return the index of the eligible group with the highest selection rate, or None.

        UGESP, 29 CFR 1607.4(D): rates are compared with that of the group with the highest rate.
        """
        eligible = self.eligible(min_size)
        if not eligible.any():
            return None
        return int(np.argmax(np.where(eligible, selection_rate(self.table), -1.0)))


def count(groups: ArrayLike, favourable: ArrayLike, target: ArrayLike) -> GroupCounts:
    """Count one pass of rows; `favourable` and `target` are 0 or 1, all of one length."""
    names, code = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    cell = code * 4 + np.asarray(favourable, dtype=np.int64) * 2 + np.asarray(target, np.int64)
    table = np.bincount(cell, minlength=4 * len(names)).reshape(len(names), 2, 2)
    return GroupCounts(tuple(names.tolist()), table.astype(np.int64))


def group_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Return attribute to column of `scores.parquet`, in the contract's order."""
    found = [str(name) for name in frame.columns if str(name).startswith(GROUP_COLUMN)]
    return {name.removeprefix(GROUP_COLUMN): name for name in found}


def intersections(groups: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.str_]]:
    """Return, for every two attributes, the joined group of each row: ``black & female``."""
    pairs = combinations(groups, 2)
    return {JOINED.join(pair): _join(groups[pair[0]], groups[pair[1]]) for pair in pairs}


def _join(first: ArrayLike, second: ArrayLike) -> NDArray[np.str_]:
    left = np.char.add(np.asarray(first, dtype=str), JOINED)
    return np.char.add(left, np.asarray(second, dtype=str))


def sizes(table: NDArray[np.integer]) -> Counted:
    """People per group, shape (..., groups)."""
    return np.asarray(table.sum(axis=(-2, -1)), dtype=np.int64)


def selection_rate(table: NDArray[np.integer]) -> Floats:
    """P(favourable outcome | group): the rate that UGESP 1607.4(D) compares."""
    return _ratio(table[..., 1, :].sum(axis=-1), sizes(table))


def base_rate(table: NDArray[np.integer]) -> Floats:
    """P(favourable target | group)."""
    return _ratio(table[..., :, 1].sum(axis=-1), sizes(table))


def true_positive_rate(table: NDArray[np.integer]) -> Floats:
    """P(favourable outcome | favourable target, group); Hardt, Price, Srebro 2016."""
    return _ratio(table[..., 1, 1], table[..., :, 1].sum(axis=-1))


def false_positive_rate(table: NDArray[np.integer]) -> Floats:
    """P(favourable outcome | unfavourable target, group); Hardt, Price, Srebro 2016."""
    return _ratio(table[..., 1, 0], table[..., :, 0].sum(axis=-1))


def positive_predictive_value(table: NDArray[np.integer]) -> Floats:
    """P(favourable target | favourable outcome, group); Chouldechova 2017."""
    return _ratio(table[..., 1, 1], table[..., 1, :].sum(axis=-1))


def accuracy(table: NDArray[np.integer]) -> Floats:
    """P(outcome = target | group)."""
    return _ratio(table[..., 0, 0] + table[..., 1, 1], sizes(table))


RATES = {
    "selection_rate": selection_rate,
    "base_rate": base_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "positive_predictive_value": positive_predictive_value,
    "accuracy": accuracy,
}


def against_reference(table: NDArray[np.integer], reference: int | None) -> dict[str, Floats]:
    """Compare every group with one group, each of shape (..., groups).

    `impact_ratio` is the selection rate over the reference's (UGESP 1607.4(D)); the two
    differences are the group's true positive rate (equal opportunity, Hardt et al. 2016) and
    positive predictive value (predictive parity, Chouldechova 2017) less the reference's. All NaN
    without a reference.

    In a bootstrap the reference stays the group of the point estimate: choosing it anew in every
    sample would bias the ratio down.
    """
    if reference is None:
        nothing = np.full(table.shape[:-2], np.nan)
        return dict.fromkeys(COMPARED, nothing)
    rate, tpr = selection_rate(table), true_positive_rate(table)
    ppv = positive_predictive_value(table)
    one = slice(reference, reference + 1)
    return {
        "impact_ratio": _ratio(rate, rate[..., one]),
        "equal_opportunity_difference": tpr - tpr[..., one],
        "predictive_parity_difference": ppv - ppv[..., one],
    }


COMPARED = ("impact_ratio", "equal_opportunity_difference", "predictive_parity_difference")


def measures(table: NDArray[np.integer], reference: int | None) -> dict[str, Floats]:
    """Return every rate and every comparison with the reference, each (..., groups)."""
    return {name: rate(table) for name, rate in RATES.items()} | against_reference(table, reference)


def bootstrap(table: Counted, samples: int, rng: np.random.Generator) -> Counted:
    """Draw count tables, shape (samples, groups, 2, 2): a multinomial a group, its size fixed.

    Drawing rows with replacement within a group and counting gives the same distribution (Efron
    and Tibshirani 1993, stratified bootstrap).
    """
    drawn = np.zeros((samples, *table.shape), dtype=np.int64)
    for number, cells in enumerate(table.reshape(len(table), 4)):
        if (total := cells.sum()) > 0:
            drawn[:, number] = rng.multinomial(total, cells / total, samples).reshape(-1, 2, 2)
    return drawn


def interval(drawn: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the percentile interval over the first axis; NaN where any draw is undefined.

    Leaving undefined draws out would give an interval for the samples that went well only.
    """
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
    return low, high


def _ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    over, under = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    undefined = np.full(over.shape, np.nan)
    np.divide(over, under, out=undefined, where=under > 0)
    return undefined
