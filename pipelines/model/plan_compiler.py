"""From a fitted pipeline to its plan; a pipeline that is not known to the last step has none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipelines.errors import BadRequest
from pipelines.model.plan import LEAF, Category, Node, Number, Plan, Value
from pipelines.model.score import COLUMNS, ESTIMATOR, KINDS, TEXTS

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def compile_plan(model: Pipeline) -> Plan:
    """Return the plan of a fitted pipeline of `estimators.py`.

    Raises BadRequest, naming the part, for a pipeline that is made of anything else.
    """
    fitted = model.named_steps.get(ESTIMATOR)
    kind = KINDS.get(type(fitted).__name__)
    if kind is None or list(model.named_steps) != [COLUMNS, ESTIMATOR]:
        raise no_plan(type(fitted).__name__)
    numbers, categories = _columns(model.named_steps[COLUMNS], filled=kind == "linear")
    width = len(numbers) + sum(each.width for each in categories)
    if width != fitted.n_features_in_:
        raise no_plan("another number of transformed columns")
    if kind == "linear":
        start, weights = float(fitted.intercept_[0]), tuple(map(float, fitted.coef_[0]))
        if not all(map(math.isfinite, (start, *weights))):
            raise no_plan("a weight that is not finite")
        return Plan(numbers, categories, start, weights=weights)
    return Plan(numbers, categories, _baseline(fitted), trees=_trees(fitted))


def no_plan(what: str) -> BadRequest:
    """Return the error for a pipeline that has no plan."""
    return BadRequest(
        "the pipeline has no plan", observed=what, expected="a pipeline of pipelines/model"
    )


def _columns(columns: object, *, filled: bool) -> tuple[tuple[Number, ...], tuple[Category, ...]]:
    numbers: list[Number] = []
    categories: list[Category] = []
    for part, fitted, names in columns.transformers_:  # type: ignore[attr-defined]
        kind = type(fitted).__name__
        if kind == "OneHotEncoder":
            first = len(numbers) + sum(each.width for each in categories)
            categories += _one_hot(names, fitted.categories_, part == TEXTS, first)
        elif categories or filled != (kind == "Pipeline"):
            raise no_plan(kind)
        elif filled:
            numbers += _scaled(names, fitted)
        else:
            numbers += [Number(name) for name in names]
    return tuple(numbers), tuple(categories)


def _scaled(names: Iterable[str], fitted: Pipeline) -> list[Number]:
    impute, scale = (fitted.named_steps.get(name) for name in ("impute", "scale"))
    kinds = (type(impute).__name__, type(scale).__name__)
    if kinds != ("SimpleImputer", "StandardScaler") or not (scale.with_mean and scale.with_std):
        raise no_plan(" and ".join(kinds))
    rows = zip(names, impute.statistics_, scale.mean_, scale.scale_, strict=True)
    return [Number(name, float(fill), float(mean), float(by)) for name, fill, mean, by in rows]


def _one_hot(
    names: Iterable[str], known: Iterable[Iterable[object]], text: bool, first: int
) -> list[Category]:
    found = []
    for name, values in zip(names, known, strict=True):
        keys = [_category(value, text) for value in values]
        places = {key: first + at for at, key in enumerate(keys)}
        found.append(Category(name, text, first, len(keys), places))
        first += len(keys)
    return found


def _category(value: object, text: bool) -> Value:
    if value != value:  # noqa: PLR0124 - scikit-learn writes a missing category as NaN
        return None
    return str(value) if text else float(value)  # type: ignore[arg-type]


def _baseline(fitted: object) -> float:
    return float(fitted._baseline_prediction.ravel()[0])  # type: ignore[attr-defined]  # noqa: SLF001


def _trees(fitted: object) -> tuple[tuple[Node, ...], ...]:
    found = []
    for (tree,) in fitted._predictors:  # type: ignore[attr-defined]  # noqa: SLF001
        if tree.nodes["is_categorical"].any():
            raise no_plan("a split by categories")
        found.append(tuple(_of(node) for node in tree.nodes))
    return tuple(found)


def _of(node: Mapping[str, float]) -> Node:
    return Node(
        place=LEAF if node["is_leaf"] else int(node["feature_idx"]),
        threshold=float(node["num_threshold"]),
        missing_left=bool(node["missing_go_to_left"]),
        left=int(node["left"]),
        right=int(node["right"]),
        value=float(node["value"]),
    )
