"""The gate: open only when nothing speaks against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import GateRefused, NotThere
from pipelines.layout import Layout, Model, State
from pipelines.records import Champion, Check, Outcome, Verdict
from pipelines.release import checks as catalogue
from pipelines.release import gate
from pipelines.release import policy as packs
from pipelines.release.check import CHAMPION_ID, record_path
from pipelines.release.gate import Trial
from pipelines.typed import read_json
from tests.conftest import git
from tests.release import cases

OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "not-enough-data", "error")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    """Return a world whose checks all passed, made once."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "repo").mkdir()
    world = cases.make(folder / "repo", State(folder / "var"))
    passing(world)
    return world


@pytest.fixture
def world(made: cases.World) -> Any:
    """Yield the same world to each test: what a test breaks is put back."""
    kept = {path: path.read_bytes() for path in made.layout.root.rglob("*") if path.is_file()}
    head = git(made.layout.root, "rev-parse", "HEAD")
    yield made
    git(made.layout.root, "update-ref", "refs/heads/main", head)
    for path in made.layout.root.rglob("*"):
        if path.is_file() and path not in kept and ".git" not in path.parts:
            path.unlink()
    for path, data in kept.items():
        if ".git" not in path.parts:
            path.write_bytes(data)


@pytest.fixture
def trial(world: cases.World) -> Trial:
    return gate.trial_of(world.context)


def passing(world: cases.World) -> None:
    """Write a passing result of every check."""
    trial = gate.trial_of(world.context)
    for name in catalogue.names():
        result(trial, name).write(record_path(world.layout, name))


def result(trial: Trial, name: str, **changes: Any) -> Check:
    found = {
        "name": name,
        "outcome": "pass",
        "observed": "0.9",
        "expected": "at least 0.8",
        "candidate_id": trial.candidate.id,
        "split_id": trial.split.id,
        "policy_sha256": trial.policy.sha256,
        "evidence": {CHAMPION_ID: trial.champion_id},
    }
    return Check(**(found | changes))


def changed(trial: Trial, name: str, **changes: Any) -> Trial:
    return replace(trial, reports={**trial.reports, name: result(trial, name, **changes)})


def with_rule(trial: Trial, name: str, **changes: Any) -> Trial:
    """Return the trial under a pack that says otherwise of one check, all results about it."""
    rule = msgspec.structs.replace(trial.policy.checks[name], **changes)
    policy = msgspec.structs.replace(trial.policy, checks={**trial.policy.checks, name: rule})
    new = replace(trial, policy=policy)
    old = trial.reports.items()
    return replace(
        new, reports={key: result(new, key, outcome=check.outcome) for key, check in old}
    )


def blocked(trial: Trial) -> tuple[str, ...]:
    found = gate.verdict(trial)
    assert found.passed is (not found.blocked_by)
    return found.blocked_by


def test_it_opens_when_every_gating_check_passed(trial: Trial) -> None:
    """With nothing against it the verdict passes, bound to all that it rests on."""
    found = gate.verdict(trial)
    assert () == found.blocked_by
    assert found.passed
    assert trial.candidate.id == found.candidate_id
    assert trial.candidate.model_sha256 == found.model_sha256
    assert trial.split.parts["test"].sha256 == found.test_sha256
    assert trial.policy.sha256 == found.policy_sha256
    assert trial.champion_id == found.champion_id
    assert {name: check.id for name, check in trial.reports.items()} == found.checks


@given(st.fixed_dictionaries({name: st.sampled_from(OUTCOMES) for name in catalogue.names()}))
def test_it_opens_exactly_when_no_gating_outcome_blocks(outcomes: dict[str, Outcome]) -> None:
    """For any outcomes: open if and only if each is pass, or not-enough-data where watched."""
    trial = SHARED["trial"]
    reports = {name: result(trial, name, outcome=each) for name, each in outcomes.items()}
    rules = trial.policy.checks
    allowed = all(
        each == "pass" or (each == "not-enough-data" and rules[name].not_enough_data == "watch")
        for name, each in outcomes.items()
    )
    assert allowed == gate.verdict(replace(trial, reports=reports)).passed


SHARED: dict[str, Trial] = {}


@pytest.fixture(autouse=True, scope="module")
def _shared(made: cases.World) -> None:
    SHARED["trial"] = gate.trial_of(made.context)


@pytest.mark.parametrize("name", catalogue.names())
def test_a_missing_result_blocks(trial: Trial, name: str) -> None:
    """Each check that the pack names must have left its result."""
    reports = {key: check for key, check in trial.reports.items() if key != name}
    assert (f"the check {name} has no readable result",) == blocked(replace(trial, reports=reports))


