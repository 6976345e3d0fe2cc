"""What the watch says: findings, each with value, bound and p, and the report they stand in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from pipelines.records import Json, Record
from pipelines.watch_params import Action, WatchActions

Status = Literal["ok", "alarm", "not-enough-data", "error"]
WORST_FIRST: Final[tuple[Status, ...]] = ("error", "alarm", "not-enough-data", "ok")
# What may be done, the strongest last.
ACTIONS: Final[tuple[Action, ...]] = ("none", "alert", "retrain", "stop")


class Finding(Record, frozen=True):
    """One question that was asked of a window, and its answer.

    `of` is the column, group or outcome; `measure` what was measured of it. `bound` is the
    practical threshold; `floor` what chance alone gives for samples of this size; `p` the raw
    p-value and `p_adjusted` the one that counts, corrected over all questions of the check. `n`
    people were counted. `action` is what the params ask for, and `none` without an alarm.
    """

    check: str
    of: str
    measure: str
    status: Status
    said: str
    value: float | None = None
    bound: float | None = None
    floor: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n: int = 0
    action: Action = "none"

    def __post_init__(self) -> None:
        # A count read back is a float, and the report's id must be the one it was written with.
        for name in ("value", "bound", "floor", "p", "p_adjusted"):
            if isinstance(number := getattr(self, name), int):
                msgspec.structs.force_setattr(self, name, float(number))

    @property
    def key(self) -> str:
        """What stays the same when the question is asked again of the same window."""
        return f"{self.check}/{self.of}/{self.measure}"


class WatchReport(Record, frozen=True):
    """One window of one version, and everything that was found.

    Bound to the version and to what it was compared with: `baseline_sha256` is of the version's
    own baseline (None: it has none), `profile_id` of the window's profile, `former_id` of that of
    the window before. The same decisions, version, params and policy give the same report.
    """

    model_name: str
    version: str
    files_sha256: str
    baseline_sha256: str | None
    start: str
    end: str
    params_sha256: str
    policy: str
    policy_sha256: str
    profile_id: str | None
    former_id: str | None
    decisions: int
    findings: tuple[Finding, ...]
    tables: dict[str, Json]

    @property
    def action(self) -> Action:
        """The strongest action that a finding asks for."""
        return max((each.action for each in self.findings), key=ACTIONS.index, default="none")

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Every finding that asks for something."""
        return tuple(each for each in self.findings if each.status in {"alarm", "error"})


def with_actions(found: Iterable[Finding], actions: WatchActions) -> tuple[Finding, ...]:
    """Return the findings with what the params ask for, the worst first."""
    done = [
        msgspec.structs.replace(each, action=_action(each, actions))
        if each.status in {"alarm", "error"}
        else each
        for each in found
    ]
    return tuple(sorted(done, key=lambda each: WORST_FIRST.index(each.status)))


def _action(found: Finding, actions: WatchActions) -> Action:
    """Return what the params ask for; that something was not watched is at least an alert."""
    wanted: Action = getattr(actions, found.check)
    return "alert" if found.status == "error" and wanted == "none" else wanted


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold; what is undefined becomes None."""
    return float(value) if value is not None and math.isfinite(value) else None
