"""What a person can change about an application: columns, how far each way, and at what cost.

Only columns that the contract calls actionable, in its direction, inside the range of the data that
the version was made from. A change's cost is its size in median absolute deviations of the
reference profile; another category costs 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipelines.contract import Column
from pipelines.data.profile import Numbers, Profile
from pipelines.decisions.load import LoadedModel
from pipelines.model.plan import Category, Number, Plan, Row, Value, number

STEPS: Final = 100  # of a number's grid in its spread's power of ten
CATEGORY_COST: Final = 1.0
DECILES: Final = 10  # bins of a column with many values; one of few has a bin a value
NUMERIC: Final = frozenset({"integer", "number"})


@dataclass(frozen=True, slots=True)
class Lever:
    """One column that may change: on a grid between `low` and `high`, or to one of `options`.

    `options` are (value, cost), cheapest first. `digits` are those after the point of the grid.
    """

    column: Column
    now: Value
    spread: float
    low: float
    high: float
    digits: int
    options: tuple[tuple[Value, float], ...] | None

    @property
    def name(self) -> str:
        return self.column.name

    def cost(self, value: Value) -> float:
        """Return what changing to `value` costs."""
        if self.options is not None:
            return next((cost for option, cost in self.options if option == value), 0.0)
        return abs(number(value) - number(self.now)) / self.spread

    def beyond(self, limit: float, *, up: bool) -> float | None:
        """Return the grid's nearest value above `limit` (at most it, going down); None outside."""
        scale = 10.0**self.digits
        place = math.floor(limit * scale) + 1 if up else math.floor(limit * scale)
        value = round(place / scale, self.digits)
        if up and value <= limit:
            value = round((place + 1) / scale, self.digits)
        elif not up and value > limit:
            value = round((place - 1) / scale, self.digits)
        bound = self.high if up else self.low
        if (value > bound) if up else (value < bound):
            return bound if (bound > limit if up else bound <= limit) else None
        return value

    def typed(self, value: float) -> Value:
        """Return a grid's value as the column's type."""
        return int(value) if self.column.kind == "integer" else value


def levers(model: LoadedModel, row: Row, profile: Profile) -> list[Lever]:
    """Return what can change about an application: typed values by column."""
    inputs: dict[str, Number | Category] = {each.name: each for each in model.plan.numbers}
    inputs |= {each.name: each for each in model.plan.categories}
    asked = (model.contract.column(name) for name in model.candidate.features)
    found = []
    for column in asked:
        actionable = column.actionable != "no" and column.role == "feature"
        if actionable and column.name in inputs and row[column.name] is not None:
            lever = _lever(column, inputs[column.name], row[column.name], profile)
            if lever.options or (lever.options is None and lever.low < lever.high):
                found.append(lever)
    return found


def _lever(column: Column, given: Number | Category, now: Value, profile: Profile) -> Lever:
    known = profile.columns[column.name].numbers
    wide = spread(known) if known else 1.0
    low, high = _range(column, known, now)
    whole = column.kind == "integer"
    digits = 0 if whole else max(0, -math.floor(math.log10(wide)) + round(math.log10(STEPS)))
    options = None
    if isinstance(given, Category) or column.allowed or column.kind not in NUMERIC:
        options = tuple(sorted(_options(column, given, now, wide), key=lambda each: each[1]))
    return Lever(column, now, wide, low, high, digits, options)


def _range(column: Column, known: Numbers | None, now: Value) -> tuple[float, float]:
    if known is None or column.kind not in NUMERIC:
        return 0.0, 0.0
    here = number(now)
    lows = [known.minimum, *([] if column.minimum is None else [column.minimum])]
    highs = [known.maximum, *([] if column.maximum is None else [column.maximum])]
    low = here if column.actionable == "increase" else min(here, max(lows))
    high = here if column.actionable == "decrease" else max(here, min(highs))
    return low, high


def _options(
    column: Column, given: Number | Category, now: Value, wide: float
) -> Iterator[tuple[Value, float]]:
    """Yield the other values that a column may take, in the allowed direction."""
    for value in _values(column, given):
        if value == now and type(value) is type(now):
            continue
        ordered = not isinstance(value, str) and not isinstance(now, str)
        wanted = column.actionable == "increase"
        if column.actionable != "any" and (not ordered or (number(value) > number(now)) != wanted):
            continue
        numeric = column.kind in NUMERIC
        yield value, abs(number(value) - number(now)) / wide if numeric else CATEGORY_COST


def _values(column: Column, given: Number | Category) -> Iterator[Value]:
    """Yield the values that a column is known to take: those of the contract, else the model's."""
    if column.kind == "boolean":
        yield from (False, True)
    elif column.allowed is not None:
        for value in column.allowed:
            yield _typed(column, value)
    elif isinstance(given, Category):
        for known in given.places:
            if known is not None:
                yield _typed(column, known)


def _typed(column: Column, value: Value) -> Value:
    if column.kind == "integer":
        return int(number(value))
    return float(number(value)) if column.kind == "number" else str(value)


def spread(known: Numbers) -> float:
    """Return the median absolute deviation that a profile's bins tell; never 0.

    A bin of single values stands for its edge, any other for the middle between its edges.
    """
    edges = [*known.edges, known.maximum]
    lower = [known.minimum, *known.edges]
    few = len(known.counts) != DECILES
    middles = [top if few else (bottom + top) / 2 for bottom, top in zip(lower, edges, strict=True)]
    pairs = list(zip(middles, known.counts, strict=True))
    centre = _median(pairs)
    found = _median([(abs(value - centre), count) for value, count in pairs])
    return found or known.std or 1.0


def _median(pairs: list[tuple[float, int]]) -> float:
    half, seen = sum(count for _, count in pairs) / 2, 0
    for value, count in sorted(pairs):
        seen += count
        if seen >= half:
            return value
    return 0.0


def transformed(plan: Plan, name: str, value: Value) -> dict[int, float]:
    """Return the places of the transformed row that one column fills, and their values."""
    for place, each in enumerate(plan.numbers):
        if each.name == name:
            found = number(value)
            return {place: found if plan.trees else (found - each.mean) / each.scale}
    for category in plan.categories:
        if category.name == name:
            places = dict.fromkeys(range(category.first, category.first + category.width), 0.0)
            key = value if category.text else number(value)
            if key in category.places:
                places[category.places[key]] = 1.0
            return places
    return {}
