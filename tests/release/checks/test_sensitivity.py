"""Sensitivity: what must move a margin, what must not, and models in which it is otherwise."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines.layout import State
from pipelines.release.checks import _probe, sensitivity
from pipelines.release.checks._case import Case
from pipelines.release.checks.sensitivity import Thresholds
from tests.release import cases

LIMITS = Thresholds(
    monotone="gate", max_protected_change=0.0, max_noise_flips=0.05, max_single_flips=1.0
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("sensitivity")
    return cases.make(folder / "repo", State(folder / "var"))


@pytest.fixture(scope="module")
def reads_protected(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("protected")
    return cases.changed(folder, "seed: 7", "seed: 7\n    protected_as_features: true")


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    return cases.changed(tmp_path_factory.mktemp("forest"), cases.LINEAR, cases.FOREST)


def with_directions(world: cases.World, **directions: str) -> Case:
    """Return the case under a contract that says which way columns must move the margin."""
    columns = tuple(
        msgspec.structs.replace(column, monotone=directions.get(column.name, "no"))
        for column in world.case.contract.columns
    )
    case = world.case
    contract = msgspec.structs.replace(case.contract, columns=columns)
    return Case(**{**_fields(case), "contract": contract})


def _fields(case: Case) -> dict[str, Any]:
    names = ("layout", "state", "contract", "params", "candidate", "split", "champion")
    return {name: getattr(case, name) for name in names}


def outcome(found: Any, name: str) -> str:
    return next(line.outcome for line in found.lines if line.name == name)


def test_an_ordinary_model_passes(world: cases.World) -> None:
    """A linear model of honest columns holds every relation."""
    found = sensitivity.judge(world.case, world.limits("sensitivity"))
    assert "pass" == found.outcome
    assert 0.0 < found.evidence["noise_flips"] < 0.05
    assert "income" == next(iter(found.evidence["single_flips"]))


def test_a_forest_is_asked_too(forest: cases.World) -> None:
    """Trees give the same bits whichever way they are asked."""
    found = sensitivity.judge(forest.case, LIMITS)
    assert {"pass"} == {
        outcome(found, name)
        for name in ("the order of columns", "the order of rows", "being asked alone")
    }


def test_a_protected_input_that_moves_the_margin_fails(reads_protected: cases.World) -> None:
    """One protected column that counts is enough, however few decisions it turns."""
    found = sensitivity.judge(reads_protected.case, LIMITS)
    assert "fail" == found.outcome
    assert "fail" == outcome(found, "years changed alone")
    assert "a protected column, moves the margin" in found.observed


def test_a_bound_on_protected_change_is_kept(reads_protected: cases.World) -> None:
    """A pack that allows an amount fails no less than that amount."""
    wide = msgspec.structs.replace(LIMITS, max_protected_change=50.0)
    found = sensitivity.judge(reads_protected.case, wide)
    assert {"pass"} == {outcome(found, f"{name} changed alone") for name in ("blue", "years")}


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        ({"income": "increasing", "debt": "decreasing"}, "pass"),
        ({"income": "decreasing"}, "fail"),
        ({"debt": "increasing"}, "fail"),
    ],
)
def test_directions_of_the_contract_are_held(
    world: cases.World, directions: dict[str, str], expected: str
) -> None:
    """A weight against its direction fails where the pack gates on it, and is shown elsewhere."""
    case = with_directions(world, **directions)
    assert expected == sensitivity.judge(case, LIMITS).outcome
    shown = msgspec.structs.replace(LIMITS, monotone="show")
    found = sensitivity.judge(case, shown)
    assert "pass" == found.outcome
    told = found.evidence["against_monotone"]
    assert (expected == "fail") == bool(told)


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [0.0, 0.0]),
        ([[0.0, 0.0], [1.0, -0.5], [0.25, 2.0]], [0.75, 0.5]),
        ([[1.0, 1.0]], [0.0, 0.0]),
        ([[1.0, 1.0], [1.0 - 1e-12, 1.0]], [0.0, 0.0]),
    ],
)
def test_steps_against_the_direction_are_measured(
    margins: list[list[float]], expected: list[float]
) -> None:
    """The deepest step of each person counts, one between two rises too; rounding does not."""
    column = cases.CONTRACT.column("income")
    rising = msgspec.structs.replace(column, monotone="increasing")
    assert expected == sensitivity.against(rising, np.array(margins)).tolist()
    falling = msgspec.structs.replace(column, monotone="decreasing")
    assert expected == sensitivity.against(falling, -np.array(margins)).tolist()


def test_a_model_that_hangs_on_noise_fails(world: cases.World) -> None:
    """Where the bound is below what errors of measurement turn, the line fails."""
    tight = msgspec.structs.replace(LIMITS, max_noise_flips=0.0)
    assert "fail" == outcome(sensitivity.judge(world.case, tight), "errors of measurement")


def test_a_model_that_is_one_column_fails(world: cases.World) -> None:
    """The column that turns most decisions is named."""
    tight = msgspec.structs.replace(LIMITS, max_single_flips=0.1)
    found = sensitivity.judge(world.case, tight)
    assert "fail" == outcome(found, "one column alone")
    assert "income alone turns" in found.observed


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("the order of rows", lambda frame, margins: margins + 1e-13 * np.arange(len(frame))),
        ("being asked alone", lambda frame, margins: margins + 1e-13 * (len(frame) == 1)),
        ("columns that are no input", lambda frame, margins: margins + 1e-13 * frame["answer"]),
        (
            "the order of columns",
            lambda frame, margins: margins + 1e-13 * (frame.columns[0] == "paid"),
        ),
    ],
)
def test_one_bit_that_moves_is_seen(
    world: cases.World, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any
) -> None:
    """A score that hangs on how it is asked fails, however little."""
    real = Case.margins
    monkeypatch.setattr(
        Case, "margins", lambda case, frame: _plain(wrong(frame, real(case, frame)))
    )
    assert "fail" == outcome(sensitivity.judge(world.case, LIMITS), name)


def _plain(margins: Any) -> Any:
    return np.asarray(margins, dtype=np.float64)


def test_a_changed_column_gives_the_bits_of_the_whole_row(
    world: cases.World, forest: cases.World
) -> None:
    """Putting one column's code into coded rows is the same as scoring rows with that value."""
    for case in (world.case, forest.case):
        probe = _probe.make(case)
        values = {each.name: probe.grid(each) for each in probe.columns}
        found = probe.with_each(probe.codes(values))
        for name, margins in found.items():
            for value, expected in zip(values[name], margins, strict=True):
                people = probe.people.copy()
                people[name] = value
                people[name] = people[name].astype(probe.people[name].dtype)
                assert expected.tolist() == case.margins(people).tolist()


def test_the_same_candidate_gives_the_same_figures(world: cases.World) -> None:
    """What is drawn at random is drawn from the seed of params.yaml."""
    first, again = (sensitivity.judge(world.case, LIMITS) for _ in range(2))
    assert first.evidence == again.evidence
