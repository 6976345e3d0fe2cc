"""A retrain beyond what the pack foresaw needs a person, whatever the tier; fail closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from pipelines.cli.question import question
from pipelines.cli.release import ask, plan_of
from pipelines.errors import GateRefused, IntegrityBroken
from pipelines.layout import Layout
from pipelines.markdown import plain
from pipelines.params import Recipe
from pipelines.records import Candidate, Champion, Verdict
from pipelines.release import envelope, modification, policy, promote
from pipelines.release.envelope import Side
from pipelines.release.modification import Modification
from pipelines.release.policy import Envelope, Policy
from pipelines.release.proposal import Proposal, propose
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json
from tests.conftest import git
from tests.release import cases
from tests.release.versions import Bench, measured

WHO = {"person": "Ada", "reason": "better"}
FORESEEN = """
envelope:
  estimator: same
  inputs: fewer
  contract: same
  hyperparameters: {C: [0.1, 10.0]}
  max_loss: 0.03
  min_ratio: 0.8
  max_threshold_shift: 0.5
  because: a test
"""
ENVELOPE = Envelope(
    estimator="same",
    inputs="fewer",
    contract="same",
    hyperparameters={"C": (0.1, 10.0)},
    max_loss=0.03,
    min_ratio=0.8,
    max_threshold_shift=0.5,
    because="a test",
)
CANDIDATE = Candidate(
    recipe="plain",
    estimator="logistic_regression",
    model_sha256="a" * 64,
    split_id="s",
    snapshot_id="s",
    params_sha256="p",
    environment_id="e",
    features=("income", "debt"),
    threshold=(1.0).hex(),
    margin="linear",
)
RECIPE = Recipe(
    estimator="logistic_regression",
    hyperparameters={"C": 1.0, "max_iter": 100},
    approval_rate=0.6,
    seed=1,
)
SIDE = Side(CANDIDATE, cases.CONTRACT, RECIPE, roc_auc=0.8, ratio=0.9)


def pack(layout: Layout, envelope: str = FORESEEN, tier: str = "minimal") -> None:
    """Give the checkout's pack an envelope and a tier, and commit it."""
    path = policy.pack_path(layout, cases.PACK)
    path.write_text(path.read_text().replace("risk_tier: high", f"risk_tier: {tier}") + envelope)
    git(layout.root, "commit", "--quiet", "--all", "--message", "an envelope")


def crowned(bench: Bench) -> None:
    """Make a first version the champion, approved by nobody."""
    promote.run(bench.context, version=bench.registered("one").version, **WHO)


def report_of(bench: Bench, version: str, folder: Path) -> Modification:
    files = fetched(bench.registry, bench.registry.version(version), folder)
    return read_json(files.modification, Modification)


def outside(former: Side, now: Side, allowed: Envelope = ENVELOPE) -> list[str]:
    return [each.name for each in envelope.compare(former, now, allowed) if not each.inside]


def test_a_first_version_has_nothing_to_compare(quick: Bench, tmp_path: Path) -> None:
    """Without a champion the report says so, and a low tier asks nobody."""
    pack(quick.layout)
    crowned(quick)
    found = report_of(quick, "1", tmp_path / "v")
    assert ("first version: nothing to compare", ()) == (found.word, found.lines)


def test_a_retrain_inside_the_envelope_needs_nobody_at_a_low_tier(
    quick: Bench, tmp_path: Path
) -> None:
    """The same again under another name is inside, line by line, and becomes champion."""
    pack(quick.layout)
    crowned(quick)
    second = quick.registered("two")
    found = report_of(quick, second.version, tmp_path / "v")
    assert ("inside", True) == (found.word, all(each.inside for each in found.lines))
    assert "2" == promote.run(quick.context, version="2", **WHO).promotion.version


