"""The commands that work in a run: what they say of what people wrote, and where reports are."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines import runs
from pipelines.cli.run import gate, retrain
from pipelines.errors import GateRefused, NotThere
from pipelines.layout import Layout, State
from pipelines.records import Verdict
from pipelines.runs.git import Git

VERDICT = Verdict(
    passed=False,
    blocked_by=("the check bias says fail",),
    candidate_id="c" * 64,
    model_sha256="d" * 64,
    test_sha256="e" * 64,
    params_sha256="a" * 64,
    policy="pack",
    policy_sha256="b" * 64,
    champion_id="0" * 64,
    checks={},
    outcomes={"bias": "fail"},
)


@pytest.fixture
def here(scratch: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a scratch clone with a state folder of its own."""
    state.worktrees.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(scratch)
    return scratch


def blocked(here: Path, state: State) -> str:
    """Begin a run and give it a verdict that blocks, and a report."""
    first = runs.begin(here, state, run_id="r")
    folder = state.worktrees / "r"
    files = Layout(folder)
    VERDICT.write(files.verdict)
    files.checks.mkdir(parents=True)
    (files.checks / "bias.html").write_text("<p>why</p>")
    worktree = Git(folder)
    Git(here).advance("r", worktree.commit(["reports"], "by hand"), first)
    return "r"


def test_what_is_not_committed_is_named(here: Path) -> None:
    """A run works from a commit: whoever forgot to commit their two files is told."""
    with (here / "params.yaml").open("a") as file:
        file.write("# changed\n")
    (here / "policies" / "mine.yaml").write_text("name: mine\n")
    done = CliRunner().invoke(retrain, ["--data=HEAD"])
    assert isinstance(done.exception, NotThere)
    assert "not committed, so no part of this run: params.yaml, policies/mine.yaml" in done.stderr


def test_what_is_committed_is_not_spoken_of(here: Path) -> None:
    """In a clean checkout, or at a commit that was named, there is nothing to tell."""
    assert "not committed" not in CliRunner().invoke(retrain, ["--data=HEAD"]).stderr
    (here / "params.yaml").write_text("")
    code = Git(here).resolve("HEAD")
    assert (
        "not committed" not in CliRunner().invoke(retrain, ["--data=HEAD", f"--code={code}"]).stderr
    )


def test_the_reports_of_a_run_are_copied(here: Path, state: State, tmp_path: Path) -> None:
    """Who is told that a check blocked can read its report, though the run's checkout is gone."""
    run = blocked(here, state)
    runs.finish(here, state, run)
    done = CliRunner().invoke(gate, [run, f"--reports={tmp_path / 'out'}"])
    assert isinstance(done.exception, GateRefused)
    assert "<p>why</p>" == (tmp_path / "out" / "checks" / "bias.html").read_text()


def test_a_refusal_names_the_way_to_the_reports(here: Path, state: State) -> None:
    """The next command is one that can be typed."""
    done = CliRunner().invoke(gate, [blocked(here, state)])
    assert isinstance(done.exception, GateRefused)
    assert done.exception.hint.startswith("clew gate r --reports FOLDER, then read ")


def test_a_run_without_reports_has_none_to_copy(here: Path, state: State, tmp_path: Path) -> None:
    """A run that was only begun says that there is no verdict, and makes no folder."""
    runs.begin(here, state, run_id="r")
    done = CliRunner().invoke(gate, ["r", f"--reports={tmp_path / 'out'}"])
    assert isinstance(done.exception, NotThere)
    assert not (tmp_path / "out").exists()
