"""Bias in production: the gate's definitions over the decisions of a window, group by group.

Selection rates come from all decisions, for they need no label; equal opportunity and predictive
parity from the decisions whose target is known by now. The pack that judges candidates says here
too which definition, attributes and intersections count; all of them stand in the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.data.groups import UNKNOWN
from pipelines.errors import ClewError
from pipelines.model import group_metrics
from pipelines.model.group_metrics import JOINED, GroupCounts
from pipelines.records import Json, Outcome
from pipelines.release import policy as packs
from pipelines.release.baseline import Baseline
from pipelines.release.checks import bias
from pipelines.release.checks.bias import Comparison, Definition, Thresholds
from pipelines.release.policy import Policy
from pipelines.watch.findings import Finding, Status, finite
from pipelines.watch.profile import WindowProfile
from pipelines.watch.tables import APPROVE, REFER, REFUSE, GroupTable, share, table, tables
from pipelines.watch_params import WatchParams

STATUS: Final[dict[Outcome, Status]] = {
    "pass": "ok",
    "fail": "alarm",
    "not-enough-data": "not-enough-data",
    "error": "error",
}
WITHOUT_LABELS: Final[tuple[Definition, ...]] = ("selection_rate",)
WITH_LABELS: Final[tuple[Definition, ...]] = ("equal_opportunity", "predictive_parity")
# 6 RCNY 5-301: a category of less than 2 % may be left out of the impact ratios.
LEFT_OUT_BELOW: Final = 0.02


@dataclass(frozen=True, slots=True)
class Judge:
    """How comparisons are judged: the pack's thresholds, and the settings of the watch."""

    limits: Thresholds
    watch: WatchParams
    there: tuple[str, ...]
    rng: np.random.Generator

    def gates(self, attribute: str) -> bool:
        """Say whether every attribute of an intersection is one that the pack names."""
        return set(attribute.split(JOINED)) <= set(self.there)

    def compared(self, found: GroupTable) -> Iterator[Comparison]:
        """Yield every group against the reference, by every definition."""
        yield from self._compared(found.attribute, found.decided, WITHOUT_LABELS)
        yield from self._compared(found.attribute, found.labelled, WITH_LABELS)

    def _compared(
        self, attribute: str, counts: GroupCounts, kept: tuple[Definition, ...]
    ) -> Iterator[Comparison]:
        drawn = group_metrics.bootstrap(counts.table, self.watch.bootstrap_samples, self.rng)
        least, confidence = self.limits.min_group_size, self.watch.confidence
        for each in bias.compare(attribute, counts, least, drawn, confidence):
            if each.definition in kept:
                yield each


def findings(
    profile: WindowProfile, policy: Policy, watch: WatchParams
) -> tuple[tuple[Finding, ...], list[Json]]:
    """Return what the pack wants judged, and every comparison as a row.

    A pack that says nothing of bias is an error here: nothing was watched then.
    """
    try:
        limits = packs.thresholds(policy, "bias", Thresholds)
    except ClewError as error:
        said = f"bias was not judged: {error.what}"
        return (Finding(check="bias", of="policy", measure="", status="error", said=said),), []
    there, _ = bias.gating(profile.cube.attributes, limits)
    judge = Judge(limits, watch, there, np.random.default_rng(watch.seed))
    found: list[Finding] = []
    rows: list[Json] = []
    for each in tables(profile.cube, watch.crossed):
        compared = list(judge.compared(each))
        found += [made for one in compared if (made := _finding(one, judge))]
        found += _nobody(each, judge)
        rows += [_row(one, limits) for one in compared]
    return tuple(found), rows


def _finding(found: Comparison, judge: Judge) -> Finding | None:
    """Return the finding of a comparison that counts; None of one that is shown only."""
    line = bias.line(found, judge.limits, judge.gates(found.attribute), judge.watch.confidence)
    if not line.counts:
        return None
    selection = found.definition == "selection_rate"
    limits = judge.limits
    return Finding(
        check="bias",
        of=f"{found.attribute}: {found.group}",
        measure=found.definition,
        status=STATUS[line.outcome],
        said=f"{line.observed}; {line.expected}",
        value=finite(found.value),
        bound=limits.min_ratio if selection else limits.max_difference,
        p_adjusted=finite(found.p),
        n=found.n,
    )


def _nobody(found: GroupTable, judge: Judge) -> Iterator[Finding]:
    """Say that an attribute cannot be judged: no group is large enough, or there is one only."""
    if not judge.gates(found.attribute) or found.crossed:
        return
    able = found.decided.eligible(judge.limits.min_group_size)
    if able.sum() > 1:
        return
    yield Finding(
        check="bias",
        of=found.attribute,
        measure="groups",
        status="not-enough-data",
        said=f"{found.attribute}: {int(able.sum())} groups of at least "
        f"{judge.limits.min_group_size} decided people; two are needed to compare",
        value=int(able.sum()),
        bound=2,
        n=int(found.decided.sizes.sum()),
    )


