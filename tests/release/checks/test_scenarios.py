"""Scenarios: expectations that hold, that fail, that are not written, and files that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipelines import contract, params
from pipelines.canonical import sha256_file
from pipelines.errors import BadRequest, ClewError
from pipelines.layout import State
from pipelines.records import Check
from pipelines.release import gate
from pipelines.release import scenarios as written
from pipelines.release.check import CHAMPION_ID, record_path
from pipelines.release.checks import scenarios
from pipelines.release.checks.scenarios import Thresholds
from pipelines.release.scenarios import Scenario
from tests.conftest import ROOT, git
from tests.release import cases

LIMITS = Thresholds(min_scenarios=1)
BASE = {"income": 60.0, "debt": 5.0, "job": "baker", "blue": 0, "years": 40.0}
SHIPPED = {path.stem: path for path in (ROOT / "policies" / "scenarios").glob("*.yaml")}
TOLD = {"rich": (1, 2.0), "poor": (-1, -1.0), "close": (0, 0.5)}


def document(*expected: dict[str, Any], **people: Any) -> dict[str, Any]:
    """Return a file's content: a base person, `people` besides, and what is expected."""
    known = {"rich": {"values": BASE}, "poor": {"like": "rich", "values": {"income": 20.0}}}
    named = [{"name": f"s{at}", "because": "it must"} | each for at, each in enumerate(expected)]
    return {"people": known | people, "scenarios": named}


def read(folder: Path, content: dict[str, Any]) -> written.Scenarios:
    path = folder / "scenarios.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return written.read(path, cases.CONTRACT)


def scenario(**changes: Any) -> Scenario:
    return Scenario(**({"name": "s", "person": "rich", "because": "it must"} | changes))


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (scenario(must="be approved"), "pass"),
        (scenario(must="not be approved"), "fail"),
        (scenario(must="not be declined"), "pass"),
        (scenario(must="be declined"), "fail"),
        (scenario(person="poor", must="be declined"), "pass"),
        (scenario(person="poor", must="not be declined"), "fail"),
        (scenario(person="close", must="be approved"), "fail"),
        (scenario(person="close", must="not be declined"), "pass"),
        (scenario(person="close", must="not be approved"), "pass"),
        (scenario(same_outcome_as="rich"), "pass"),
        (scenario(same_outcome_as="close"), "fail"),
        (scenario(margin_not_lower_than="rich"), "pass"),
        (scenario(margin_not_lower_than="poor"), "pass"),
        (scenario(person="poor", margin_not_lower_than="rich"), "fail"),
    ],
)
def test_each_expectation_is_judged(each: Scenario, expected: str) -> None:
    """Approved, declined and referred are three outcomes, and margins compare strictly."""
    (line,) = scenarios.lines((each,), TOLD)
    assert expected == line.outcome
    assert line.counts


def test_a_scenario_that_does_not_gate_is_shown() -> None:
    """What is known to fail stands in the report and decides nothing."""
    (line,) = scenarios.lines((scenario(must="be declined", gates=False),), TOLD)
    assert ("fail", False) == (line.outcome, line.counts)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("scenarios")
    return cases.make(folder / "repo", State(folder / "var"))


def file_of(world: cases.World) -> Path:
    path = written.path(world.layout, cases.MODEL_NAME)
    path.parent.mkdir(exist_ok=True)
    return path


def judged(world: cases.World, *expected: dict[str, Any], **people: Any) -> Any:
    path = file_of(world)
    path.write_text(yaml.safe_dump(document(*expected, **people)), encoding="utf-8")
    return scenarios.judge(world.case, LIMITS)


def test_a_real_model_is_asked_about_the_people(world: cases.World) -> None:
    """Much income is approved, little declined, and the file is named by its digest."""
    found = judged(
        world,
        {"person": "rich", "must": "be approved"},
        {"person": "poor", "must": "not be approved"},
        {"person": "rich", "margin_not_lower_than": "poor"},
    )
    assert "pass" == found.outcome
    assert sha256_file(file_of(world)) == found.evidence["scenarios_sha256"]
    assert (3, 3) == (found.evidence["scenarios"], found.evidence["held"])


def test_a_person_is_scored_as_the_same_row_of_the_data(world: cases.World) -> None:
    """A row of the test part, written down as a person, gets the very margin it has there."""
    row = world.case.rows("test").iloc[[3]]
    values = {name: row[name].iloc[0] for name in BASE}
    plain = {name: None if value is pd.NA else value for name, value in values.items()}
    person = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in plain.items()
    }
    found = judged(world, {"person": "one", "must": "be approved"}, one={"values": person})
    assert world.case.margins(row)[0] == found.lines[0].value


def test_an_expectation_that_fails_blocks_and_is_named(world: cases.World) -> None:
    """The line says what came out, what was expected and why."""
    found = judged(world, {"name": "a rich one", "person": "rich", "must": "be declined"})
    assert "fail" == found.outcome
    assert "a rich one: approved" == found.observed
    assert "be declined (it must)" == found.expected
    assert ["a rich one"] == found.evidence["failed"]


def test_nothing_written_is_not_enough_to_say(world: cases.World) -> None:
    """Neither no file nor an empty one passes; the pack says what that means."""
    file_of(world).unlink(missing_ok=True)
    assert ("not-enough-data", "no scenarios") == _said(scenarios.judge(world.case, LIMITS))
    file_of(world).write_text("{people: {}, scenarios: []}\n")
    assert ("not-enough-data", "no scenarios") == _said(scenarios.judge(world.case, LIMITS))
    shown = judged(world, {"person": "rich", "must": "be approved", "gates": False})
    assert ("not-enough-data", "no scenarios") == _said(shown)


