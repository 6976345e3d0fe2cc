"""A fairness-aware search over reweighted fits, chosen out of fold inside the training part.

The reduction of Agarwal, Beygelzimer, Dudík, Langford and Wallach 2018 turns a parity constraint
with multipliers into weights and labels of the training rows; fairlearn's GridSearch fits one plain
estimator per vector of multipliers. The protected attribute weighs rows while training and is no
input: decisions never see it. Pressure goes one way only, towards groups whose favourable share
lags behind; a grid over both signs would spend half of its fits on making the gap wider.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from fairlearn.reductions import DemographicParity, GridSearch, TruePositiveRateParity
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from pipelines.errors import BadRequest, DataRefused, did_you_mean
from pipelines.model import group_metrics
from pipelines.model.estimators import classifier_for, fitting
from pipelines.model.operating_point import threshold
from pipelines.params import Mitigation, Recipe

Floats = NDArray[np.float64]
Multipliers = dict[str, float]
CONSTRAINTS = {
    "demographic_parity": DemographicParity,
    "true_positive_rate_parity": TruePositiveRateParity,
}


@dataclass(frozen=True, slots=True)
class Fit:
    """One point of the trade-off: multipliers, and what they give out of fold."""

    multipliers: Multipliers
    roc_auc: float
    ratios: dict[str, float]

    @property
    def ratio(self) -> float:
        """The lowest selection-rate ratio of any large enough group; NaN when one is undefined."""
        return float(np.min(list(self.ratios.values()))) if self.ratios else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Pressure:
    """Who is pressed: each row's group for the constraint, and each pressed group's direction.

    Directions are positive and sum to 1.
    """

    groups: NDArray[np.str_]
    directions: Multipliers


def pressure(groups: NDArray[np.str_], favourable: NDArray[np.int64], min_size: int) -> Pressure:
    """Return which groups are pressed, and how much against one another.

    The reference is the group with the highest favourable share; groups too small to be judged and
    people of unknown group count as the reference. A multiplier works on a person as multiplier /
    group share, so a direction is the group's share times its lag behind the reference: the
    pressure on a person grows with how far the own group lags. Raises DataRefused when there are
    no two groups to compare, or none lags.
    """
    counts = group_metrics.count(groups, np.ones_like(favourable), favourable)
    large = counts.eligible(min_size)
    shares = np.where(large, group_metrics.base_rate(counts.table), -1.0)
    reference = int(np.argmax(shares))
    lag = np.where(large, shares[reference] - shares, 0.0) * counts.sizes
    if not lag.sum() > 0:
        raise DataRefused(
            "the training part has no two large groups of which one lags behind the other",
            observed=f"{int(large.sum())} groups of at least {min_size} people",
            hint="lower candidates.*.mitigation.min_group_size, or take the mitigation out",
        )
    directions = {
        name: float(each / lag.sum()) for name, each in zip(counts.names, lag, strict=True) if each
    }
    pooled = np.where(np.isin(groups, list(directions)), groups, counts.names[reference])
    return Pressure(pooled, directions)


def path(directions: Multipliers, size: int, limit: float) -> tuple[Multipliers, ...]:
    """Return `size` vectors of multipliers along the directions; their sums go from 0 to `limit`.

    The first is the fit that nothing presses. One line instead of a grid over all groups: fewer
    fits to choose from, so less of the choice is luck, and a trade-off that can be read as a curve.
    """
    if size < 2 or not limit > 0:  # noqa: PLR2004 - a line has two ends
        raise BadRequest(
            "a search needs a grid_size of at least 2 and a grid_limit above 0",
            where="params.yaml: candidates: mitigation",
        )
    sums = np.linspace(0.0, limit, size)
    return tuple({name: float(s * part) for name, part in directions.items()} for s in sums)


def fits(
    recipe: Recipe,
    directions: Sequence[int],
    rows: Floats,
    favourable: NDArray[np.int64],
    groups: NDArray[np.str_],
    multipliers: Sequence[Multipliers],
) -> list[ClassifierMixin]:
    """Return one fitted estimator per vector of multipliers; `groups` as `pressure` gives them.

    Raises BadRequest when a vector leaves one label only: its limit is too high.
    """
    settings = _settings(recipe)
    constraint = CONSTRAINTS[settings.constraint]()
    constraint.load_data(rows, pd.Series(favourable), sensitive_features=pd.Series(groups))
    search = GridSearch(
        classifier_for(recipe, directions),
        constraints=CONSTRAINTS[settings.constraint](),
        grid=pd.DataFrame(
            {number: _vector(constraint.index, each) for number, each in enumerate(multipliers)}
        ),
    )
    with fitting(recipe):
        search.fit(rows, favourable, sensitive_features=groups)
    made = list(search.predictors_)
    if not all(hasattr(each, "decision_function") for each in made):
        raise BadRequest(
            "a multiplier of the mitigation leaves one outcome only",
            where="params.yaml: candidates",
            observed=settings.grid_limit,
            expected="a smaller mitigation.grid_limit",
        )
    return made


def ratios(
    margins: Floats, groups: NDArray[np.str_], approval_rate: float, min_size: int
) -> dict[str, float]:
    """Return each large enough group's selection-rate ratio at the operating point."""
    selected = (margins >= threshold(margins, approval_rate)).astype(np.int64)
    counts = group_metrics.count(groups, selected, selected)
    compared = group_metrics.against_reference(counts.table, counts.reference(min_size))
    found = zip(counts.names, compared["impact_ratio"], counts.eligible(min_size), strict=True)
    return {name: float(ratio) for name, ratio, is_large in found if is_large}


def choose(found: Sequence[Fit], target_ratio: float) -> tuple[int, bool]:
    """Return the index of the fit to take, and whether it reaches `target_ratio`.

    The highest ROC AUC among those that reach it (the first of equals); when none does, the fit
    with the highest ratio.
    """
    reaching = [number for number, fit in enumerate(found) if fit.ratio >= target_ratio]
    if reaching:
        return max(reaching, key=lambda number: (found[number].roc_auc, -number)), True
    order = range(len(found))
    return max(order, key=lambda number: (np.nan_to_num(found[number].ratio), -number)), False


def check_attribute(settings: Mitigation, known: Sequence[str]) -> None:
    """Refuse a mitigation of an attribute that the contract does not name."""
    if settings.attribute not in known:
        raise BadRequest(
            "no such protected attribute",
            where="params.yaml: candidates: mitigation.attribute",
            observed=settings.attribute,
            expected=", ".join(known),
            hint=did_you_mean(settings.attribute, known),
        )


def _settings(recipe: Recipe) -> Mitigation:
    if recipe.mitigation is None:
        raise BadRequest("the recipe has no mitigation", where="params.yaml: candidates")
    return recipe.mitigation


def _vector(index: pd.MultiIndex, multipliers: Multipliers) -> pd.Series:
    return pd.Series(list(_entries(index, multipliers)), index=index, dtype=np.float64)


def _entries(index: pd.MultiIndex, multipliers: Multipliers) -> Iterator[float]:
    """Yield each constraint's multiplier: only "this group is selected less often" is pressed."""
    for sign, _event, group in index:
        yield multipliers.get(str(group), 0.0) if sign == "-" else 0.0