def test_a_retrain_outside_it_needs_a_person_at_any_tier(quick: Bench) -> None:
    """An operating point moved too far is refused without an approval, and promoted with one."""
    pack(quick.layout)
    crowned(quick)
    second = quick.registered("two", threshold=(9.0).hex())
    with pytest.raises(GateRefused, match="approval") as refused:
        promote.run(quick.context, version=second.version, **WHO)
    assert "operating point" in str(refused.value)
    given = quick.approved(second)
    done = promote.run(quick.context, version=second.version, approval=given.id, **WHO)
    assert given.id == done.promotion.approval_id


def test_without_an_envelope_the_tier_alone_asks(quick: Bench, tmp_path: Path) -> None:
    """A pack that declares nothing leaves promotion as it was."""
    pack(quick.layout, envelope="")
    crowned(quick)
    second = quick.registered("two", threshold=(9.0).hex())
    assert "no envelope is declared" == report_of(quick, second.version, tmp_path / "v").word
    assert "2" == promote.run(quick.context, version="2", **WHO).promotion.version


def test_a_champion_that_does_not_say_is_outside(quick: Bench) -> None:
    """What an old champion has no record of cannot be inside."""
    silent = replace(SIDE, recipe=None, roc_auc=None)
    assert ["recipe", "ROC AUC"] == outside(silent, SIDE)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (SIDE, []),
        (replace(SIDE, roc_auc=0.78), []),
        (replace(SIDE, roc_auc=0.76), ["ROC AUC"]),
        (replace(SIDE, roc_auc=None), ["ROC AUC"]),
        (replace(SIDE, ratio=0.79), ["lowest selection-rate ratio"]),
        (replace(SIDE, ratio=None), ["lowest selection-rate ratio"]),
        (replace(SIDE, recipe=None), ["recipe"]),
        (
            replace(SIDE, contract=msgspec.structs.replace(cases.CONTRACT, version="2")),
            ["contract of the training data"],
        ),
    ],
)
def test_each_line_is_judged_by_itself(now: Side, expected: list[str]) -> None:
    """A figure beyond its bound, or missing, is outside, and nothing else is."""
    assert expected == outside(SIDE, now)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"features": ("income",)}, []),
        ({"features": ("income", "debt", "job")}, ["inputs"]),
        ({"estimator": "hist_gradient_boosting"}, ["estimator"]),
        ({"threshold": (1.5).hex()}, []),
        ({"threshold": (1.6).hex()}, ["operating point"]),
        ({"refer_band": (0.6).hex()}, ["width of the refer band"]),
    ],
)
def test_the_model_itself_is_compared(changes: dict[str, object], expected: list[str]) -> None:
    """Fewer inputs are foreseen, a new one or another family is not; points move a little."""
    now = replace(SIDE, candidate=msgspec.structs.replace(CANDIDATE, **changes))
    assert expected == outside(SIDE, now)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"C": 10.0, "max_iter": 100}, []),
        ({"C": 10.1, "max_iter": 100}, ["C"]),
        ({"C": "no number", "max_iter": 100}, ["C"]),
        ({"C": 1.0, "max_iter": 200}, ["max_iter"]),
        ({"C": 1.0}, ["max_iter"]),
        ({"C": 1.0, "max_iter": 100, "l1": 1}, ["l1"]),
    ],
)
def test_a_hyperparameter_moves_in_its_range_or_not_at_all(
    settings: dict[str, object], expected: list[str]
) -> None:
    """What has a range may move in it; what has none stays, comes not and goes not."""
    recipe = msgspec.structs.replace(RECIPE, hyperparameters=settings)
    assert expected == outside(SIDE, replace(SIDE, recipe=recipe))


def test_a_range_for_what_neither_has_is_no_line() -> None:
    """A pack made for one family of estimators does not push the others out."""
    wider = msgspec.structs.replace(ENVELOPE, hyperparameters={"max_depth": (1.0, 9.0)})
    assert [] == outside(SIDE, SIDE, wider)