def _row(found: Comparison, limits: Thresholds) -> dict[str, Json]:
    return {
        "attribute": found.attribute,
        "group": found.group,
        "reference": found.reference,
        "definition": found.definition,
        "n": found.n,
        "value": finite(found.value),
        "low": finite(found.low),
        "high": finite(found.high),
        "p_holm": finite(found.p),
        "small": found.small,
        "outcome": bias.outcome(found, limits),
    }


def side_by_side(profile: WindowProfile, baseline: Baseline, watch: WatchParams) -> list[Json]:
    """Return every rate of every group: in the window, on the test part, by the former procedure.

    `estimated` rates stand on the chances of a favourable target that the test part gives each
    margin; they need no label, and are only as good as that still holds.
    """
    rows: list[Json] = []
    former, tested = tables(baseline.former, watch.crossed), tables(baseline.tested, watch.crossed)
    for now, then, test in zip(tables(profile.cube, watch.crossed), former, tested, strict=True):
        rates = {name: rate(now.labelled.table) for name, rate in group_metrics.RATES.items()}
        for at, name in enumerate(now.names):
            rows.append(
                {
                    "attribute": now.attribute,
                    "group": name,
                    **_of_window(now, at),
                    "labelled": int(now.labelled.sizes[at]),
                    **{
                        key: finite(float(each[at]))
                        for key, each in rates.items()
                        if key != "selection_rate"
                    },
                    **_estimated(now, at),
                    "selection_rate_tested": _selection(test, name),
                    "selection_rate_former": _selection(then, name),
                }
            )
    return rows


def _of_window(now: GroupTable, at: int) -> dict[str, Json]:
    by_outcome = now.counts[at].sum(axis=1)
    people = int(by_outcome.sum()) - int(by_outcome[REFUSE])
    decided = int(now.decided.sizes[at])
    return {
        "people": people,
        "decided": decided,
        "selection_rate": share(int(by_outcome[APPROVE]), decided),
        "referral_rate": share(int(by_outcome[REFER]), people),
    }


def _estimated(now: GroupTable, at: int) -> dict[str, Json]:
    chances = now.chances[at]
    approved = int(now.counts[at].sum(axis=1)[APPROVE])
    favourable = float(chances[:REFER].sum())
    return {
        "true_positive_rate_estimated": share(float(chances[APPROVE]), favourable),
        "positive_predictive_value_estimated": share(float(chances[APPROVE]), approved),
    }


def _selection(found: GroupTable, name: str) -> float | None:
    if name not in found.names:
        return None
    at = found.names.index(name)
    selected = int(found.decided.table[at, 1, 0])
    return share(selected, int(found.decided.sizes[at]))


def ll144_summary(profile: WindowProfile) -> list[Json]:
    """Return the table of New York City's Local Law 144: every category and every intersection.

    Impact ratio: selection rate over that of the most selected category (6 RCNY 5-300). A category
    of less than 2 % of the people stands with its numbers and no ratio; people of unknown category
    are counted in a row of their own. The columns are those of the rule; it names sex and race or
    ethnicity, and which attributes those are is for the reader to say.
    """
    rows: list[Json] = []
    attributes = range(len(profile.cube.attributes))
    pairs = [(one, two) for one in attributes for two in attributes if one < two]
    for places in [*((one,) for one in attributes), *pairs]:
        rows += _ll144(table(profile.cube, places))
    return rows


def _ll144(found: GroupTable) -> list[Json]:
    known = [UNKNOWN not in name.split(JOINED) for name in found.names]
    sizes, selected = found.decided.sizes, found.decided.table[:, 1, 0]
    total = int(sizes[known].sum())
    small = [total > 0 and size / total < LEFT_OUT_BELOW for size in sizes.tolist()]
    rates = [share(int(s), int(n)) for s, n in zip(selected, sizes, strict=True)]
    counted = [
        rate
        for rate, one, left in zip(rates, known, small, strict=True)
        if one and not left and rate is not None
    ]
    best = max(counted, default=None)
    return [
        {
            "category": found.attribute,
            "group": name,
            "applicants": int(size),
            "selected": int(chosen),
            "selection_rate": rate,
            "impact_ratio": None if left or not one or not best or rate is None else rate / best,
            "left_out_under_2_percent": bool(one and left),
            "unknown": not one,
        }
        for name, size, chosen, rate, one, left in zip(
            found.names, sizes, selected, rates, known, small, strict=True
        )
    ]
