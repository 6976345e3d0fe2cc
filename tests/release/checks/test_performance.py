"""Performance: the floor and the champion, each with its interval."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipelines.errors import DataRefused, IntegrityBroken
from pipelines.layout import Model, State
from pipelines.records import Candidate
from pipelines.release.checks import performance
from pipelines.typed import read_json
from tests.release import cases


def scored(rows: int, noise: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and margins; more noise, a lower area."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, rows)
    return target, target + rng.normal(0.0, noise, rows)


@pytest.mark.parametrize(
    ("rows", "least", "expected"),
    [(2000, 0.7, "pass"), (60, 0.8, "not-enough-data"), (2000, 0.9, "fail"), (60, 0.9, "fail")],
)
def test_the_floor_is_judged_with_its_interval(rows: int, least: float, expected: str) -> None:
    """Above the floor with its whole interval passes, below it fails, between is not told."""
    (line,), evidence = performance.floor(*scored(rows, 1.0), least, 0.95)
    assert expected == line.outcome
    assert f"n={rows}" in line.observed
    assert evidence["low"] < evidence["roc_auc"]  # type: ignore[operator]


def test_one_class_fails() -> None:
    """Scores of one class have no area, and that is no pass."""
    (line,), _ = performance.floor([1, 1, 1], [0.1, 0.2, 0.3], 0.5, 0.95)
    assert "fail" == line.outcome


@pytest.mark.parametrize(("noise", "expected"), [(1.0, "pass"), (0.7, "pass"), (3.0, "fail")])
def test_the_champion_is_compared_on_the_same_rows(noise: float, expected: str) -> None:
    """As good and better pass; clearly worse fails. A better model never fails for being other."""
    target, former = scored(2000, 1.0)
    rng = np.random.default_rng(5)
    mine = former if noise == 1.0 else target + rng.normal(0.0, noise, len(target))
    (line,), _ = performance.against(target, mine, former, 0.03, 0.95)
    assert expected == line.outcome


def test_pairing_tells_what_two_intervals_cannot() -> None:
    """Scores that move together are told apart by their paired difference alone."""
    target, former = scored(300, 1.0)
    (line,), evidence = performance.against(target, former, former, 0.001, 0.95)
    assert "pass" == line.outcome
    assert 0.0 == evidence["difference_low"] == evidence["difference_high"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    """Return a world with a champion that is the candidate itself."""
    folder = tmp_path_factory.mktemp("performance")
    made = cases.make(folder / "repo", State(folder / "var"))
    made.crown()
    return made


def test_the_champion_scores_the_candidates_test_rows(world: cases.World) -> None:
    """The champion's model is loaded and gives the candidate's rows the margins it gives."""
    margins = performance.champion_margins(world.case)
    assert world.case.scores["margin"].tolist() == margins.tolist()
    assert "pass" == performance.judge(world.case, world.limits("performance")).outcome


def test_without_a_champion_only_the_floor_is_judged(world: cases.World) -> None:
    """Where the registry answered that there is none, one line is left."""
    champion = msgspec.structs.replace(world.case.champion, state="none")
    case = cases.Case(
        world.layout,
        world.state,
        cases.CONTRACT,
        world.params,
        world.candidate,
        world.case.split,
        champion,
    )
    assert 1 == len(performance.judge(case, world.limits("performance")).lines)


def test_a_champion_that_was_changed_is_not_loaded(world: cases.World) -> None:
    """The champion's digest is checked before it is loaded."""
    model = Model(world.layout.champion).model
    kept = model.read_bytes()
    model.write_bytes(kept + b"\0")
    try:
        with pytest.raises(IntegrityBroken):
            performance.champion_margins(world.case)
    finally:
        model.write_bytes(kept)


def test_columns_that_the_champion_misses_are_named(world: cases.World) -> None:
    """A contract that lost one of the champion's inputs is refused by the column's name."""
    path: Path = Model(world.layout.champion).record
    former = read_json(path, Candidate)
    msgspec.structs.replace(former, features=(*former.features, "wage")).write(path)
    try:
        with pytest.raises(DataRefused, match="wage"):
            performance.champion_margins(world.case)
    finally:
        former.write(path)
