"""The thread leads both ways from any id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines import flow
from pipelines.adapters.openlineage import FileLineage, MemoryLineage
from pipelines.canonical import sha256_file, sha256_tree
from pipelines.errors import BadRequest, GateRefused, NotThere
from pipelines.layout import Layout, Model
from pipelines.lineage import cached, observed, thread
from pipelines.lineage.graph import Graph, build
from pipelines.ports import Run
from tests.lineage import checkout

LATER = "1f" * 20


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """Make the graph of two whole runs; the second takes the data steps of the first over."""
    sink = MemoryLineage()
    first = checkout.context(tmp_path / "a", Run("run-a", checkout.COMMIT, "manual__a"))
    checkout.whole_run(first, sink)
    second = checkout.context(tmp_path / "b", Run("run-b", LATER))
    over = ("validate", "snapshot", "split")
    for step in flow.STEPS[1:]:
        seed = "" if step.name in ("validate", "snapshot", "split") else "b"
        if step.name == "validate":
            checkout.work("ingest", second.layout)
        if step.name in over:
            checkout.work(step.name, second.layout)
            cached(step, second, sink)
        elif step.kind == "file":
            with observed(step, second, sink):
                checkout.work(step.name, second.layout, seed=seed, passed=False)
    return build(sink.events)


def steps(graph: Graph, identity: str) -> list[tuple[str, str]]:
    return [(each.run, each.step) for each in thread.thread(graph, identity).runs]


def of(run: str, *names: str) -> list[tuple[str, str]]:
    return [(run, name) for name in names]


def test_upstream_and_downstream_of_a_model(graph: Graph, tmp_path: Path) -> None:
    """From a candidate's digest the thread leads up to the landing and down to the promotion."""
    model = sha256_tree(Layout(tmp_path / "a").candidate)
    up = of("run-a", "ingest", "validate", "snapshot", "split", "train")
    down = of("run-a", "evaluate", "check", "gate", "register", "promote")
    assert up + down == [each for each in steps(graph, model) if each[0] == "run-a"]


def test_a_model_version_leads_up_to_its_data(graph: Graph) -> None:
    """From a model version the thread leads to every step that had a part in it, and no other."""
    assert of("run-a", *flow.NAMES) == [
        each for each in steps(graph, f"{checkout.NAME}/3") if each[0] == "run-a"
    ]
    assert [] == [each for each in steps(graph, f"{checkout.NAME}/3") if each == ("run-b", "train")]


def test_a_blocked_run_leads_to_no_version(graph: Graph, tmp_path: Path) -> None:
    """From the second run's model the thread leads to its verdict, which says blocked by what."""
    model = sha256_file(Model(Layout(tmp_path / "b").candidate).model)
    found = thread.thread(graph, model)
    assert "blocked by bias" == found.runs[-1].state
    assert {"run-a", "run-b"} == {each.run for each in found.runs}
    assert [("run-a", "ingest"), ("run-a", "validate")] == [
        (each.run, each.step) for each in found.runs[:2]
    ]
    taken_over = [each.step for each in found.runs if each.state == "cached"]
    assert ["validate", "snapshot", "split"] == taken_over
    assert "register" not in {each.step for each in found.runs if each.run == "run-b"}


def test_a_snapshot_leads_to_every_run_that_used_it(graph: Graph, tmp_path: Path) -> None:
    """From a snapshot's id the thread leads down to the models of both runs."""
    snapshot = json.loads(Layout(tmp_path / "a").split_record.read_text())["snapshot_id"]
    found = steps(graph, snapshot)
    assert [("run-a", "train"), ("run-b", "train")] == [e for e in found if e[1] == "train"]


def test_a_file_of_a_folder_leads_to_who_made_the_folder(graph: Graph) -> None:
    """A file that a step reads by itself is followed to the step that made the folder it is in."""
    name = "data/snapshot/contract.json"
    assert ("run-a", "snapshot") in steps(graph, name)
    assert ("run-a", "train") in steps(graph, name)


@pytest.mark.parametrize(
    "identity",
    ["run-a", "manual__a", checkout.COMMIT, checkout.COMMIT[:7], "reports/gate/verdict.json"],
)
def test_other_names_lead_to_the_run(graph: Graph, identity: str) -> None:
    """A run's id, Airflow's, its commit or the beginning of it, and a report's path are ids."""
    assert ("run-a", "gate") in steps(graph, identity)


def test_ids_of_records_are_known(graph: Graph, tmp_path: Path) -> None:
    """A landed file's digest, a candidate's and a verdict's id each begin a thread."""
    layout = Layout(tmp_path / "a")
    landed = sha256_file(layout.landed / "a.csv")
    candidate, verdict = checkout.candidate(layout).id, checkout.verdict(layout).id
    for identity, step in ((landed, "ingest"), (candidate, "train"), (verdict, "gate")):
        assert ("run-a", step) in steps(graph, identity[:16])


def test_an_unknown_id_is_not_there(graph: Graph) -> None:
    """What nothing is known by is refused with a next command."""
    with pytest.raises(NotThere) as raised:
        thread.thread(graph, "feedfeed")
    assert "clew history" == raised.value.hint


def test_a_version_number_is_no_beginning(graph: Graph) -> None:
    """The beginning of a version's number or of a path is never taken for the whole of it."""
    for beginning in (f"{checkout.NAME}/", "reports/gate/verd"):
        with pytest.raises(NotThere):
            thread.thread(graph, beginning)


def test_an_ambiguous_beginning_is_refused(graph: Graph) -> None:
    """A beginning that fits several ids is refused, and they are listed."""
    with pytest.raises(BadRequest) as raised:
        thread.thread(graph, "run-")
    assert "one of run-a, run-b" == raised.value.expected


def test_started_and_failed_steps_are_shown(tmp_path: Path) -> None:
    """A step whose end was never told is started, one that raised has failed."""
    where, sink = checkout.context(tmp_path, Run("run-c", checkout.COMMIT)), MemoryLineage()
    with pytest.raises(GateRefused), observed(flow.step("gate"), where, sink):
        raise GateRefused("no")
    with observed(flow.step("check"), where, sink):
        checkout.work("check", where.layout)
    del sink.events[-1]
    found = thread.thread(build(sink.events), "run-c")
    assert ["failed", "started"] == [each.state for each in found.runs]


def test_rows_for_people_and_for_programs(tmp_path: Path) -> None:
    """A table shortens digests; for a program they are whole, with every id."""
    path = tmp_path / "events.jsonl"
    sink = FileLineage(path)
    checkout.whole_run(checkout.context(tmp_path / "a", Run("run-a", checkout.COMMIT)), sink)
    found = thread.follow(path, "run-a")
    row, full = thread.rows(found)[0], thread.rows(found, full=True)[0]
    whole = full["outputs"][0]["version"].removeprefix("sha256:")  # type: ignore[index]
    assert ("ingest", "run-a", "complete") == (row["step"], row["run"], row["state"])
    assert f"data/landed@{whole[:12]}" == row["outputs"]


def test_no_file_is_not_there(tmp_path: Path) -> None:
    """Before the first run there is no lineage, and the message says how to get some."""
    with pytest.raises(NotThere) as raised:
        thread.follow(tmp_path / "none.jsonl", "run-a")
    assert "clew retrain" == raised.value.hint


def test_events_of_other_programs_are_left_alone(graph: Graph, tmp_path: Path) -> None:
    """Airflow writes its own events into the same file; they make no part of the thread."""
    other = {"producer": "https://airflow", "job": {"name": "x"}, "run": {"runId": "r"}}
    assert {} == build([other]).runs
