"""Margins that each training row gets from models which have not seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipelines.contract import Column
from pipelines.errors import DataRefused
from pipelines.model import estimators, mitigation, score
from pipelines.params import Recipe

FOLDS = 5


@dataclass(frozen=True, eq=False)
class Rows:
    """The training part: typed rows, 1 where the target is favourable, and who and what they are.

    `groups` are the mitigation's pooled groups, or all one without a mitigation.
    """

    frame: pd.DataFrame
    favourable: NDArray[np.int64]
    subjects: NDArray[np.object_]
    groups: NDArray[np.str_]

    def take(self, chosen: NDArray[np.intp]) -> Rows:
        """Return the rows at these positions."""
        return Rows(
            self.frame.iloc[chosen],
            self.favourable[chosen],
            self.subjects[chosen],
            self.groups[chosen],
        )


def fit(
    recipe: Recipe,
    columns: Sequence[Column],
    rows: Rows,
    multipliers: Sequence[mitigation.Multipliers],
) -> tuple[ColumnTransformer, list[ClassifierMixin]]:
    """Fit the columns once and one estimator per vector of multipliers (one without mitigation)."""
    kind = estimators.margin_kind(recipe)
    fitted, inputs = estimators.fit_columns(columns, rows.frame, kind)
    directions = estimators.directions(columns, inputs.shape[1])
    if recipe.mitigation:
        return fitted, mitigation.fits(
            recipe, directions, inputs, rows.favourable, rows.groups, multipliers
        )
    with estimators.fitting(recipe):
        plain = estimators.classifier_for(recipe, directions).fit(inputs, rows.favourable)
    return fitted, [plain]


def margins(
    recipe: Recipe,
    columns: Sequence[Column],
    rows: Rows,
    multipliers: Sequence[mitigation.Multipliers],
) -> NDArray[np.float64]:
    """Return out-of-fold margins, shape (vectors of multipliers, rows).

    The mean over the mitigation's `repeats` ways to cut the rows into folds. A person's rows stay
    in one fold. Raises DataRefused when a fold would hold one outcome only.
    """
    settings = recipe.mitigation
    folds, repeats = (settings.folds, settings.repeats) if settings else (FOLDS, 1)
    kind = estimators.margin_kind(recipe)
    total = np.zeros((len(multipliers), len(rows.favourable)))
    for repeat in range(repeats):
        for inside, held_out in cut(rows, folds, recipe.seed + repeat):
            fitted, made = fit(recipe, columns, rows.take(inside), multipliers)
            inputs = fitted.transform(score.prepare(fitted, rows.frame.iloc[held_out]))
            for number, each in enumerate(made):
                total[number, held_out] += score.estimator_margins(each, inputs, kind)
    return total / repeats


def cut(rows: Rows, folds: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return (inside, held out) positions of each fold, alike in outcome and group."""
    fewest = int(np.bincount(rows.favourable, minlength=2).min())
    if fewest < folds:
        raise DataRefused(
            "the training part has too few rows of one outcome to learn from",
            observed=fewest,
            expected=f"at least {folds}",
        )
    strata = np.char.add(rows.favourable.astype(str), rows.groups)
    people = pd.factorize(rows.subjects)[0]
    if people.max() + 1 == len(people):
        plain = StratifiedKFold(folds, shuffle=True, random_state=seed)
        return list(plain.split(strata, strata))
    kept = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(kept.split(strata, strata, people))
