"""The `watch` section of `params.yaml`: when the watch alarms, and what it does then."""

from __future__ import annotations

from typing import Literal

from pipelines.typed import Section

Action = Literal["none", "alert", "retrain", "stop"]


class Bound(Section, frozen=True):
    """Between which shares an outcome must stay.

    `of`: everybody, or each score band, group or intersection of groups; `name` picks one of them
    (a band's number from 1 for the lowest scores, ``attribute: group``), empty means all.
    """

    outcome: Literal["approve", "decline", "refer", "refuse"]
    low: float
    high: float
    of: Literal["overall", "band", "group", "intersection"] = "overall"
    name: str = ""


class WatchActions(Section, frozen=True):
    """What an alarm of each check asks for.

    `retrain` asks for a new candidate, which goes through the same gate; `stop` makes the decision
    service refer everything to people; `none` shows it and does nothing.
    """

    window: Action = "alert"
    columns: Action = "alert"
    drift: Action = "retrain"
    missing: Action = "alert"
    mean: Action = "alert"
    score: Action = "retrain"
    former: Action = "none"
    domain: Action = "alert"
    bounds: Action = "alert"
    control: Action = "alert"
    bias: Action = "alert"
    influence: Action = "alert"
    performance: Action = "retrain"
    estimate: Action = "alert"


class WatchAlerts(Section, frozen=True):
    """How people are told: a message a finding; from `digest_from` findings on one that lists them.

    None never makes a digest.
    """

    digest_from: int | None = None


class WatchParams(Section, frozen=True):
    """When the watch alarms. Thresholds of bias stand in the policy pack, as for the gate.

    `alpha` is the level of every test after correction; under `min_rows` decisions nothing is
    judged. Distances: Wasserstein in standard deviations of the reference, Jensen-Shannon with
    logarithms to base 2; `max_mean_sigmas` bounds how far a mean may move, in the same unit.
    `max_null_rate_change` and `max_new_share` are shares of rows. `bands` of equal size cut the
    scores. `control_sigmas` and `control_run` are the control chart's: points outside, and points
    in a row on one side. `crossed` attributes at most make an intersection. `max_association`
    bounds how well the first reason tells the group (Cramer's V), `max_influence` the share of the
    score that protected columns and those that tell a group carry, over at most `influence_sample`
    decisions; the two `_rise` bound by how much either may rise since the version was registered,
    and since the window before. `max_loss` is of ROC AUC against the test part. `max_domain_auc`:
    how well a classifier may tell the window from the one before; None leaves it out.

    On schedule the last whole `period` is watched; it is late `late_hours` after it was due.
    Evidently's workspace keeps the last `snapshots` windows: it loads all of them to open. A window
    of more than `rows_per_part` decisions is counted in parts, each by a task of its own.
    """

    period: Literal["day", "week", "month"] = "month"
    late_hours: float = 6.0
    snapshots: int = 24
    rows_per_part: int = 200_000

    alpha: float = 0.05
    confidence: float = 0.95
    min_rows: int = 100
    max_wasserstein: float = 0.1
    max_psi: float = 0.2
    max_jensen_shannon: float = 0.1
    max_null_rate_change: float = 0.05
    max_new_share: float = 0.01
    max_mean_sigmas: float = 1.0
    bands: int = 5
    bounds: tuple[Bound, ...] = ()
    control_sigmas: float = 3.0
    control_run: int = 8
    crossed: int = 2
    max_association: float = 0.3
    max_influence: float = 0.25
    max_association_rise: float = 0.15
    max_influence_rise: float = 0.1
    influence_sample: int = 2000
    max_loss: float = 0.05
    max_domain_auc: float | None = None
    bootstrap_samples: int = 1000
    seed: int = 17
    alerts: WatchAlerts = WatchAlerts()
    actions: WatchActions = WatchActions()
