"""Which version was champion when, by whom, on which verdict: read from the promotion trail."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ports import Alias, Registry
from pipelines.records import Promotion


class Tenure(msgspec.Struct, frozen=True, kw_only=True):
    """A version's time as champion; `until` is None for the one in force."""

    version: str
    since: str
    until: str | None
    kind: str
    person: str
    reason: str
    verdict_id: str
    approval_id: str | None


def checked(trail: Sequence[Promotion]) -> tuple[Promotion, ...]:
    """Return the trail if it holds together; else raise IntegrityBroken naming the entry.

    Numbers run from 1, each entry holds the id of the one before it, each starts from the version
    that the entries before it left in force, and an undo goes back to the one before that.
    """
    former: Promotion | None = None
    for number, each in enumerate(trail, start=1):
        expected = (number, former.id if former else None, former.version if former else None)
        observed = (each.number, each.former_id, each.former_version)
        if observed != expected:
            raise _broken(each.model_name, number, observed, expected)
        if each.kind == "undo":
            below = (None, None, *standing(trail[: number - 1]))[-2]
            if each.version != below:
                raise _broken(each.model_name, number, f"undo to {each.version}", f"to {below}")
        former = each
    return tuple(trail)


def _broken(model_name: str, number: int, observed: object, expected: object) -> IntegrityBroken:
    return IntegrityBroken(
        "the promotion trail does not hold together",
        where=f"{model_name}: promotion {number}",
        observed=observed,
        expected=expected,
        hint="restore MLflow's database from its backup",
    )


def standing(trail: Sequence[Promotion]) -> tuple[str, ...]:
    """Return the versions an undo can go back through, the champion last.

    A promotion adds one, an undo takes one away: two undos in a row never bring back what the
    first took out of force.
    """
    versions: list[str] = []
    for each in trail:
        if each.kind == "promote":
            versions.append(each.version)
        else:
            versions.pop()
    return tuple(versions)


def aliases_after(trail: Sequence[Promotion]) -> dict[str, str | None]:
    """Return what the aliases must name after the trail's last entry."""
    versions = (None, None, *standing(trail))
    return {Alias.CHAMPION.value: versions[-1], Alias.PREVIOUS.value: versions[-2]}


def history(registry: Registry) -> tuple[Tenure, ...]:
    """Return every tenure, oldest first. Raises IntegrityBroken, Unavailable."""
    trail = checked(registry.promotions())
    ends = [*(each.at for each in trail[1:]), None][: len(trail)]
    return tuple(
        Tenure(
            version=each.version,
            since=each.at,
            until=end,
            kind=each.kind,
            person=each.person,
            reason=each.reason,
            verdict_id=each.verdict_id,
            approval_id=each.approval_id,
        )
        for each, end in zip(trail, ends, strict=True)
    )


def champion_at(registry: Registry, time: str) -> Tenure | None:
    """Return who was champion at an ISO 8601 time with its offset; None before the first."""
    asked = _instant(time)
    found = [each for each in history(registry) if _instant(each.since) <= asked]
    return found[-1] if found else None


def now() -> str:
    """Return the time in UTC, in ISO 8601, to the microsecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def now_after(trail: Sequence[Promotion]) -> str:
    """Return the time now; where the clock was put back, the last promotion's.

    Tenures follow one another then, and nobody was champion before they were promoted.
    """
    return max([now(), *(each.at for each in trail[-1:])], key=_instant)


def _instant(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadRequest(
            "not a time with its offset", observed=text, expected="like 2026-11-22T09:30:00+00:00"
        )
    return found
