"""The step `check`: every check runs, each leaves its result, and none tells a person's value."""

from __future__ import annotations

import html.parser
import importlib
import shutil
import textwrap
from pathlib import Path

import pytest

from pipelines.errors import BadRequest, NotThere
from pipelines.layout import Layout, State
from pipelines.records import Check
from pipelines.release import check, gate, scenarios
from pipelines.release import checks as catalogue
from pipelines.release import policy as packs
from pipelines.release.checks._case import Finding, Line
from pipelines.typed import read_json
from tests.conftest import ROOT, git
from tests.release import cases

SCENARIOS = """
people:
  earner: {values: {income: 70.0, debt: 5.0, job: baker, blue: 0, years: 40.0}}
scenarios:
  - {name: high income, person: earner, must: be approved, because: a test}
"""
MARKED_JOB, MARKED_INCOME, MARKED_ID = "zqjxvk", 51.62387, "wfpgbm"


def marked() -> object:
    """Return applicants with values that occur nowhere else."""
    frame = cases.applicants(1600, 1)
    frame["job"] = frame["job"].where(frame.index % 5 != 0, MARKED_JOB)
    frame.loc[[3, 900], "income"] = MARKED_INCOME
    frame.loc[[5, 901], "id"] = [MARKED_ID, f"{MARKED_ID}2"]
    return frame


@pytest.fixture
def world(tmp_path: Path, state: State) -> cases.World:
    """Return a world with marked values in it, and with a committed scenario."""
    made = cases.make(tmp_path / "repo", state, marked())  # type: ignore[arg-type]
    path = scenarios.path(made.layout, cases.MODEL_NAME)
    path.parent.mkdir()
    path.write_text(SCENARIOS, encoding="utf-8")
    git(made.layout.root, "add", "policies")
    git(made.layout.root, "commit", "--quiet", "--message", "scenarios")
    return made


def test_the_whole_stage_leaves_a_passing_verdict_and_tells_no_value(world: cases.World) -> None:
    """From real files through every check to an open gate; no marked value stands in any output.

    One test, for it trains again in the model's own environment.
    """
    world.crown()
    found = check.run(world.context)
    assert catalogue.names() == tuple(each.name for each in found)
    assert {"pass"} == {each.outcome for each in found}, [each.observed for each in found]
    for each in found:
        assert each == read_json(check.record_path(world.layout, each.name), Check)
    verdict = gate.run(world.context)
    assert () == verdict.blocked_by
    names = {path.name for path in world.layout.checks.iterdir()}
    endings = (".json", ".html", ".evidently.json")
    assert {f"{name}{end}" for name in catalogue.names() for end in endings} <= names
    for path in world.layout.checks.iterdir():
        text = path.read_text(encoding="utf-8")
        assert [] == [mark for mark in (MARKED_JOB, "51.623", MARKED_ID) if mark in text], path.name


def test_a_broken_check_becomes_an_error_without_its_message() -> None:
    """What a library raises may quote a person's value: only the exception's class is kept."""

    def broken() -> Finding:
        raise ValueError(MARKED_JOB)

    found = check.contained("bias", broken)
    assert "error" == found.outcome
    assert "ValueError" == found.observed


def test_a_refusal_inside_a_check_keeps_its_words() -> None:
    """Clew's own errors carry no values, so what was wrong is told."""

    def broken() -> Finding:
        raise NotThere("no such record", where="somewhere")

    found = check.contained("bias", broken)
    assert ("error", "NotThere: no such record") == (found.outcome, found.observed)


def test_a_finding_without_a_counting_test_is_an_error() -> None:
    """No test, or only shown ones, is not a pass."""
    shown = Line("shown", "pass", "seen", "wanted", counts=False)
    assert "error" == Finding(()).outcome
    assert "error" == Finding((shown,)).outcome


def test_the_worst_outcome_is_the_findings() -> None:
    """Error before fail before not-enough-data before pass; the observed is that line's."""
    lines = [
        Line(outcome, outcome, f"seen {outcome}", "wanted")
        for outcome in ("pass", "not-enough-data", "fail", "error")
    ]
    for count in range(1, 5):
        found = Finding(tuple(lines[:count]))
        assert lines[count - 1].outcome == found.outcome
        assert lines[count - 1].observed == found.observed


