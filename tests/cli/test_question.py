"""The question put to an approver."""

from __future__ import annotations

from pipelines.cli.question import links, question, table
from pipelines.layout import Layout
from pipelines.records import Check, ModelVersion, Verdict
from pipelines.release import policy
from pipelines.release.proposal import Proposal
from tests.conftest import ROOT

VERSION = ModelVersion(
    model_name="m",
    version="7",
    candidate_id="c" * 64,
    model_sha256="d" * 64,
    verdict_id="e" * 64,
    passed=True,
    run_id="r",
    commit="f" * 40,
    registry_run="a1",
    files_sha256="b" * 64,
)
VERDICT = Verdict(
    passed=True,
    blocked_by=(),
    candidate_id="c" * 64,
    model_sha256="d" * 64,
    test_sha256="t" * 64,
    params_sha256="a" * 64,
    policy="us-mortgage-2026-11",
    policy_sha256="p" * 64,
    champion_id="0" * 64,
    checks={},
    outcomes={},
)
EVIL = "<script>x</script> | [go](http://x) `y` **z**\n# head"


def check(name: str, observed: str) -> Check:
    return Check(
        name=name,
        outcome="pass",
        observed=observed,
        expected="something",
        candidate_id="c" * 64,
        split_id="s" * 64,
        policy_sha256="p" * 64,
        evidence={},
    )


def test_the_question_names_what_is_decided_on() -> None:
    """Version, champion, run, commit, verdict and each check are in it."""
    pack = policy.read(Layout(ROOT), "us-mortgage-2026-11")
    checks = [check("bias", "0.9"), check("calibration", "0.1")]
    asked = question(Proposal(VERSION, None, VERDICT, pack, None, ""), checks, "")
    assert "Promote m version 7?" == asked.subject
    for text in ("no champion yet", "e" * 64, "f" * 40, "us-mortgage-2026-11 (high risk)"):
        assert text in asked.body
    assert "| bias | pass | gates |" in asked.body
    assert "| calibration | pass | watched |" in asked.body


def test_a_category_cannot_write_markdown_or_html() -> None:
    """What a check quotes is shown as text: no tag, link, row or heading comes of it."""
    (row,) = table(("a", "b"), [(EVIL, "x")])[2:]
    assert "<" not in row
    assert row.startswith(r"| &lt;script&gt;x&lt;/script&gt; \| \[go\](http\://x) \`y\`")


def test_links_need_a_server() -> None:
    """Without MLflow's address there is no link; with it, to the version and its run."""
    assert [] == links(VERSION, "sqlite:///x.db")
    line = links(VERSION, "http://127.0.0.1:5000/")[0]
    assert "http://127.0.0.1:5000/#/models/m/versions/7" in line
    assert "http://127.0.0.1:5000/#/runs/a1" in line
