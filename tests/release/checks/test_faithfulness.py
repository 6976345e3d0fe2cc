"""Faithfulness: reasons that are not the real ones, and ones that may not be named, are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from pipelines.canonical import sha256_file
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import Model, State
from pipelines.records import Candidate
from pipelines.release.checks import _reasons, faithfulness
from pipelines.release.checks._reasons import Moved, Told
from pipelines.release.checks.faithfulness import Thresholds
from pipelines.typed import read_json
from tests.release import cases

LIMITS = Thresholds(min_share=0.95, min_recovered=0.5, min_people=30)


def person(**changes: Any) -> Told:
    fields = {"named": ("a",), "following": ("b",), "claimed": 1.0, "unnameable": ()}
    return Told(**(fields | changes))


@pytest.mark.parametrize(
    ("each", "moved", "expected"),
    [
        (person(), Moved(-1.0, 0.0, -0.5), True),
        (person(), Moved(-1.0, -0.5, -0.9), True),
        (person(), Moved(-1.0, -0.51, -0.9), False),
        (person(), Moved(-1.0, -1.0, -1.5), False),
        (person(), Moved(-1.0, -1.5, -2.0), False),
        (person(), Moved(-1.0, 0.0, 0.0), False),
        (person(named=(), claimed=0.0), Moved(-1.0, 0.5, -1.0), False),
    ],
    ids=["as claimed", "half", "less", "nothing", "down", "no more than the next", "no reasons"],
)
def test_reasons_hold_when_setting_them_does_what_they_claim(
    each: Told, moved: Moved, expected: bool
) -> None:
    """The margin rises by at least the part of the claim, and more than by the next columns."""
    assert expected == faithfulness.holds(each, moved, 0.5)


def test_a_margin_that_does_not_rise_is_never_enough() -> None:
    """Not even for a pack that asks for no part of what is claimed."""
    assert not faithfulness.holds(person(), Moved(-1.0, -1.0, -1.5), 0.0)


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [(38, 2, "pass"), (37, 3, "fail"), (29, 0, "not-enough-data"), (0, 0, "not-enough-data")],
)
def test_the_share_of_people_is_judged(good: int, bad: int, expected: str) -> None:
    """At the share passes, under it fails, and of few people nothing is said."""
    moved = [Moved(-1.0, 0.0, -0.5)] * good + [Moved(-1.0, -1.0, -0.5)] * bad
    found, evidence = faithfulness.lines([person()] * (good + bad), moved, 0.0, LIMITS)
    assert expected == found[0].outcome
    assert good + bad == evidence["people"]


def test_a_protected_column_that_would_have_to_be_named_fails() -> None:
    """One person is enough: a principal reason may be neither named nor left out."""
    people = [person()] * 99 + [person(unnameable=("blue",))]
    found, evidence = faithfulness.lines(people, [Moved(-1.0, 0.0, -0.5)] * 100, 0.0, LIMITS)
    assert ["pass", "fail"] == [line.outcome for line in found if line.counts]
    assert {"blue": 1} == evidence["unnameable"]


def test_what_would_have_been_approved_is_shown_and_decides_nothing() -> None:
    """The share that the named columns alone would flip is a figure beside the others."""
    moved = [Moved(-1.0, 0.5, -0.5)] * 30 + [Moved(-1.0, -0.1, -0.5)] * 10
    found, evidence = faithfulness.lines([person()] * 40, moved, 0.5, LIMITS)
    assert 0.75 == evidence["flipped_share"]
    assert not found[-1].counts


def test_barred_columns_are_passed_over_and_counted() -> None:
    """The next unbarred columns are named instead, and what was passed over is known."""
    found = _reasons.told({"a": -3.0, "b": -2.0, "c": -1.0, "d": 1.0}, frozenset({"a"}), 1)
    assert Told(("b",), ("c",), 2.0, ("a",)) == found


def test_each_person_takes_the_members_values_of_their_own_columns() -> None:
    """Everybody stands once beside each member; only the named columns are set."""
    people = pd.DataFrame({"x": [1, 2], "self": [10, 20]})
    members = pd.DataFrame({"x": [7, 8, 9], "self": [70, 80, 90]})
    (frame,) = _reasons.with_members(people, members, [("x",), ("self",)])
    assert [7, 8, 9, 2, 2, 2] == frame["x"].tolist()
    assert [10, 10, 10, 70, 80, 90] == frame["self"].tolist()


def test_everybody_is_asked_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """More people than a batch holds are all there, in order."""
    monkeypatch.setattr(_reasons, "BATCH", 2)
    people, members = pd.DataFrame({"x": range(5)}), pd.DataFrame({"x": [7]})
    frames = _reasons.with_members(people, members, [()] * 5)
    assert [0, 1, 2, 3, 4] == [value for frame in frames for value in frame["x"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> cases.World:
    folder = tmp_path_factory.mktemp("faithfulness")
    return cases.make(folder / "repo", State(folder / "var"))


def test_a_candidates_reasons_are_the_real_ones(world: cases.World) -> None:
    """A linear candidate's reasons move its margin by exactly what they claim."""
    found = faithfulness.judge(world.case, world.limits("faithfulness"))
    assert "pass" == found.outcome
    assert 1.0 == found.evidence["share"]
    people, moved, _ = _reasons.measure(world.case)
    for each, there in zip(people, moved, strict=True):
        assert each.claimed == pytest.approx(there.named - there.before, abs=1e-9)
    assert len(people) > 100