def test_a_large_group_without_a_ratio_leaves_the_lowest_unknown() -> None:
    """The lowest of the ratios that are there is not the lowest; a small group does not count."""
    large, small = measured(0.6), measured(0.1) | {"small": True}
    silent = {"small": False, "measures": {"impact_ratio": {"value": None}}}
    of = {"attributes": {"colour": {"groups": {"blue": large, "red": small}}}}
    assert envelope.lowest_ratio(of) == pytest.approx(0.6 / 0.7)
    of["attributes"]["colour"]["groups"]["grey"] = silent
    assert envelope.lowest_ratio(of) is None


def test_the_champions_files_must_be_the_champions(quick: Bench, tmp_path: Path) -> None:
    """Another model in the champion's place is an alarm, never a comparison."""
    pack(quick.layout)
    crowned(quick)
    quick.registered("two")
    files = fetched(quick.registry, quick.registry.version("2"), tmp_path / "v")
    asked = Champion(
        state="version",
        model_name=cases.MODEL_NAME,
        version="1",
        candidate_id="f" * 64,
        model_sha256="f" * 64,
    )
    found = policy.read(quick.layout, cases.PACK)
    with pytest.raises(IntegrityBroken):
        modification.report(files, quick.layout.champion, asked, found)


def test_a_comparison_that_is_missing_or_of_another_asks_a_person(
    quick: Bench, tmp_path: Path
) -> None:
    """No report, or one bound to another champion, is outside."""
    pack(quick.layout)
    crowned(quick)
    version = quick.registered("two")
    files = fetched(quick.registry, version, tmp_path / "v")
    verdict, found = read_json(files.verdict, Verdict), read_json(files.policy, Policy)
    assert "" == modification.asks_a_person(files, verdict, found)
    another = msgspec.structs.replace(verdict, champion_id="f" * 64)
    assert "something else" in modification.asks_a_person(files, another, found)
    files.modification.unlink()
    assert "not compared" in modification.asks_a_person(VersionFiles(files.folder), verdict, found)


def proposed(bench: Bench, **changes: str) -> Proposal:
    """Propose a second version to take the place of a first."""
    pack(bench.layout)
    crowned(bench)
    version = bench.registered("two", **changes)
    return propose(bench.registry, version, bench.registry.version("1"))


def test_the_approver_is_shown_what_left_the_envelope(quick: Bench) -> None:
    """The question names each line outside, as it was, as it is and what was foreseen."""
    asked = proposed(quick, threshold=(9.0).hex())
    assert asked.change is not None
    (line,) = asked.change.outside
    body = question(asked, (), "").body
    assert "Beyond what the policy pack foresaw" in body
    for text in (line.name, line.former, line.now, line.allowed):
        assert plain(text) in body


def test_the_command_line_shows_what_left_the_envelope(quick: Bench) -> None:
    """The plan of `clew promote` says what the approver in Airflow is shown."""
    asked = proposed(quick, threshold=(9.0).hex())
    assert asked.change is not None
    (line,) = asked.change.outside
    told = "\n".join(plan_of(asked, None))
    assert "outside: operating point" in told
    assert f"{line.name}: {line.now}, champion {line.former}, foreseen: {line.allowed}" in told
    assert "approval   needed; nobody answered yet" in told


def test_the_command_line_says_that_a_retrain_was_foreseen(quick: Bench) -> None:
    """Inside the envelope and below the high tier nobody has to be asked."""
    told = "\n".join(plan_of(proposed(quick), None))
    assert "retrain    inside" in told
    assert "approval   not needed" in told


def test_the_command_line_refuses_before_it_asks(
    quick: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not foreseen wants an approval: nobody is asked to go on without one."""
    proposed(quick, threshold=(9.0).hex())
    trail = quick.registry.promotions()
    with pytest.raises(GateRefused, match="beyond what was foreseen"):
        ask(quick.registry, "2", None, trail, yes=True)
    assert "outside: operating point" in capsys.readouterr().err
    ask(quick.registry, "2", quick.approved(quick.registry.version("2")).id, trail, yes=True)
