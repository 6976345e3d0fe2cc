"""Facts of how a version was judged: pack, tier, verdict, checks; and the risk register."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipelines.records import Check, Verdict
from pipelines.release.check import report_path
from pipelines.release.documents.fact import SHORT, Known, Row, Source, Table, listed, told, under
from pipelines.release.policy import Policy, Rule
from pipelines.release.version_files import VersionFiles, record_id
from pipelines.typed import read_json

# From the folder of documents, beside that of the checks' reports.
UP = ".."


def of_verdict(files: VersionFiles) -> Known:
    """Return the facts of a version's verdict and of the pack that it was judged by."""
    verdict, policy = read_json(files.verdict, Verdict), read_json(files.policy, Policy)
    pack = Source("policy pack", verdict.policy_sha256)
    given = Source("verdict", record_id(files.verdict))
    found = {
        **under("policy", _policy(policy, pack)),
        **under("verdict", _verdict(verdict, given)),
        "policy.sources": _sources(policy, pack),
        "policy.thresholds": _thresholds(policy, pack),
    }
    found |= risks(files, {})
    if checks := _checks(files, verdict, policy):
        found["checks"] = Table(
            "Checks", ("check", "role", "outcome", "observed", "expected", "because"), checks
        )
    return found


def _policy(policy: Policy, source: Source) -> Known:
    until = policy.in_force_until or "further notice"
    return told(
        source,
        name=policy.name,
        jurisdiction=policy.jurisdiction,
        in_force=f"{policy.in_force_from} until {until}",
        tier=policy.risk_tier,
        because=policy.risk_because,
        approval="a named person approves every promotion" if policy.approval_required else None,
        contest=f"within {policy.contest.days} days" if policy.contest else None,
        incident=listed(f"{kind}: {days} days" for kind, days in policy.incident.days.items())
        if policy.incident
        else None,
        retention=listed(
            f"{name}: {each.months} months" for name, each in policy.retention.items()
        ),
    )


def _verdict(verdict: Verdict, source: Source) -> Known:
    outcomes = verdict.outcomes.items()
    return told(
        source,
        word="passed" if verdict.passed else "blocked",
        passed=listed(name for name, outcome in outcomes if outcome == "pass"),
        not_passed=listed(f"{name}: {outcome}" for name, outcome in outcomes if outcome != "pass")
        or "none",
        champion=f"judged against the champion of record {verdict.champion_id}",
    )


def _sources(policy: Policy, source: Source) -> Table:
    rows = tuple(Row((each.text, each.says), source) for each in policy.sources)
    return Table("Rules that the pack was written from", ("text", "what is taken from it"), rows)


def _thresholds(policy: Policy, source: Source) -> Table:
    rows = tuple(
        Row((name, listed(f"{key} {value}" for key, value in rule.thresholds.items())), source)
        for name, rule in policy.checks.items()
    )
    return Table("Thresholds, fixed before the run", ("check", "thresholds"), rows)


def _checks(files: VersionFiles, verdict: Verdict, policy: Policy) -> tuple[Row, ...]:
    return tuple(
        _row(each, policy, verdict.checks[each.name]) for each in checks_of(files, verdict)
    )


def risks(files: VersionFiles, watched: Mapping[str, str]) -> Known:
    """Return the risk register: each risk with its guards and how they last came out.

    `watched` says how each check of the watch last came out of this version.
    """
    verdict, policy = read_json(files.verdict, Verdict), read_json(files.policy, Policy)
    source = Source("policy pack", verdict.policy_sha256)
    if not policy.risks:
        return {}
    names = ("risk", "guarded before deployment by", "guarded after it by", "because")
    rows = (
        Row((r.risk, _guards(r.checks, verdict), _watched(r.watch, watched), r.because), source)
        for r in policy.risks
    )
    return {"risks": Table("Risk register", names, tuple(rows))}


def _guards(checks: tuple[str, ...], verdict: Verdict) -> str:
    """Name the checks with the outcome and the id of each one's record."""
    told_of = (
        f"{name}: {verdict.outcomes.get(name, 'NOT RUN')} "
        f"({verdict.checks.get(name, 'no record')[:SHORT]})"
        for name in checks
    )
    return listed(told_of) or "no check"


def _watched(names: tuple[str, ...], watched: Mapping[str, str]) -> str:
    told_of = (f"{name}: {watched.get(name, 'not watched yet')}" for name in names)
    return listed(told_of) or "no finding of the watch"


def checks_of(files: VersionFiles, verdict: Verdict) -> Iterator[Check]:
    """Yield the checks that a version carries, of those that its verdict names."""
    for name in verdict.checks:
        if files.check(name).is_file():
            yield read_json(files.check(name), Check)


def _row(check: Check, policy: Policy, number: str) -> Row:
    rule = policy.checks.get(check.name)
    cells = (check.name, _role(rule), check.outcome, check.observed, check.expected)
    because = rule.because if rule else ""
    report = report_path(check.name)
    href = f"{UP}/{report.relative_to(report.parent.parent).as_posix()}"
    return Row((*cells, because), Source(f"check {check.name}", number), href)


def _role(rule: Rule | None) -> str:
    if rule is None:
        return "unknown to the pack"
    return "gates" if rule.gates else "watched"