def test_a_forests_reasons_are_judged_too(tmp_path: Path) -> None:
    """Trees, whose columns act together, are asked by the same rule."""
    settings = "estimator: hist_gradient_boosting\n    hyperparameters: {max_iter: 20}"
    old = "estimator: logistic_regression\n    hyperparameters: {C: 1.0, max_iter: 5000}"
    made = cases.changed(tmp_path, old, settings)
    assert "pass" == faithfulness.judge(made.case, LIMITS).outcome


def test_of_nobody_nothing_can_be_said(tmp_path: Path) -> None:
    """Where nobody of the test part is refused, there are no reasons to judge."""
    made = cases.changed(tmp_path, "seed: 7", "seed: 7")
    record = Model(made.layout.candidate).record
    low = msgspec.structs.replace(made.candidate, threshold=(-1e9).hex())
    members = _reasons.reference.make(
        _reasons.store.load(Model(made.layout.candidate).model, low.model_sha256),
        "linear",
        made.case.rows("train"),
        -1e9,
        made.params.decide.reference,
    )
    assert members is not None
    members.write(Model(made.layout.candidate).reference)
    sha256 = sha256_file(Model(made.layout.candidate).reference)
    msgspec.structs.replace(low, reference_sha256=sha256).write(record)
    assert "not-enough-data" == faithfulness.judge(made.case, LIMITS).outcome


def test_reasons_that_are_not_the_real_ones_fail(
    world: cases.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Naming what counted for a person as what counted against them is found out."""
    real = _reasons.principal
    monkeypatch.setattr(
        _reasons, "principal", lambda found, barred, most: real(found, barred, most, lowering=False)
    )
    assert "fail" == faithfulness.judge(world.case, LIMITS).outcome


def test_a_model_that_reads_a_protected_column_fails(tmp_path: Path) -> None:
    """Its real reasons may not be named, so nobody can be told why."""
    made = cases.changed(tmp_path, "seed: 7", "seed: 7\n    protected_as_features: true")
    found = faithfulness.judge(made.case, LIMITS)
    assert "fail" == found.outcome
    assert set(found.evidence["unnameable"]) <= {"blue", "years"}
    assert found.evidence["unnameable"]
    assert not {"blue", "years"} & set(found.evidence["named"])


def test_a_reference_of_other_people_is_refused(tmp_path: Path) -> None:
    """What reasons compare with must be what the training part makes, by digest and by content."""
    made = cases.changed(tmp_path, "seed: 7", "seed: 7")
    files = Model(made.layout.candidate)
    text = files.reference.read_text()
    files.reference.write_text(text.replace('"size":50', '"size":51'))
    with pytest.raises(IntegrityBroken):
        faithfulness.judge(made.case, LIMITS)
    files.reference.write_text(text)
    other = made.layout.params.read_text() + "decide: {reference: {size: 40}}\n"
    made.layout.params.write_text(other)
    with pytest.raises(IntegrityBroken):
        faithfulness.judge(made.case, LIMITS)


def test_a_reference_that_the_candidate_does_not_name_is_refused(tmp_path: Path) -> None:
    """The right content under another digest is not the file that was bound to the candidate."""
    made = cases.changed(tmp_path, "seed: 7", "seed: 7")
    files = Model(made.layout.candidate)
    files.reference.write_bytes(files.reference.read_bytes() + b"\n")
    with pytest.raises(IntegrityBroken):
        faithfulness.judge(made.case, LIMITS)


def test_a_candidate_without_a_reference_gives_no_reasons(tmp_path: Path) -> None:
    """Nothing to compare with is an error, and that blocks."""
    made = cases.changed(tmp_path, "seed: 7", "seed: 7")
    record = Model(made.layout.candidate).record
    msgspec.structs.replace(read_json(record, Candidate), reference_sha256=None).write(record)
    with pytest.raises(NotThere):
        faithfulness.judge(made.case, LIMITS)


def test_no_more_people_than_needed_are_asked(
    world: cases.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many refused people as many as the bound are taken, evenly spaced."""
    monkeypatch.setattr(_reasons, "MOST_PEOPLE", 40)
    assert 40 == faithfulness.judge(world.case, LIMITS).evidence["people"]