def test_a_check_whose_report_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A check without its report does not pass silently."""

    def write(_check: Check, _finding: Finding, _folder: Path) -> None:
        raise OSError(MARKED_JOB)

    of = Check(
        name="bias",
        outcome="pass",
        observed="",
        expected="",
        candidate_id="c",
        split_id="s",
        policy_sha256="p",
        evidence={},
    )
    finding = Finding((Line("a", "pass", "b", "c"),))
    said = check._report(write, of, finding, tmp_path)
    assert "the report could not be written: OSError" == said


def test_checks_are_the_files_of_the_folder(tmp_path: Path) -> None:
    """A further check is one more file; what begins with an underscore is shared code."""
    for name in ("zebra.py", "apple.py", "_shared.py", "__init__.py", "notes.txt"):
        (tmp_path / name).touch()
    assert ("apple", "zebra") == catalogue.names(tmp_path)


def test_every_check_has_its_parts() -> None:
    """Each file of the folder is a check: thresholds of its own and a function that judges."""
    for name in catalogue.names():
        code = catalogue.load(name)
        assert issubclass(code.thresholds, packs.Thresholds)
        assert callable(code.judge)


class _Cells(html.parser.HTMLParser):
    """Collect the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += [tag, *(name for name, _ in attrs if name.startswith("on"))]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_index_lists_every_check_escaped(tmp_path: Path) -> None:
    """The page lists name, outcome, role, observed and expected, and runs no planted tag."""
    layout = Layout(tmp_path / "repo")
    cases.write_committed(layout)
    policy = packs.read(layout, cases.PACK)
    evil = "<script>alert(1)</script><img onerror=alert(1)>"
    found = tuple(
        Check(
            name=name,
            outcome="fail",
            observed=evil,
            expected="at least 0.80",
            candidate_id="c",
            split_id="s",
            policy_sha256="p",
            evidence={},
        )
        for name in ("bias", "novel")
    )
    page = _Cells()
    page.feed(check.index_page(found, policy))
    assert "script" not in page.tags
    assert "onerror" not in page.tags
    assert {"bias", "novel", evil, "at least 0.80", "gates", "unknown to the policy"} <= set(
        page.text
    )
    assert {"caption", "th", "main", "title"} <= set(page.tags)


def test_a_mistyped_threshold_is_an_error_of_its_check(world: cases.World) -> None:
    """A check whose thresholds cannot be read does not run with others."""
    path = packs.pack_path(world.layout, cases.PACK)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("min_roc_auc", "min_roc_acu"), encoding="utf-8")
    with pytest.raises(BadRequest):
        world.limits("performance")
    policy = packs.read(world.layout, cases.PACK)
    assert "error" == check.one("performance", _ready(world), policy).outcome


def test_scores_of_another_candidate_are_an_error(world: cases.World) -> None:
    """A check never judges scores that belong to another candidate, or that were changed."""
    case = _ready(world)
    policy = packs.read(world.layout, cases.PACK)
    assert "pass" == check.one("performance", case, policy).outcome
    scores = world.layout.evaluation / "scores.parquet"
    scores.write_bytes(scores.read_bytes() + b"\0")
    assert "error" == check.one("performance", world.case, policy).outcome
    shutil.rmtree(world.layout.evaluation)
    assert "error" == check.one("performance", world.case, policy).outcome


def _ready(world: cases.World) -> cases.Case:
    world.layout.checks.mkdir(parents=True, exist_ok=True)
    return world.case


def test_the_guides_example_is_a_check(
    world: cases.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that docs/how-to/add-a-check.md shows is found, and judges a real case."""
    guide = (ROOT / "docs" / "how-to" / "add-a-check.md").read_text(encoding="utf-8")
    shown = guide.split("```python\n")[1].split("```")[0]
    (tmp_path / "volume.py").write_text(textwrap.dedent(shown), encoding="utf-8")
    assert ("volume",) == catalogue.names(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("volume")
    loose = module.Thresholds(min_share=0.05, max_share=0.95)
    assert "pass" == module.judge(world.case, loose).outcome
    tight = module.Thresholds(min_share=0.0, max_share=0.01)
    assert "fail" == module.judge(world.case, tight).outcome
