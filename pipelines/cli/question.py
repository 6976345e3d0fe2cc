"""The question put to an approver, in Markdown: which version, on which verdict, against whom.

What the checks say may quote the words of a category, so every text is taken as text: nothing in
it is read as Markdown or HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.markdown import plain
from pipelines.records import Check, ModelVersion
from pipelines.release.modification import Modification
from pipelines.release.policy import Policy
from pipelines.release.proposal import Proposal

WATCHED = "watched"


@dataclass(frozen=True, slots=True)
class Question:
    """Headline and body of the question."""

    subject: str
    body: str


def question(asked: Proposal, checks: Sequence[Check], server: str) -> Question:
    """Return the question whether a version may take the champion's place.

    `server` is MLflow's address; anything but one of HTTP gives no links.
    """
    version, policy = asked.version, asked.policy
    place = f"version {asked.champion.version}" if asked.champion else "no champion yet"
    facts = (
        ("Version", f"{version.model_name} {version.version}"),
        ("In place of", place),
        ("Policy pack", f"{policy.name} ({policy.risk_tier} risk)"),
        ("Why this tier", policy.risk_because),
        ("Run", version.run_id),
        ("Commit", version.commit),
        ("Verdict", version.verdict_id),
        ("Foreseen change", asked.word),
    )
    lines = [
        *table(("What", "Which"), facts),
        "",
        *table(
            ("Check", "Outcome", "Role", "Observed", "Expected"), [_row(c, policy) for c in checks]
        ),
        "",
        *_outside(asked.change),
        *links(version, server),
        "The answer, its reason and your name are kept with the version.",
    ]
    return Question(
        subject=f"Promote {version.model_name} version {version.version}?", body="\n".join(lines)
    )


def _outside(change: Modification | None) -> list[str]:
    """Return what left the envelope, if anything did."""
    if change is None or not change.outside:
        return []
    rows = [(each.name, each.former, each.now, each.allowed) for each in change.outside]
    return [
        "**Beyond what the policy pack foresaw:**",
        "",
        *table(("What", "Champion", "This version", "Foreseen"), rows),
        "",
    ]


def links(version: ModelVersion, server: str) -> list[str]:
    """Return where the version and its run, with reports and plots, are to be looked at."""
    if not server.startswith("http"):
        return []
    page = f"{server.rstrip('/')}/#"
    of_version = f"{page}/models/{version.model_name}/versions/{version.version}"
    of_run = f"{page}/runs/{version.registry_run}"
    return [f"[In MLflow: the version]({of_version}), [its reports and plots]({of_run})", ""]


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table; every cell is shown as it is."""
    head = [_line(names), "|" + " --- |" * len(names)]
    return head + [_line([plain(cell) for cell in row]) for row in rows]


def _row(check: Check, policy: Policy) -> tuple[str, ...]:
    rule = policy.checks.get(check.name)
    role = "gates" if rule and rule.gates else WATCHED
    return (check.name, check.outcome, role, check.observed, check.expected)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