def _said(found: Any) -> tuple[str, str]:
    return found.outcome, found.observed


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (
            document(rich={"values": BASE | {"incme": 1.0}}),
            "rich: incme",
            "no column of an application",
        ),
        (document(rich={"values": BASE | {"paid": 1}}), "rich: paid", "no column"),
        (
            document(rich={"values": {k: v for k, v in BASE.items() if k != "debt"}}),
            "rich: debt",
            "all fields",
        ),
        (document(odd={"like": "rich", "values": {"blue": 0.5}}), "odd: blue", "integer"),
        (document(odd={"like": "rich", "values": {"income": "x"}}), "odd: income", "number"),
        (document(odd={"like": "rich", "values": {"income": None}}), "odd: income", "requires"),
        (document(odd={"like": "riche", "values": {}}), "people: odd", "no such person"),
        (document(odd={"like": "odd", "values": {}}), "people: odd", "like themselves"),
        (document({"person": "riche", "must": "be approved"}), "s0", "no such person"),
        (document({"person": "rich", "same_outcome_as": "p"}), "s0", "no such person"),
        (document({"person": "rich"}), "s0", "expects one thing"),
        (
            document({"person": "rich", "must": "be approved", "same_outcome_as": "poor"}),
            "s0",
            "expects one thing",
        ),
        (document({"person": "rich", "must": "be approved", "because": " "}), "s0", "reason"),
        (
            document(*[{"name": "x", "person": "rich", "must": "be approved"}] * 2),
            "x",
            "stands twice",
        ),
        (document({"person": "rich", "must": "win"}), "scenarios.yaml", "win"),
    ],
)
def test_a_file_that_is_wrong_is_refused_at_its_place(
    tmp_path: Path, content: dict[str, Any], where: str, what: str
) -> None:
    """The message names the file, the person or scenario and the rule."""
    with pytest.raises(BadRequest) as caught:
        read(tmp_path, content)
    assert "scenarios.yaml" in caught.value.where
    assert where in caught.value.where
    assert what in caught.value.what


def test_a_mistyped_column_gets_the_closest(tmp_path: Path) -> None:
    """Whoever writes scenarios is told the column that was meant."""
    with pytest.raises(BadRequest) as caught:
        read(tmp_path, document(odd={"like": "rich", "values": {"incme": 1.0}}))
    assert "income" in str(caught.value.hint)


def test_a_value_that_nobody_documented_is_refused(tmp_path: Path) -> None:
    """A person outside the documented range would be referred: no model says anything of them."""
    path = tmp_path / "scenarios.yaml"
    boston = contract.read(ROOT / "contract.yaml")
    text = SHIPPED["boston-mortgages"].read_text()
    for old, new in (("obrat: 30", "obrat: 151"), ("mortg: 2, cons: 1", "mortg: 5, cons: 1")):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(BadRequest) as caught:
            written.read(path, boston)
        assert "outside what the contract documents" == caught.value.what
        assert "151" not in str(caught.value)


@pytest.mark.parametrize("folder", [ROOT, ROOT / "examples" / "adult"])
def test_the_shipped_scenarios_fit_their_contract(folder: Path) -> None:
    """Each data set of this repository has people that its contract admits."""
    known = contract.read(folder / "contract.yaml")
    found = written.read(SHIPPED[params.read(folder / "params.yaml").model_name], known)
    frame = written.frame(found, known)
    assert len(found.people) == len(frame)
    assert len([each for each in found.scenarios if each.gates]) >= 5


def test_scenarios_that_were_changed_after_the_run_block(world: cases.World) -> None:
    """The gate wants the file of the run's commit, and a result that is about this file."""
    judged(world, {"person": "rich", "must": "be approved"})
    layout, path = world.layout, file_of(world)
    assert "the file applicants.yaml is not committed at HEAD" in _problems(world, {})
    git(layout.root, "add", "policies")
    git(layout.root, "commit", "--quiet", "--message", "scenarios")
    assert () == _problems(world, {})
    own = {"scenarios_sha256": sha256_file(path)}
    assert () == _problems(world, own)
    path.write_text(path.read_text() + "\n")
    assert (
        "the file applicants.yaml was changed after HEAD",
        "the result of the check scenarios is about other scenarios",
    ) == _problems(world, own)
    path.unlink()
    assert ("the result of the check scenarios is about other scenarios",) == _problems(world, own)


def _problems(world: cases.World, evidence: dict[str, Any]) -> tuple[str, ...]:
    """Return what the gate says of the scenarios; with `evidence`, beside a result that has it."""
    case = world.case
    path = record_path(world.layout, "scenarios")
    path.unlink(missing_ok=True)
    if evidence:
        Check(
            name="scenarios",
            outcome="pass",
            observed="",
            expected="",
            candidate_id=case.candidate.id,
            split_id=case.split.id,
            policy_sha256="",
            evidence=evidence | {CHAMPION_ID: case.champion.id},
        ).write(path)
    return tuple(
        each
        for each in gate.trial_of(world.context).problems
        if "scenarios" in each or "applicants.yaml" in each
    )


def test_a_broken_file_is_an_error_and_blocks(world: cases.World) -> None:
    """A file that cannot be read judges nobody."""
    file_of(world).write_text("people: [\n")
    with pytest.raises(ClewError):
        scenarios.judge(world.case, LIMITS)