def test_no_results_block(trial: Trial) -> None:
    """An empty list of checks is not a list of checks that passed."""
    assert len(trial.policy.checks) == len(blocked(replace(trial, reports={})))


@pytest.mark.parametrize("outcome", ["fail", "error", "not-enough-data"])
def test_a_gating_outcome_other_than_pass_blocks(trial: Trial, outcome: Outcome) -> None:
    """A gating check that failed, broke or could not tell blocks, with observed and expected."""
    (reason,) = blocked(changed(trial, "bias", outcome=outcome))
    assert f"the check bias says {outcome}: observed 0.9; expected at least 0.8" == reason


def test_watched_lack_of_data_does_not_block(trial: Trial) -> None:
    """Where the pack says watch, too few data let pass what fails would not."""
    assert () == blocked(changed(trial, "performance", outcome="not-enough-data"))
    assert blocked(changed(trial, "performance", outcome="fail"))
    assert blocked(changed(trial, "performance", outcome="error"))


def test_a_check_that_only_watches_does_not_block(trial: Trial) -> None:
    """A failure of a check that does not gate is shown and does not block; a missing one does."""
    watching = with_rule(trial, "bias", gates=False)
    assert () == blocked(changed(watching, "bias", outcome="fail"))
    reports = {key: check for key, check in watching.reports.items() if key != "bias"}
    assert blocked(replace(watching, reports=reports))


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("candidate_id", "another candidate"),
        ("split_id", "another split"),
        ("policy_sha256", "another state of the policy"),
        ("name", "another check"),
    ],
)
def test_a_result_of_something_else_blocks(trial: Trial, field: str, what: str) -> None:
    """A passing result counts for what it judged and for nothing else."""
    other = msgspec.structs.replace(trial.reports["bias"], **{field: "0" * 64})
    reasons = blocked(replace(trial, reports={**trial.reports, "bias": other}))
    assert (f"the result of the check bias is about {what}",) == reasons


def test_a_result_beside_another_champion_blocks(trial: Trial) -> None:
    """A result compared with a former champion, or with none named, is stale."""
    for evidence in ({CHAMPION_ID: "0" * 64}, {}):
        reasons = blocked(changed(trial, "performance", evidence=evidence))
        assert ("the result of the check performance is about another champion",) == reasons


def test_no_champion_record_blocks(world: cases.World) -> None:
    """Without the registry's answer nobody knows that there is no champion."""
    world.layout.champion_record.unlink()
    reasons = gate.run(world.context).blocked_by
    assert "there is no readable record of what the registry answered about the champion" in reasons


def test_an_unreadable_champion_record_blocks(world: cases.World) -> None:
    """Half a record of the champion is no record."""
    world.layout.champion_record.write_bytes(b'{"state":"none"')
    reasons = gate.run(world.context).blocked_by
    assert "there is no readable record of what the registry answered about the champion" in reasons


def test_a_champion_of_another_model_blocks(world: cases.World) -> None:
    """The registry's answer about another model is no answer about this one."""
    Champion(state="none", model_name="other").write(world.layout.champion_record)
    assert "the champion's record is of another model name" in gate.run(world.context).blocked_by


def test_a_champion_without_a_version_blocks(world: cases.World) -> None:
    """A record that claims a champion says which."""
    Champion(state="version", model_name=cases.MODEL_NAME).write(world.layout.champion_record)
    reasons = gate.run(world.context).blocked_by
    assert "the champion's record names no version or no model" in reasons


def test_a_check_unknown_to_the_policy_blocks(trial: Trial) -> None:
    """A check with code that the pack does not mention was judged by nobody."""
    known = (*trial.known, "novel")
    assert ("the check novel is unknown to the policy",) == blocked(replace(trial, known=known))


def test_a_result_without_code_blocks(trial: Trial) -> None:
    """A result that no check of the pack wrote is not passed over."""
    reports = {**trial.reports, "stray": result(trial, "stray")}
    reasons = blocked(replace(trial, reports=reports))
    assert ("the check stray is unknown to the policy",) == reasons


def test_a_check_that_only_the_policy_knows_blocks(trial: Trial) -> None:
    """A pack that asks for a check which does not exist is not met."""
    known = tuple(name for name in trial.known if name != "bias")
    reasons = blocked(replace(trial, known=known))
    assert ("the policy names the check bias, and no file provides it",) == reasons


