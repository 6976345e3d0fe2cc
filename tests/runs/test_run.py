"""A run is a commit: begin, refuse, resume."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines import runs
from pipelines.errors import BadRequest, NotThere
from pipelines.layout import State
from pipelines.runs.git import Git, run_name
from tests.conftest import git


def test_beginning_pins_the_commit_and_the_choices(scratch: Path, state: State) -> None:
    """A run's first commit holds the code it was begun at and what the form chose."""
    code = git(scratch, "rev-parse", "HEAD")
    first = runs.begin(scratch, state, run_id="r1", choices={"candidate": "naive"})
    assert code == git(scratch, "rev-parse", f"{first}^")
    assert "candidate: naive" in git(scratch, "show", f"{first}:params.yaml")
    assert first == git(scratch, "rev-parse", "refs/clew/runs/r1")


def test_the_users_checkout_is_left_alone(scratch: Path, state: State) -> None:
    """Neither the files, nor the branch, nor work that is not committed is touched."""
    (scratch / "README.md").write_text("mine")
    before = git(scratch, "status", "--porcelain"), git(scratch, "rev-parse", "HEAD", "main")
    runs.begin(scratch, state, run_id="r1", choices={"candidate": "naive"})
    assert before == (
        git(scratch, "status", "--porcelain"),
        git(scratch, "rev-parse", "HEAD", "main"),
    )
    assert "mine" == (scratch / "README.md").read_text()


def test_beginning_again_is_the_same_run(scratch: Path, state: State) -> None:
    """A task that is tried again gets the commit it got before."""
    first = runs.begin(scratch, state, run_id="r1")
    assert first == runs.begin(scratch, state, run_id="r1")
    assert "1" == git(scratch, "rev-list", "--count", f"HEAD..{first}")


def test_beginning_otherwise_under_the_same_name_is_refused(scratch: Path, state: State) -> None:
    """One name is one run: other choices need another name."""
    runs.begin(scratch, state, run_id="r1")
    with pytest.raises(BadRequest):
        runs.begin(scratch, state, run_id="r1", choices={"candidate": "naive"})


def test_a_choice_outside_the_form_is_refused(scratch: Path, state: State) -> None:
    """Only what the trigger form offers can be chosen; a threshold cannot slip in."""
    with pytest.raises(BadRequest) as caught:
        runs.begin(scratch, state, run_id="r1", choices={"candidat": "naive"})
    assert "did you mean 'candidate'?" == caught.value.hint
    with pytest.raises(BadRequest):
        runs.begin(scratch, state, run_id="r2", choices={"policy": "x\nmodel_name: other"})


def test_a_choice_that_names_nothing_is_refused(scratch: Path, state: State) -> None:
    """A mistyped candidate or policy pack is refused at the start, not after ten minutes."""
    with pytest.raises(BadRequest) as caught:
        runs.begin(scratch, state, run_id="r1", choices={"candidate": "fairr"})
    assert "did you mean 'fair'?" == caught.value.hint
    with pytest.raises(BadRequest) as caught:
        runs.begin(scratch, state, run_id="r2", choices={"policy": "nosuch"})
    assert "no such policy pack" == caught.value.what
    assert "" == git(scratch, "for-each-ref", "refs/clew")


def test_many_runs_begin_at_once(scratch: Path, state: State) -> None:
    """Runs begun side by side each get their own worktree and reference."""
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: runs.begin(scratch, state, run_id=f"r{n}"), range(6)))
    tips = [git(scratch, "rev-parse", f"refs/clew/runs/r{n}") for n in range(6)]
    assert tips == found
    assert 6 == len(set(found))


def test_unknown_commit_and_unknown_run_are_not_there(scratch: Path, state: State) -> None:
    """A wrong commit or run id is answered as such, before anything is made."""
    with pytest.raises(NotThere):
        runs.begin(scratch, state, run_id="r1", code="nosuch")
    with pytest.raises(NotThere):
        runs.begin(scratch, state, run_id="r1", data="HEAD")
    with pytest.raises(NotThere):
        runs.step(scratch, state, run_id="r9", commit="HEAD", name="train")


def test_a_commit_of_another_run_is_refused(scratch: Path, state: State) -> None:
    """A step cannot be done on top of somebody else's run."""
    runs.begin(scratch, state, run_id="r1")
    other = runs.begin(scratch, state, run_id="r2", choices={"candidate": "naive"})
    with pytest.raises(BadRequest):
        runs.step(scratch, state, run_id="r1", commit=other, name="split")


def test_the_reference_moves_only_from_where_it_was(scratch: Path, state: State) -> None:
    """Two who advance a run from the same commit: the second is told, nothing is lost."""
    first = runs.begin(scratch, state, run_id="r1")
    here = Git(scratch)
    here.advance("r1", git(scratch, "rev-parse", "HEAD"), first)
    with pytest.raises(Exception, match="update-ref"):
        here.advance("r1", first, first)


def test_finishing_removes_the_worktree_and_keeps_the_run(scratch: Path, state: State) -> None:
    """The folder goes, the reference stays, and the run can be opened again."""
    first = runs.begin(scratch, state, run_id="r1")
    runs.finish(scratch, state, "r1")
    assert not (state.worktrees / "r1").exists()
    with runs.opened(scratch, state, run_id="r1", commit=first) as context:
        assert first == git(context.layout.root, "rev-parse", "HEAD")


def test_run_names_fit_git_and_folders() -> None:
    """An Airflow run id becomes a run id; nothing becomes an error."""
    assert "scheduled__2026-11-22T04-00-00-00-00" == run_name(
        "scheduled__2026-11-22T04:00:00+00:00"
    )
    with pytest.raises(BadRequest):
        run_name("../..")
