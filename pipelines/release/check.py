"""The step `check`: run every check against the policy pack, each with its report."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import ClewError
from pipelines.layout import Layout, Model
from pipelines.params import Params
from pipelines.params import read as read_params
from pipelines.ports import Context
from pipelines.records import Candidate, Champion, Check, Split
from pipelines.release import checks as catalogue
from pipelines.release import policy as packs
from pipelines.release.checks._case import Case, Finding, Line
from pipelines.release.policy import Policy
from pipelines.typed import read_json

CHAMPION_ID = "champion_id"
Judge = Callable[[], Finding]


def contained(name: str, judge: Judge) -> Finding:
    """Return what a check finds; whatever it raises becomes the outcome `error`.

    Only the exception's class is kept of errors that are not Clew's own, for a library's message
    may quote a person's value.
    """
    try:
        return judge()
    except ClewError as error:
        said = f"{type(error).__name__}: {error.what}"
    except Exception as error:  # noqa: BLE001 - a broken check blocks, it does not end the others
        said = type(error).__name__
    return Finding((Line(name, "error", said, "a check that runs to its end"),))


def bound(name: str, finding: Finding, case: Case, policy: Policy) -> Check:
    """Bind a finding to what it judged."""
    return Check(
        name=name,
        outcome=finding.outcome,
        observed=finding.observed,
        expected=finding.expected,
        candidate_id=case.candidate.id,
        split_id=case.split.id,
        policy_sha256=policy.sha256,
        evidence={**finding.evidence, CHAMPION_ID: case.champion.id},
    )


def index_page(found: tuple[Check, ...], policy: Policy) -> str:
    """Return the page that lists every check with outcome, observed and expected, escaped."""
    rows = "\n".join(_row(check, policy) for check in found)
    return PAGE.format(policy=html.escape(policy.name), rows=rows)


def report_path(name: str) -> Path:
    """Return where a check's report for people stands, relative to the checkout."""
    return Layout(Path()).checks / f"{name}.html"


def record_path(layout: Layout, name: str) -> Path:
    """Return where a check's record stands."""
    return layout.checks / f"{name}.json"


def run(context: Context) -> tuple[Check, ...]:
    """Run every check that the folder holds; return their records, sorted by name.

    Raises what reading the pack or the candidate raises: then there is nothing to judge.
    """
    layout = context.layout
    params = read_params(layout.params)
    policy = packs.read(layout, params.policy)
    case = case_of(context, params)
    shutil.rmtree(layout.checks, ignore_errors=True)
    layout.checks.mkdir(parents=True)
    found = tuple(one(name, case, policy) for name in catalogue.names())
    (layout.checks / "index.html").write_text(index_page(found, policy), encoding="utf-8")
    return found


def one(name: str, case: Case, policy: Policy) -> Check:
    """Run one check; write its report and its record, and return that."""
    from pipelines.release import reports

    def judge() -> Finding:
        code = catalogue.load(name)
        return code.judge(case, packs.thresholds(policy, name, code.thresholds))

    finding = contained(name, judge)
    check = bound(name, finding, case, policy)
    unreported = _report(reports.write, check, finding, case.layout.checks)
    if unreported:
        finding = Finding((Line(name, "error", unreported, "a report of the check"),))
        check = bound(name, finding, case, policy)
    check.write(record_path(case.layout, name))
    return check


def _report(
    write: Callable[[Check, Finding, Path], None], check: Check, finding: Finding, folder: Path
) -> str | None:
    """Write a check's report; return what went wrong, without a value out of the data."""
    try:
        write(check, finding, folder)
    except ClewError as error:
        return f"the report could not be written: {error.what}"
    except Exception as error:  # noqa: BLE001 - a check without its report is an error, no crash
        return f"the report could not be written: {type(error).__name__}"
    return None


def case_of(context: Context, params: Params) -> Case:
    """Return the candidate on trial, from the records of the checkout."""
    from pipelines.contract import Contract

    layout = context.layout
    return Case(
        layout=layout,
        state=context.state,
        contract=read_json(layout.snapshot_contract, Contract),
        params=params,
        candidate=read_json(Model(layout.candidate).record, Candidate),
        split=read_json(layout.split_record, Split),
        champion=read_json(layout.champion_record, Champion),
    )


def _row(check: Check, policy: Policy) -> str:
    rule = policy.checks.get(check.name)
    gates = "unknown to the policy" if rule is None else "gates" if rule.gates else "watches"
    cells = (check.outcome, gates, check.observed, check.expected)
    shown = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    name = html.escape(check.name)
    head = f'<th scope="row"><a href="{name}.html">{name}</a></th>'
    return f'<tr class="{html.escape(check.outcome)}">{head}{shown}</tr>'


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Checks under {policy}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ border: 1px solid #767676; padding: .4rem .7rem; text-align: left; vertical-align: top }}
.fail td:nth-child(2), .error td:nth-child(2) {{ font-weight: 700; color: #a30000 }}
.pass td:nth-child(2) {{ color: #075e07 }}
</style>
</head>
<body>
<main>
<h1>Checks</h1>
<p>Judged under the policy pack <strong>{policy}</strong>. Each name leads to the report.</p>
<table>
<caption>Every check with its outcome</caption>
<thead><tr><th scope="col">check</th><th scope="col">outcome</th><th scope="col">role</th>
<th scope="col">observed</th><th scope="col">expected</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""
