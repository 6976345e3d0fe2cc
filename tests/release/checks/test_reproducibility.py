"""Reproducibility: a fresh process makes the same model, or the check says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipelines.errors import Unavailable
from pipelines.layout import State
from pipelines.release.checks import reproducibility
from tests.release import cases


@pytest.fixture
def world(tmp_path: Path, state: State) -> cases.World:
    """Return a world with a candidate trained in this process."""
    return cases.make(tmp_path / "repo", state)


def again(world: cases.World, folder: Path) -> str:
    return reproducibility.retrain(world.layout, world.state, Path(sys.executable), folder)


def test_training_again_gives_the_same_model(world: cases.World, tmp_path: Path) -> None:
    """Another process, folder and hash seed give the candidate's digest, and touch nothing."""
    before = {path: path.read_bytes() for path in world.layout.candidate.iterdir()}
    digest = again(world, tmp_path / "again")
    assert world.candidate.model_sha256 == digest
    assert before == {path: path.read_bytes() for path in world.layout.candidate.iterdir()}


def test_another_seed_or_recipe_is_seen(world: cases.World, tmp_path: Path) -> None:
    """A recipe that changed since gives another digest: the comparison can fail."""
    text = world.layout.params.read_text(encoding="utf-8")
    world.layout.params.write_text(text.replace("C: 1.0", "C: 0.01"), encoding="utf-8")
    digest = again(world, tmp_path / "again")
    (line,) = reproducibility.compare(world.candidate.model_sha256, [digest])
    assert "fail" == line.outcome


def test_training_that_fails_is_an_error(world: cases.World, tmp_path: Path) -> None:
    """When training again ends with an error the check cannot say, and raises."""
    world.layout.split_rows("train").unlink()
    with pytest.raises(Unavailable):
        again(world, tmp_path / "again")


def test_every_time_counts() -> None:
    """One other digest among several fails; none at all is no line, and so no pass."""
    outcomes = [line.outcome for line in reproducibility.compare("a", ["a", "b", "a"])]
    assert ["pass", "fail", "pass"] == outcomes
    assert () == reproducibility.compare("a", [])
