"""Late outcomes: recorded once, joined by decision, and performance with and without them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import BadRequest, DataRefused
from pipelines.watch import outcomes, window
from pipelines.watch.outcomes import Counted
from pipelines.watch.profile import Label
from tests.release import cases
from tests.watch.world import OCTOBER, World, found

LATER = "2026-10-24"  # fourteen days after the decisions


def file(folder: Path, ids: Sequence[bytes], labels: Sequence[int], at: str = LATER) -> Path:
    """Write a file of outcomes."""
    path = folder / "outcomes.csv"
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["decision_id", "paid", "observed_at"])
        writer.writerows((n.hex(), each, at) for n, each in zip(ids, labels, strict=True))
    return path


def record(world: World, path: Path) -> Counted:
    """Record a file of outcomes."""
    return outcomes.record(world.ledger, outcomes.rows(path, cases.CONTRACT), lambda _: None)


def test_outcomes_are_recorded_once(world: World) -> None:
    """The same file given twice records nothing the second time, and the log does not grow."""
    people = cases.applicants(40, 2)
    path = file(world.folder, world.decide(people), people["paid"].tolist())
    assert Counted(recorded=40) == record(world, path)
    size = world.ledger.checkpoint()[0].size
    assert Counted(unchanged=40) == record(world, path)
    assert size == world.ledger.checkpoint()[0].size


def test_another_outcome_for_a_decision_is_refused(world: World) -> None:
    """A file that says otherwise is refused by row number, and what was recorded stays."""
    ids = world.decide(cases.applicants(3, 2))
    record(world, file(world.folder, ids, [1, 1, 1]))
    with pytest.raises(DataRefused) as refused:
        record(world, file(world.folder, ids, [1, 0, 1]))
    assert [(2,)] == [each.rows for each in refused.value.failures]
    with pytest.raises(DataRefused):
        record(world, file(world.folder, [ids[0], ids[0]], [1, 0]))
    assert {True} == {e.favourable for e in labels(world).values()}


def labels(world: World) -> dict[bytes, Label]:
    """Return the recorded labels of October."""
    return outcomes.labels(world.ledger, window.parse(OCTOBER))


@pytest.mark.parametrize(
    ("decision", "label", "at"),
    [
        *[("ab" * 16, "1", LATER), ("zz", "1", LATER), (None, "", LATER), (None, "1", "yesterday")],
        *[(None, "=cmd|' /C'!A0", LATER), (None, "nan", LATER)],
        (None, "1", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_what_cannot_be_joined_is_refused_without_its_values(
    world: World, decision: str | None, label: str, at: str
) -> None:
    """An unknown decision, a broken id, no outcome or no time: refused by row number alone."""
    known = world.decide(cases.applicants(1, 2))[0].hex()
    path = world.folder / "broken.csv"
    path.write_text(f"decision_id,paid,observed_at\n{decision or known},{label},{at}\n")
    with pytest.raises(DataRefused) as refused:
        record(world, path)
    assert [(1,)] == [each.rows for each in refused.value.failures]
    assert "yesterday" not in str(refused.value)
    assert {} == labels(world)


@pytest.mark.parametrize("header", ["decision_id,paid", "decision_id,paid,paid,observed_at"])
def test_a_file_without_a_column_is_refused(world: World, header: str) -> None:
    """Decision, outcome and time are all needed, each once."""
    path = world.folder / "short.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(BadRequest):
        record(world, path)


def test_an_outcome_that_the_contract_does_not_list_is_refused() -> None:
    """Where the target's values are known, another one is no outcome against anybody."""
    target = msgspec.structs.replace(cases.CONTRACT.target, allowed=(0, 1))
    texts = pa.array(["1", "1.0", "0", "2", "no", None])
    assert [True, True, False, None, None, None] == outcomes._favourable(texts, target)


def test_labels_are_joined_with_their_delay(world: World) -> None:
    """Each decision of the window has its label and the days that it took; others have none."""
    ids = world.decide(cases.applicants(4, 2))
    record(world, file(world.folder, ids[:2], [1, 0]))
    found_labels = labels(world)
    assert {(True, 13), (False, 13)} == {(e.favourable, e.days) for e in found_labels.values()}
    assert {} == outcomes.labels(world.ledger, window.parse("2026-09"))


def test_live_performance_is_shown_with_labels_and_agrees_with_the_estimate(world: World) -> None:
    """On people like those of the test part the AUC without labels is the one with labels."""
    people = cases.applicants(1500, 2)
    record(world, file(world.folder, world.decide(people), people["paid"].tolist()))
    report = world.watch()
    assert {"ok"} == {each.status for each in found(report, "performance")}
    table = report.tables["performance"]
    assert {"labels": 1500, "median": 13, "p90": 13} == table["delay_days"]
    low, high = table["roc_auc"][1:]
    assert low - 0.03 < table["estimate"]["roc_auc"][0] < high + 0.03
    truth = table["truth_where_labels_are"]["approved_favourable"]
    assert truth == pytest.approx(
        table["estimate_where_labels_are"]["approved_favourable"][0], abs=0.06
    )


def test_labels_that_follow_no_score_any_more_alarm(world: World) -> None:
    """When who pays back is drawn by lot, live performance asks for a retrain."""
    people = cases.applicants(1000, 2)
    lots = np.random.default_rng(1).integers(0, 2, len(people)).tolist()
    record(world, file(world.folder, world.decide(people), lots))
    report = world.watch()
    auc = found(report, "performance", measure="roc_auc")[0]
    assert ("alarm", "retrain") == (auc.status, auc.action)
    # Without labels the estimate cannot see it: people look as they did.
    assert ["ok"] == [each.status for each in found(report, "estimate")]


def test_labels_of_the_approved_alone_alarm_nothing(world: World) -> None:
    """Among the approved any model orders less well; that alone is no loss of this one."""
    people = cases.applicants(2500, 2)
    ids = world.decide(people)
    taken = [at for at in range(len(ids)) if approved(world, people, at)]
    labels_of = people["paid"].tolist()
    record(world, file(world.folder, [ids[a] for a in taken], [labels_of[a] for a in taken]))
    auc = found(world.watch(), "performance", measure="roc_auc")[0]
    assert auc.status != "alarm"


def approved(world: World, people: object, at: int) -> bool:
    """Say whether the model approves a person."""
    frame = people.iloc[[at]]  # type: ignore[attr-defined]
    row = {str(name): value for name, value in frame.to_dict("records")[0].items()}
    values = {n: None if row[n] != row[n] else row[n] for n in world.model.candidate.features}
    return world.model.margin(values) >= world.model.threshold


def test_few_labels_are_not_enough_data(world: World) -> None:
    """Ten labels say nothing, and are shown as not enough."""
    people = cases.applicants(200, 2)
    ids = world.decide(people)
    record(world, file(world.folder, ids[:10], people["paid"].tolist()[:10]))
    report = world.watch()
    assert ["not-enough-data"] == [each.status for each in found(report, "performance")]


def test_equal_opportunity_is_measured_where_labels_are(world: World) -> None:
    """With labels the true positive rate of a group stands beside its estimate."""
    people = cases.applicants(800, 2)
    record(world, file(world.folder, world.decide(people), people["paid"].tolist()))
    rows = [r for r in world.watch().tables["groups"] if r["group"] == "blue"]
    measured, estimated = (rows[0][f"true_positive_rate{end}"] for end in ("", "_estimated"))
    assert measured == pytest.approx(estimated, abs=0.1)
