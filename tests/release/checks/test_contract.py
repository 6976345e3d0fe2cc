"""Contract: the data tests of the very data that trained the candidate."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.data import files
from pipelines.data.result import Broken
from pipelines.errors import IntegrityBroken
from pipelines.layout import State
from pipelines.release.checks import contract
from tests.release import cases

LIMITS = contract.Thresholds(max_refused_share=0.01, min_rows=100)
RULE = Broken(rule="missing share", column="debt", count=3, rows=())


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (cases.validation(1000, 10), ["pass", "pass", "pass"]),
        (cases.validation(1000, 20), ["fail", "pass", "pass"]),
        (cases.validation(50, 0), ["pass", "not-enough-data", "pass"]),
        (cases.validation(0, 0), ["fail", "not-enough-data", "pass"]),
        (cases.validation(1000, table=(RULE,)), ["pass", "pass", "fail"]),
        (cases.validation(1000, blocked=("no row is left",)), ["pass", "pass", "fail"]),
    ],
    ids=["good", "refused", "few", "none", "rule", "blocked"],
)
def test_a_validation_is_judged(result: contract.Validation, expected: list[str]) -> None:
    """Refused share, accepted rows and table rules each have their line."""
    assert expected == [line.outcome for line in contract.lines(result, LIMITS)]


def test_a_broken_rule_is_named_without_values() -> None:
    """The line names the rule and the column."""
    *_, line = contract.lines(cases.validation(1000, table=(RULE,)), LIMITS)
    assert "missing share (debt)" == line.observed


@pytest.mark.parametrize("field", ["landed_id", "contract_sha256"])
def test_a_validation_of_other_data_is_refused(tmp_path: Path, state: State, field: str) -> None:
    """Data tests of another landing, or against another contract, say nothing."""
    world = cases.make(tmp_path / "repo", state)
    assert "pass" == contract.judge(world.case, LIMITS).outcome
    cases.validation(1600, **{field: "0" * 64}).write(files.validation(world.layout))
    with pytest.raises(IntegrityBroken, match="another"):
        contract.judge(world.case, LIMITS)