def test_a_policy_that_gates_nothing_blocks(trial: Trial) -> None:
    """A pack without a gating check opens nothing."""
    rules = {
        name: msgspec.structs.replace(rule, gates=False)
        for name, rule in trial.policy.checks.items()
    }
    policy = msgspec.structs.replace(trial.policy, checks=rules)
    reports = {
        name: msgspec.structs.replace(check, policy_sha256=policy.sha256)
        for name, check in trial.reports.items()
    }
    reasons = blocked(replace(trial, policy=policy, reports=reports))
    assert ("the policy pack names no gating check",) == reasons


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("split_id", "the candidate was trained on another split"),
        ("snapshot_id", "the candidate was trained on another snapshot"),
        ("params_sha256", "the candidate was trained by another recipe"),
    ],
)
def test_a_candidate_of_another_origin_blocks(trial: Trial, field: str, what: str) -> None:
    """A candidate stands trial with the split, snapshot and recipe that it came from."""
    candidate = msgspec.structs.replace(trial.candidate, **{field: "0" * 64})
    assert what in blocked(replace(trial, candidate=candidate))


def test_a_threshold_newer_than_the_run_blocks(world: cases.World) -> None:
    """A pack eased after the run began blocks, though every check says pass under it."""
    before = git(world.layout.root, "rev-parse", "HEAD")
    path = packs.pack_path(world.layout, cases.PACK)
    eased = path.read_text(encoding="utf-8").replace("min_roc_auc: 0.7", "min_roc_auc: 0.5")
    path.write_text(eased, encoding="utf-8")
    git(world.layout.root, "commit", "--quiet", "--all", "--message", "ease")
    passing(world)
    (reason,) = gate.run(world.context_of(before)).blocked_by
    assert "was changed after" in reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("model", "the model is missing or not what its record says"),
        ("test", "the test part is missing or not what its record says"),
        ("train", "the train part is missing or not what its record says"),
    ],
)
def test_a_changed_file_blocks(world: cases.World, name: str, reason: str) -> None:
    """One byte more in the model or in a part of the split blocks."""
    model = Model(world.layout.candidate).model
    path = model if name == "model" else world.layout.split_rows(name)
    path.write_bytes(path.read_bytes() + b"\0")
    assert (reason,) == gate.run(world.context).blocked_by


def test_an_unreadable_result_blocks(world: cases.World) -> None:
    """A result that is cut short blocks, and says which."""
    record_path(world.layout, "bias").write_bytes(b"{")
    reasons = gate.run(world.context).blocked_by
    assert "the result of the check bias cannot be read" in reasons


def test_no_candidate_gives_no_verdict(world: cases.World) -> None:
    """Without a candidate the step ends with an error, and the former verdict is gone."""
    gate.run(world.context)
    Model(world.layout.candidate).record.unlink()
    with pytest.raises(NotThere):
        gate.run(world.context)
    assert not world.layout.verdict.exists()


def test_the_verdict_is_stored_as_returned(world: cases.World) -> None:
    """The stored verdict is the returned one, and the same work gives the same id."""
    found = gate.run(world.context)
    assert found == read_json(world.layout.verdict, Verdict)
    assert found.id == gate.run(world.context).id
    assert None is gate.refusal(world.layout)


def test_the_verdict_names_the_judged_parameters(world: cases.World) -> None:
    """The verdict carries the digest of the parameters that a verdict depends on."""
    assert world.params.judged_sha256 == gate.run(world.context).params_sha256


def test_a_refusal_says_what_was_observed_and_where_to_read(world: cases.World) -> None:
    """A refused candidate's error names check, observed, expected and the report to read."""
    trial = gate.trial_of(world.context)
    result(trial, "bias", outcome="fail", observed="ratio 0.67", expected="at least 0.80").write(
        record_path(world.layout, "bias")
    )
    gate.run(world.context)
    error = gate.refusal(world.layout)
    assert isinstance(error, GateRefused)
    assert 4 == error.exit_code
    said = str(error)
    for part in ("bias", "ratio 0.67", "at least 0.80", "reports/checks/bias.html"):
        assert part in said


def _remove(layout: Layout) -> None:
    layout.verdict.unlink(missing_ok=True)


def _cut(layout: Layout) -> None:
    layout.verdict.parent.mkdir(parents=True, exist_ok=True)
    layout.verdict.write_bytes(b"{")


@pytest.mark.parametrize("breaks", [_remove, _cut])
def test_no_readable_verdict_refuses(world: cases.World, breaks: Callable[[Layout], None]) -> None:
    """A verdict that is not there, or cut short, refuses."""
    breaks(world.layout)
    assert isinstance(gate.refusal(world.layout), GateRefused)


def test_a_verdict_that_contradicts_itself_refuses(world: cases.World) -> None:
    """A verdict that claims to pass and names reasons against refuses."""
    found = gate.run(world.context)
    odd = msgspec.structs.replace(found, blocked_by=("something",))
    odd.write(world.layout.verdict)
    assert isinstance(gate.refusal(world.layout), GateRefused)
