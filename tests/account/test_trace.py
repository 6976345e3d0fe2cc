"""Trace: from a decision's id to everything it rests on, each by content, or an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.account.knots import Servers
from pipelines.account.trace import Thread, trace
from pipelines.decisions.record import Recorded, as_number
from pipelines.errors import Erased, IntegrityBroken
from pipelines.ledger import erasure
from pipelines.lineage.decision import drawn
from pipelines.lineage.picture import draw
from tests.account.world import SNAPSHOT, SPLIT, World
from tests.decisions import versions

MLFLOW = Servers(
    mlflow="http://mlflow", airflow="http://airflow", airflow_run=lambda run: run.partition("__")[2]
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def decided(world: World) -> Recorded:
    promotion = world.version(run_id="train_model__manual__1", commit="c" * 40)
    return world.decide(promotion, [versions.application()])[0]


def traced(world: World, found: Recorded, servers: Servers | None = None) -> Thread:
    return trace(world.ledger, world.opened, as_number(found.id), world.state, servers)


def test_the_thread_names_everything_by_content(world: World, decided: Recorded) -> None:
    """Decision, promotion, approver, version, verdict, model, run, data, code, environment."""
    found = traced(world, decided)
    origin, record = decided.made.origin, world.registry.version("1")
    ids = {each.kind: each.id for each in found.knots}
    expected = {
        "decision": decided.id,
        "promotion": origin.promotion_id,
        "approval": world.registry.approvals("1")[0].id,
        "version": origin.files_sha256,
        "verdict": record.verdict_id,
        "policy": origin.policy_sha256,
        "model": origin.model_sha256,
        "run": "train_model__manual__1",
        "split": SPLIT.id,
        "snapshot": origin.snapshot_id,
        "contract": SNAPSHOT.contract_sha256,
        "landed files": SNAPSHOT.landed_id,
        "commit": "c" * 40,
        "environment": origin.environment_id,
    }
    assert expected == {kind: ids[kind] for kind in expected}
    assert "Ada" in found.knot("approval").told


def test_every_knot_leads_on(world: World, decided: Recorded) -> None:
    """What a knot says it came from is a knot of the same thread."""
    found = traced(world, decided)
    kinds = {each.kind for each in found.knots}
    assert set() == {name for each in found.knots for name in each.of} - kinds


def test_links_lead_to_the_servers_that_run(world: World, decided: Recorded) -> None:
    """With servers there are links to MLflow and Airflow, without them there are none."""
    found = traced(world, decided, MLFLOW)
    links = {each.kind: each.link for each in found.knots if each.link}
    assert "http://mlflow/#/models/people/versions/1" == links["version"]
    assert "http://mlflow/#/runs/memory-1" == links["run"]
    assert "http://airflow/dags/train_model/runs/manual__1" == links["DAG run"]
    assert [] == [each.kind for each in traced(world, decided).knots if each.link]


def test_the_record_is_shown_to_be_in_the_log(world: World, decided: Recorded) -> None:
    """The proof is checked under a checkpoint that the log signed."""
    found = traced(world, decided)
    assert (decided.index, 1) == (found.sealed.index, found.sealed.size)
    assert world.ledger.origin == found.sealed.log


@pytest.mark.parametrize("column", ["leaf", "entry"])
def test_a_record_that_is_not_in_the_log_is_an_alarm(
    world: World, decided: Recorded, column: str
) -> None:
    """A changed leaf, or an entry changed under a true leaf, does not pass for sealed."""
    world.decide(world.registry.promotions()[-1], [versions.application(person="other")])
    if column == "leaf":
        world.place.query("UPDATE entry SET leaf = zeroblob(32) WHERE seq = 1")
    else:
        world.place.query(
            "UPDATE entry SET entry = CAST(REPLACE(CAST(entry AS TEXT), '\"ts\":1', '\"ts\":2')"
            " AS BLOB) WHERE seq = 0"
        )
    with pytest.raises(IntegrityBroken):
        traced(world, decided)


@pytest.mark.parametrize("name", ["environment.json", "snapshot.json", "model.lock", "model.skops"])
def test_a_changed_file_of_the_version_is_an_alarm(
    world: World, decided: Recorded, name: str
) -> None:
    """What is kept on this machine is checked anew each time, also after a first good look."""
    traced(world, decided)
    kept = next(world.state.versions.glob(f"*/files/{name}"))
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(IntegrityBroken):
        traced(world, decided)


def test_another_version_under_the_same_number_is_an_alarm(world: World, decided: Recorded) -> None:
    """A registry that now says something else of a version is not believed."""
    other = World(world.folder / "other")
    other.version("trees", run_id="train_model__manual__1", commit="c" * 40)
    with pytest.raises(IntegrityBroken):
        trace(world.ledger, other.opened, as_number(decided.id), world.state)
    other.close()


def test_a_promotion_that_is_gone_is_an_alarm(world: World, decided: Recorded) -> None:
    """The promotion that a decision names must be in the trail."""
    world.registry._stored = {
        key: text for key, text in world.registry._stored.items() if "promotion" not in key
    }
    with pytest.raises(IntegrityBroken):
        traced(world, decided)


def test_the_registry_is_asked_once(world: World, decided: Recorded) -> None:
    """What is kept by content needs no registry: the second look asks nobody."""
    first = traced(world, decided)
    before = world.asked
    assert first == traced(world, decided)
    assert before == world.asked


def test_what_came_later_is_part_of_the_thread(world: World, decided: Recorded) -> None:
    """A look at the record, and nobody else's, is named with its place."""
    other = world.decide(world.registry.promotions()[-1], [versions.application(person="other")])
    world.recorder.look(as_number(decided.id), "Carl", "r1")
    world.recorder.look(as_number(other[0].id), "Carl", "r2")
    later = traced(world, decided).later
    assert [("look", 2, "Carl")] == [(each.kind, each.index, each.by) for each in later]


def test_an_erased_decision_has_no_thread(world: World, decided: Recorded) -> None:
    """What was erased is said to be."""
    erasure.erase(world.ledger, erasure.plan(world.ledger, "p-marked-7261"), "asked for")
    with pytest.raises(Erased):
        traced(world, decided)


def test_the_picture_shows_every_knot_and_no_person(world: World, decided: Recorded) -> None:
    """Every piece of data is a box, the steps stand between, and no value of a person is drawn."""
    picture = draw(drawn(traced(world, decided)))
    for name in ("decision", "approval", "version", "environment", "landed files", "decide"):
        assert 'class="name"' in picture
        assert f">{name}</text>" in picture
    assert "p-marked-7261" not in picture
