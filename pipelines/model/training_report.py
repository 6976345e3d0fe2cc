"""What `training.json` says of how a candidate came about."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.contract import Column
from pipelines.model import estimators
from pipelines.model.metrics import finite
from pipelines.model.mitigation import Fit
from pipelines.params import Recipe
from pipelines.records import Json


def mitigation_told(recipe: Recipe, reached: bool) -> Json:
    """Say what the search was asked for and whether a fit reached it; None without a search."""
    if recipe.mitigation is None:
        return None
    settings = recipe.mitigation
    return {
        "method": settings.method,
        "constraint": settings.constraint,
        "attribute": settings.attribute,
        "target_ratio": settings.target_ratio,
        "reached": reached,
        "says": "the highest ROC AUC of the fits that reach the target ratio out of fold"
        if reached
        else "no fit reaches the target ratio out of fold: the one with the highest ratio",
    }


def plain_fit(fit: Fit) -> Json:
    """Return a fit as JSON; its multipliers and ratios by name."""
    return {
        "multipliers": dict(fit.multipliers),
        "roc_auc": finite(fit.roc_auc),
        "selection_rate_ratio": finite(fit.ratio),
        "ratios": {name: finite(ratio) for name, ratio in fit.ratios.items()},
    }


def against_monotone(recipe: Recipe, columns: Sequence[Column], final: object) -> list[Json]:
    """Return the inputs whose weight in a linear model goes against the contract's direction.

    Trees are held to the direction while they are fitted.
    """
    if estimators.margin_kind(recipe) == "trees":
        return []
    weights = final.coef_[0]  # type: ignore[attr-defined]
    wanted = estimators.directions(columns, len(weights))
    names = [column.name for column in columns if estimators.is_number(column)]
    return [
        name
        for name, weight, direction in zip(names, weights, wanted, strict=False)
        if weight * direction < 0
    ]
