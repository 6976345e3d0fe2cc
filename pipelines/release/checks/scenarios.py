"""Scenarios: the candidate does for made-up people what domain experts wrote down beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipelines.canonical import sha256_file
from pipelines.records import Json
from pipelines.release import scenarios as written
from pipelines.release.checks._case import Case, Finding, Line
from pipelines.release.policy import Thresholds as Base
from pipelines.release.scenarios import Must, Scenario

APPROVED, DECLINED = 1, -1
WORDS = {APPROVED: "approved", DECLINED: "declined", 0: "referred to a person"}
Told = Mapping[str, tuple[int, float]]  # a person's outcome and margin, by name


class Thresholds(Base, frozen=True):
    """`min_scenarios`: of fewer gating ones nothing can be said."""

    min_scenarios: int


def judge(case: Case, limits: Thresholds) -> Finding:
    """Decide about the people of the model's file and compare with what is expected."""
    path = written.path(case.layout, case.params.model_name)
    if not path.is_file():
        return Finding((_enough(0, limits),))
    found = written.read(path, case.contract)
    told: dict[str, tuple[int, float]] = {}
    if found.people:
        margins = case.margins(written.frame(found, case.contract))
        outcomes = case.outcomes(margins).tolist()
        told = dict(zip(found.people, zip(outcomes, margins.tolist(), strict=True), strict=True))
    tested = tuple(lines(found.scenarios, told))
    gating = [line for line in tested if line.counts]
    evidence: dict[str, Json] = {
        written.SHA256: sha256_file(path),
        "scenarios": len(gating),
        "held": sum(line.outcome == "pass" for line in gating),
        "failed": [line.name for line in tested if line.outcome == "fail"],
    }
    return Finding((*tested, _enough(len(gating), limits)), evidence)


def lines(scenarios: tuple[Scenario, ...], told: Told) -> Iterator[Line]:
    """Yield one line a scenario: what came out for its person against what is expected."""
    for each in scenarios:
        outcome, margin = told[each.person]
        held, observed, expected = _of_other(each, told) or _of_one(each.must, outcome)
        yield Line(
            name=each.name,
            outcome="pass" if held else "fail",
            observed=f"{each.name}: {observed}",
            expected=f"{expected} ({each.because})",
            value=margin,
            counts=each.gates,
        )


def _of_one(must: Must | None, outcome: int) -> tuple[bool, str, str]:
    held = {
        "be approved": outcome == APPROVED,
        "not be approved": outcome != APPROVED,
        "be declined": outcome == DECLINED,
        "not be declined": outcome != DECLINED,
    }[must or "be approved"]
    return held, WORDS[outcome], str(must)


def _of_other(each: Scenario, told: Told) -> tuple[bool, str, str] | None:
    if each.other is None:
        return None
    (outcome, margin), (theirs, their_margin) = told[each.person], told[each.other]
    if each.same_outcome_as:
        observed = f"{WORDS[outcome]}, {each.other} {WORDS[theirs]}"
        return outcome == theirs, observed, "the same outcome for both"
    observed = f"a margin {margin - their_margin:+.3f} from that of {each.other}"
    return margin >= their_margin, observed, "no lower a margin"


def _enough(count: int, limits: Thresholds) -> Line:
    return Line(
        name="scenarios written down",
        outcome="pass" if count >= limits.min_scenarios else "not-enough-data",
        observed=f"{count} scenarios" if count else "no scenarios",
        expected=f"at least {limits.min_scenarios} that gate, in policies/scenarios",
        value=float(count),
    )
