"""Faithfulness: the reasons that a refused person would be given are the real ones.

For each person of the test part who is not approved, the columns named as reasons are set to the
values of every member of the reference in turn, and the margin is asked again. On average it must
rise by what the reasons claim, and by more than setting as many of the next columns makes it rise.
No protected column may be what a reason would have to name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.records import Json, Outcome
from pipelines.release.checks._case import Bars, Case, Finding, Line, finite
from pipelines.release.policy import Thresholds as Base

if TYPE_CHECKING:
    from pipelines.release.checks._reasons import Moved, Told


class Thresholds(Base, frozen=True):
    """`min_share` of the people for whom the reasons hold, at least `min_people` of them.

    `min_recovered`: the part of the claimed rise in log-odds that setting the reasons must bring.
    """

    min_share: float
    min_recovered: float
    min_people: int


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge the reasons of the people whom the candidate does not approve in the test part."""
    from pipelines.release.checks._reasons import measure

    people, moved, approve_from = measure(case)
    named = Counter(name for each in people for name in each.named).most_common()
    found, evidence = lines(people, moved, approve_from, limits)
    bars = Bars(
        "To how many people each column would be named",
        tuple(name for name, _ in named),
        tuple(float(count) for _, count in named),
    )
    return Finding(found, evidence | {"named": dict(named)}, (bars,))


def holds(each: Told, moved: Moved, min_recovered: float) -> bool:
    """Say whether one person's reasons do what they claim."""
    rise = moved.named - moved.before
    enough = rise > 0.0 and rise >= min_recovered * each.claimed
    return bool(each.named) and enough and moved.named > moved.following


def lines(
    people: Sequence[Told], moved: Sequence[Moved], approve_from: float, limits: Thresholds
) -> tuple[tuple[Line, ...], dict[str, Json]]:
    """Judge what people would be told against what setting it does."""
    count = len(people)
    pairs = zip(people, moved, strict=True)
    held = sum(holds(each, there, limits.min_recovered) for each, there in pairs)
    flipped = sum(there.named >= approve_from for there in moved)
    hidden = Counter(name for each in people for name in each.unnameable)
    evidence: dict[str, Json] = {
        "people": count,
        "share": finite(held / count) if count else None,
        "flipped_share": finite(flipped / count) if count else None,
        "unnameable": dict(sorted(hidden.items())),
    }
    return (_moving(held, count, limits), _nameable(hidden), _flipped(flipped, count)), evidence


def _moving(held: int, count: int, limits: Thresholds) -> Line:
    share = held / count if count else float("nan")
    outcome: Outcome = "pass" if share >= limits.min_share else "fail"
    return Line(
        name="reasons that move the score as they claim",
        outcome=outcome if count >= limits.min_people else "not-enough-data",
        observed=f"the reasons of {held} of {count} people move the margin as they claim",
        expected=f"{limits.min_share:.0%} of at least {limits.min_people} people",
        value=finite(share),
    )


def _nameable(hidden: Counter[str]) -> Line:
    told = ", ".join(f"{name} ({count} people)" for name, count in hidden.most_common())
    return Line(
        name="reasons that may not be named",
        outcome="fail" if hidden else "pass",
        observed=f"protected columns among the principal reasons: {told}" if hidden else "none",
        expected="no protected column among anybody's principal reasons",
        value=float(hidden.total()),
    )


def _flipped(flipped: int, count: int) -> Line:
    return Line(
        name="people whom setting the named columns alone would have approved",
        outcome="pass",
        observed=f"{flipped} of {count}",
        expected="shown beside the others",
        value=finite(flipped / count) if count else None,
        counts=False,
    )
