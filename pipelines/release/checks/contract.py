"""Contract: the data tests that the candidate's snapshot went through, and what they refused."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.data import files
from pipelines.data.result import Validation
from pipelines.errors import IntegrityBroken
from pipelines.records import Candidate, Json, Snapshot, Split
from pipelines.release.checks._case import Case, Finding, Line, Table
from pipelines.release.policy import Thresholds as Base
from pipelines.typed import read_json


class Thresholds(Base, frozen=True):
    """`max_refused_share` of landed rows, and the least number of accepted ones."""

    max_refused_share: float
    min_rows: int


def lines(result: Validation, limits: Thresholds) -> Iterator[Line]:
    """Yield the tests of one validation result."""
    share = result.refused / result.rows if result.rows else 1.0
    yield Line(
        name="refused rows",
        outcome="pass" if share <= limits.max_refused_share else "fail",
        observed=f"{result.refused} of {result.rows} rows refused ({share:.2%})",
        expected=f"at most {limits.max_refused_share:.2%}",
        value=share,
    )
    yield Line(
        name="accepted rows",
        outcome="pass" if result.accepted >= limits.min_rows else "not-enough-data",
        observed=f"{result.accepted} rows accepted",
        expected=f"at least {limits.min_rows}",
        value=float(result.accepted),
    )
    yield Line(
        name="rules on the whole table",
        outcome="fail" if result.table or result.blocked else "pass",
        observed="; ".join(_named(result)) or "every table rule is kept",
        expected="every table rule is kept",
        value=float(len(result.table)),
    )


def same_data(result: Validation, snapshot: Snapshot, split: Split, candidate: Candidate) -> None:
    """Raise IntegrityBroken when the validation is not of the data that trained the candidate."""
    pairs = (
        ("another landing", result.landed_id, snapshot.landed_id),
        ("another contract", result.contract_sha256, snapshot.contract_sha256),
        ("another snapshot", split.snapshot_id, snapshot.id),
        ("another snapshot", candidate.snapshot_id, snapshot.id),
    )
    for what, found, expected in pairs:
        if found != expected:
            raise IntegrityBroken(f"the data tests are about {what}", expected=expected)


def judge(case: Case, limits: Thresholds) -> Finding:
    """Judge the stored result of `validate`."""
    result = read_json(files.validation(case.layout), Validation)
    snapshot = read_json(case.layout.snapshot_record, Snapshot)
    same_data(result, snapshot, case.split, case.candidate)
    broken: list[Json] = [
        {"rule": each.rule, "column": each.column, "rows": each.count}
        for each in (*result.table, *result.broken)
    ]
    evidence: dict[str, Json] = {
        "rows": result.rows,
        "accepted": result.accepted,
        "refused": result.refused,
        "broken": broken,
    }
    shown = tuple((each.rule, each.column, each.count) for each in (*result.table, *result.broken))
    table = Table("Rules that rows broke", ("rule", "column", "rows"), shown)
    return Finding(tuple(lines(result, limits)), evidence, (table,))


def _named(result: Validation) -> list[str]:
    rules = [f"{each.rule} ({each.column})" if each.column else each.rule for each in result.table]
    return rules or list(result.blocked)
