"""How well the version decides: with the labels known by now, and without any.

Without labels, each margin is given the chance of a favourable target that the test part showed
(confidence-based estimation). That is right as long as this chance still holds at each margin, and
says nothing of a world in which it does not; so the estimate is compared with the truth as soon as
labels are there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipelines.data.sketch import Counts, Floats
from pipelines.records import Json
from pipelines.release.baseline import Baseline, Scored
from pipelines.release.checks._statistics import delong
from pipelines.watch.bounds import clopper_pearson
from pipelines.watch.calibration import chances, labelled, pooled
from pipelines.watch.findings import Finding, Status, finite
from pipelines.watch.profile import WindowProfile
from pipelines.watch.tables import APPROVE, DECLINE, FAVOURABLE, UNFAVOURABLE, everybody, share
from pipelines.watch_params import WatchParams

LEAST_CLASS = 10
ONE_SIDED = 1.96
Estimates = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Auc:
    """An area under the ROC curve, and its variance; NaN where a class is missing."""

    value: float
    variance: float
    n: int


def auc(table: Counts) -> Auc:
    """Return the AUC of labelled counts by bin, shape (bins, 2); margins of a bin are ties."""
    bins = np.arange(len(table))
    scores = np.concatenate([np.repeat(bins, table[:, 0]), np.repeat(bins, table[:, 1])])
    target = np.repeat([0, 1], table.sum(axis=0))
    if not len(target):
        return Auc(math.nan, math.nan, 0)
    values, covariance = delong(target, scores[np.newaxis, :])
    return Auc(float(values[0]), float(covariance[0, 0]), len(target))


def judge(
    profile: WindowProfile, baseline: Baseline, limits: WatchParams
) -> tuple[tuple[Finding, ...], dict[str, Json]]:
    """Judge live performance, or say that labels are few, and the estimate; return all figures."""
    known, expected = labelled(profile.scored), estimate(profile.scored, baseline, limits)
    live = (*_live(known, baseline, limits), *_calibration(known, baseline, limits))
    found = (*live, *_estimated(profile.scored, expected, baseline, limits))
    return found, _table(profile, expected, baseline, limits)


def _live(known: Counts, baseline: Baseline, limits: WatchParams) -> tuple[Finding, ...]:
    now, then = auc(known), auc(labelled(baseline.scored))
    expected = _auc_at(known, baseline) - _optimism(baseline)
    if min(known.sum(axis=0), default=0) < LEAST_CLASS or now.n < limits.min_rows:
        said = (
            f"{now.n} labels, {int(known[:, 0].sum())} unfavourable: judged from "
            f"{limits.min_rows} labels on with {LEAST_CLASS} of each kind"
        )
        return (
            Finding(
                check="performance",
                of="everybody",
                measure="roc_auc",
                status="not-enough-data",
                said=said,
                n=now.n,
            ),
        )
    loss, error = expected - now.value, math.sqrt(now.variance + then.variance)
    p = float(stats.norm.sf(loss / error)) if error else math.nan
    floor = ONE_SIDED * error
    alarm = loss > max(limits.max_loss, floor)
    status: Status = "alarm" if alarm else "ok" if floor <= limits.max_loss else "not-enough-data"
    return (
        Finding(
            check="performance",
            of="everybody",
            measure="roc_auc",
            status=status,
            said=f"ROC AUC {now.value:.3f} on {now.n} labels, {expected:.3f} to be expected at "
            f"their margins: a loss of {loss:.3f}, at most {limits.max_loss:g} (chance alone up to "
            f"{floor:.3f})",
            value=finite(loss),
            bound=limits.max_loss,
            floor=finite(floor),
            p=finite(p),
            p_adjusted=finite(p),
            n=now.n,
        ),
    )


def _auc_at(table: Counts, baseline: Baseline) -> float:
    """Return the AUC to be expected of people with these margins.

    Labels mostly come for people who were approved, and among these alone any model orders less
    well. So people with a label are compared with what the test part tells of such people.
    """
    return expected_auc(table.sum(axis=1).astype(np.float64), chances(baseline.scored))


def _optimism(baseline: Baseline) -> float:
    """Return by how much pooled chances flatter the very people they were taken from."""
    tests = labelled(baseline.scored)
    return _auc_at(tests, baseline) - auc(tests).value


def _calibration(known: Counts, baseline: Baseline, limits: WatchParams) -> tuple[Finding, ...]:
    """Compare the share of favourable labels with what is to be expected at their margins."""
    people, favourable = int(known.sum()), int(known[:, 1].sum())
    if people < limits.min_rows:
        return ()
    expected = chances(baseline.scored)
    mean = float((known.sum(axis=1) * expected).sum() / people)
    spread = float((known.sum(axis=1) * expected * (1.0 - expected)).sum()) / people**2
    tests = int(labelled(baseline.scored).sum())
    error = math.sqrt(spread + mean * (1.0 - mean) / max(tests, 1))
    apart = favourable / people - mean
    p = float(2.0 * stats.norm.sf(abs(apart) / error)) if error else math.nan
    floor = ONE_SIDED * error
    alarm = abs(apart) > max(limits.max_loss, floor)
    status: Status = "alarm" if alarm else "ok" if floor <= limits.max_loss else "not-enough-data"
    return (
        Finding(
            check="performance",
            of="everybody",
            measure="calibration",
            status=status,
            said=f"{favourable / people:.1%} of {people} labels are favourable, {mean:.1%} were to "
            f"be expected at their margins; apart by at most {limits.max_loss:.1%}",
            value=finite(abs(apart)),
            bound=limits.max_loss,
            floor=finite(floor),
            p=finite(p),
            p_adjusted=finite(p),
            n=people,
        ),
    )


def expected_auc(people: Floats, chance: Floats) -> float:
    """Return the AUC to be expected of people by bin whose chances are these; ties count half."""
    good, bad = people * chance, people * (1.0 - chance)
    below = np.cumsum(bad) - bad
    whole = good.sum() * bad.sum()
    return float((good * (below + bad / 2.0)).sum() / whole) if whole else math.nan


def estimate(scored: Scored, baseline: Baseline, limits: WatchParams) -> Estimates:
    """Return each expected measure with its interval: point, low, high.

    Draws: the test part's labels in each bin anew (its own uncertainty), then the labels of the
    window. `roc_auc` is over everybody scored; `favourable_share` of these; `approved_favourable`
    is the share of the approved whose target would be favourable.
    """
    table, tests = scored.table(), labelled(baseline.scored)
    people, approved = table.sum(axis=(1, 2)), table[:, APPROVE].sum(axis=1)
    rng = np.random.default_rng(limits.seed)
    point = _expected(people, approved, chances(baseline.scored))
    if not people.sum():
        return {name: [math.nan] * 3 for name in point}
    whole, share_of = tests.sum(axis=1), tests[:, 1] / np.maximum(tests.sum(axis=1), 1)
    drawn = []
    for _ in range(limits.bootstrap_samples):
        favourable = rng.binomial(whole, share_of)
        chance = pooled(np.stack([whole - favourable, favourable], axis=1))
        labels = rng.binomial(people, chance)
        drawn.append(_expected(people, approved, labels / np.maximum(people, 1)))
    tail = (1.0 - limits.confidence) / 2.0
    found: Estimates = {}
    for name, value in point.items():
        defined = [each[name] for each in drawn if not math.isnan(each[name])]
        ends = np.quantile(defined, [tail, 1.0 - tail]) if defined else [math.nan] * 2
        found[name] = [value, *map(float, ends)]
    return found


def _expected(people: Counts, approved: Counts, chance: Floats) -> dict[str, float]:
    total, chosen = people.sum(), approved.sum()
    return {
        "roc_auc": expected_auc(people.astype(np.float64), chance),
        "favourable_share": float((people * chance).sum() / total) if total else math.nan,
        "approved_favourable": float((approved * chance).sum() / chosen) if chosen else math.nan,
    }


def _estimated(
    scored: Scored, expected: Estimates, baseline: Baseline, limits: WatchParams
) -> tuple[Finding, ...]:
    people = int(scored.table().sum())
    if people < limits.min_rows:
        return ()
    then = _auc_at(labelled(baseline.scored), baseline)
    value, low, high = expected["roc_auc"]
    loss, floor = then - value, (high - low) / 2.0  # the interval covers the test part's own chance
    alarm = loss > max(limits.max_loss, floor)
    status: Status = "alarm" if alarm else "ok" if floor <= limits.max_loss else "not-enough-data"
    return (
        Finding(
            check="estimate",
            of="everybody",
            measure="roc_auc",
            status=status,
            said=f"ROC AUC to be expected without labels {value:.3f} ({low:.3f} to {high:.3f}), "
            f"{then:.3f} on the test part; a loss of at most {limits.max_loss:g}",
            value=finite(loss),
            bound=limits.max_loss,
            floor=finite(floor),
            n=people,
        ),
    )


def _table(
    profile: WindowProfile, expected: Estimates, baseline: Baseline, limits: WatchParams
) -> dict[str, Json]:
    """Return live performance, label delay and coverage, and the estimate beside the truth."""
    known, counts = labelled(profile.scored), everybody(profile.cube)
    with_label = counts[:, UNFAVOURABLE] + counts[:, FAVOURABLE]
    measured = auc(known)
    reach = ONE_SIDED * math.sqrt(measured.variance) if measured.variance >= 0 else math.nan
    return {
        "labels": int(known.sum()),
        "roc_auc": _triple(measured.value, measured.value - reach, measured.value + reach),
        "roc_auc_tested": finite(auc(labelled(baseline.scored)).value),
        "approved_favourable": _share(counts[APPROVE]),
        "declined_favourable": _share(counts[DECLINE]),
        "labelled_share_of_approved": share(int(with_label[APPROVE]), int(counts[APPROVE].sum())),
        "labelled_share_of_declined": share(int(with_label[DECLINE]), int(counts[DECLINE].sum())),
        "delay_days": delays(profile),
        "estimate": _plain(expected),
        "estimate_where_labels_are": _plain(
            estimate(_of_labelled(profile.scored), baseline, limits)
        ),
        "truth_where_labels_are": {
            "roc_auc": finite(measured.value),
            "favourable_share": share(int(known[:, 1].sum()), int(known.sum())),
            "approved_favourable": share(
                int(counts[APPROVE, FAVOURABLE]), int(with_label[APPROVE])
            ),
        },
    }


def delays(profile: WindowProfile) -> dict[str, Json]:
    """Return how long labels took: their number, median and 90 % quantile in whole days."""
    days = np.sort(np.repeat([int(each) for each in profile.delays], list(profile.delays.values())))
    if not len(days):
        return {"labels": 0, "median": None, "p90": None}
    places = [int(len(days) * part) for part in (0.5, 0.9)]
    return {"labels": len(days), "median": int(days[places[0]]), "p90": int(days[places[1]])}


def _of_labelled(scored: Scored) -> Scored:
    counts = scored.table()
    counts[:, :, 0] = 0
    return Scored(margins=scored.margins, counts=tuple(counts.ravel().tolist()))


def _share(counts: Counts) -> Json:
    part, whole = int(counts[FAVOURABLE]), int(counts[UNFAVOURABLE] + counts[FAVOURABLE])
    low, high = clopper_pearson(part, whole, 0.95)
    return _triple(share(part, whole), low, high)


def _triple(value: float | None, low: float, high: float) -> list[Json]:
    return [finite(value), finite(low), finite(high)]


def _plain(found: Estimates) -> dict[str, Json]:
    return {name: [finite(float(each)) for each in values] for name, values in found.items()}
