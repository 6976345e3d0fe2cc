"""Counterfactuals: the nearest changes that would have had an application approved.

Each is checked by deciding about the changed application with the decision's own model. The three
are diverse: each is the nearest that leaves alone what counts most in those before it. Columns
that follow from each other (a ratio of two others) are changed one by one: that a person can move
one without the other is for the contract to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from pipelines.account import nearest_linear, nearest_trees
from pipelines.account.again import Where
from pipelines.account.levers import Lever, levers
from pipelines.account.nearest import Nearest
from pipelines.account.then import Then, judged, then
from pipelines.account.what_if import changed
from pipelines.data import profile
from pipelines.decisions.admit import ApplicationRefused
from pipelines.decisions.decide import BY_MARGIN
from pipelines.decisions.record import Recorder
from pipelines.errors import BadRequest
from pipelines.ledger.log import Ledger
from pipelines.model.plan import Value
from pipelines.records import Json, Record
from pipelines.typed import plain

ASKED: Final = "counterfactual"
WANTED: Final = 3
FAVOURABLE: Final = "approve"
STEP: Final = 0.05  # a cost this near to the proven least one is that of a grid's step


class Change(Record, frozen=True):
    """One column's change, in the contract's words and unit."""

    column: str
    words: str
    unit: str | None
    before: Json
    after: Json


class Counterfactual(Record, frozen=True):
    """Changes that together would have had the application approved, cheapest first.

    `cost` is in median absolute deviations. No allowed change that leaves `untouched` alone costs
    less than `at_least`; with `nearest` the two are the same but for a step of the last number.
    """

    changes: tuple[Change, ...]
    cost: float
    at_least: float
    nearest: bool
    untouched: tuple[str, ...]
    margin: str


class Counterfactuals(Record, frozen=True):
    """Up to three changes; `bound` says in words what was proven where there are fewer."""

    decision_id: str
    outcome: str
    found: tuple[Counterfactual, ...]
    could_change: tuple[str, ...]
    cells: int
    bound: str


def counterfactuals(
    ledger: Ledger, where: Where, number: bytes, person: str, most: int = WANTED
) -> Counterfactuals:
    """Return the nearest changes that would have flipped a decision; that `person` looked is kept.

    Raises BadRequest for what was approved or not decided by its score, NotThere, Erased,
    IntegrityBroken, Unavailable.
    """
    found = Recorder(ledger).look(number, person, ASKED)
    return nearest_changes(then(where, found), found.id, most)


def nearest_changes(asked: Then, decision_id: str, most: int = WANTED) -> Counterfactuals:
    """Return up to `most` nearest changes for a decision's model and application."""
    if asked.said.outcome == FAVOURABLE or asked.said.because not in BY_MARGIN:
        raise BadRequest(
            "no change of the application would flip this decision",
            where=decision_id,
            observed=f"{asked.said.outcome}, {asked.said.because}",
            expected="declined or referred by its score",
        )
    known = profile.read(asked.files.profile)
    free = levers(asked.model, asked.application.values, known)
    found: list[Counterfactual] = []
    cells, bound, untouched = 0, "", list[str]()
    for result, main in _diverse(asked, free, most):
        cells += result.cells
        made = _verified(asked, result, tuple(untouched))
        if made is None:
            bound = _told(result, tuple(untouched))
            break
        if not made.nearest:
            bound = _told(result, tuple(untouched))
        found.append(made)
        untouched.append(main)
    return Counterfactuals(
        decision_id=decision_id,
        outcome=asked.said.outcome,
        found=tuple(found),
        could_change=tuple(each.name for each in free),
        cells=cells,
        bound=bound,
    )


def _diverse(asked: Then, free: list[Lever], most: int) -> Iterator[tuple[Nearest, str]]:
    """Yield nearest changes, each without the column that counts most in each one before it."""
    model = asked.model
    search = nearest_trees.nearest if model.plan.trees else nearest_linear.nearest
    left = list(free)
    for _ in range(most):
        result = search(model.plan, asked.application.values, left, model.approve_from)
        changes = result.changes or ()
        main = max(changes, key=lambda each: each[0].cost(each[1]), default=None)
        yield result, main[0].name if main else ""
        left = [each for each in left if main and each.name != main[0].name]


def _verified(asked: Then, result: Nearest, untouched: tuple[str, ...]) -> Counterfactual | None:
    """Return a change once the model itself approves it; None where there is none."""
    if result.changes is None:
        return None
    pairs = [(lever.column, _text(value)) for lever, value in result.changes]
    try:
        found, _ = judged(asked.model, changed(asked, pairs))
    except ApplicationRefused:
        return None
    if found.outcome != FAVOURABLE or found.margin is None:
        return None
    ordered = sorted(result.changes, key=lambda each: -each[0].cost(each[1]))
    return Counterfactual(
        changes=tuple(_change(lever, value) for lever, value in ordered),
        cost=result.cost,
        at_least=min(result.at_least, result.cost),
        nearest=result.cost <= result.at_least + STEP,
        untouched=untouched,
        margin=found.margin.hex(),
    )


def _change(lever: Lever, value: Value) -> Change:
    column = lever.column
    return Change(
        column=column.name,
        words=column.words or column.description or column.name,
        unit=column.unit,
        before=plain(lever.now),
        after=plain(value),
    )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(result: Nearest, untouched: tuple[str, ...]) -> str:
    without = f", leaving {', '.join(untouched)} as it was" if untouched else ""
    if math.isinf(result.at_least):
        return f"no allowed change would have had it approved{without}"
    least = f"none costs less than {result.at_least:.2f} median absolute deviations"
    return f"the search stopped after {result.cells} combinations{without}: {least}"
