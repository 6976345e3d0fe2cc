"""What would have changed a result, for a letter: nearest changes, each tried with the model."""

from __future__ import annotations

import msgspec

from pipelines.account.afterwards import Course
from pipelines.account.again import Where
from pipelines.account.case import Change, Changes, last_word
from pipelines.account.counterfactual import Counterfactuals, nearest_changes
from pipelines.account.then import then
from pipelines.decisions.decide import BY_MARGIN
from pipelines.errors import NotThere, Unavailable

NONE_THERE_IS = "no allowed change"


def would_change(where: Where, course: Course) -> Changes | None:
    """Return the changes for a letter about a decision that a look was recorded for.

    None where no change of the application would have done anything, and where the model that
    decided cannot be asked now: then the letter says that the person may ask. Raises
    IntegrityBroken.
    """
    made = last_word(course)
    approved = "approve" in (course.outcome, made.decided.outcome)
    if approved or made.decided.because not in BY_MARGIN:
        return None
    try:
        first = msgspec.structs.replace(course.first, made=made)
        return told(nearest_changes(then(where, first), course.id))
    except (NotThere, Unavailable):
        return None


def told(found: Counterfactuals) -> Changes:
    """Return what was found for a letter; where none was, capped unless that is proven."""
    ways = tuple(
        tuple(Change(each.column, each.before, each.after) for each in way.changes)
        for way in found.found
    )
    return Changes(ways, capped=not found.bound.startswith(NONE_THERE_IS))
