"""OpenLineage events of every step: valid, versioned, and without a person's value."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines import flow
from pipelines.adapters.openlineage import MemoryLineage
from pipelines.canonical import sha256_file, sha256_tree
from pipelines.errors import GateRefused, Unavailable
from pipelines.lineage import cached, observed
from pipelines.lineage.job import run_uuid
from pipelines.ports import Run
from tests.lineage import checkout, standard

RUN = Run("run-a", checkout.COMMIT, "manual__a")


@pytest.fixture
def events(tmp_path: Path) -> list[dict[str, Any]]:
    return checkout.events_of_a_run(tmp_path)


def complete(events: list[dict[str, Any]], step: str) -> dict[str, Any]:
    return next(e for e in events if (e["eventType"], e["job"]["name"]) == ("COMPLETE", step))


def dataset(event: dict[str, Any], side: str, name: str) -> dict[str, Any]:
    return next(each for each in event[side] if each["name"] == name)


def test_every_step_starts_and_completes_once(events: list[dict[str, Any]]) -> None:
    """Each step of the map tells one start and one end, under one run id of its own."""
    told = [(each["job"]["name"], each["eventType"]) for each in events]
    assert [(name, kind) for name in flow.NAMES for kind in ("START", "COMPLETE")] == told
    assert len(flow.NAMES) == len({each["run"]["runId"] for each in events})


def test_events_are_valid(events: list[dict[str, Any]]) -> None:
    """Every event, and every facet in it, is what the standard's own client would accept."""
    assert [] == [error for event in events for error in standard.errors_of(event)]


def test_the_schema_check_can_fail(events: list[dict[str, Any]]) -> None:
    """A missing, an unknown and a mistyped field are each found by the check above."""
    event = events[-1]
    del event["job"]["namespace"]
    event["inputs"][0]["naem"] = "x"
    event["run"]["facets"]["parent"]["run"]["runId"] = "run-a"
    event["run"]["facets"]["clew_run"]["commit"] = 7
    assert 4 == len(standard.errors_of(event))


@pytest.mark.conformance
@pytest.mark.skipif("OPENLINEAGE_SPEC" not in os.environ, reason="OPENLINEAGE_SPEC names no folder")
def test_events_are_valid_against_the_published_files(events: list[dict[str, Any]]) -> None:
    """Every event and facet is valid against the JSON schema files as the standard publishes."""
    folder = Path(os.environ["OPENLINEAGE_SPEC"])
    assert [] == [error for each in events for error in standard.published_errors(folder, each)]


def test_files_are_versioned_by_content(tmp_path: Path, events: list[dict[str, Any]]) -> None:
    """A dataset's version is the SHA-256 of its tree or file, of inputs and of outputs."""
    trained = complete(events, "train")
    candidate = dataset(trained, "outputs", "models/candidate")
    lock = dataset(trained, "inputs", "infra/locks/model.lock")
    assert (
        f"sha256:{sha256_tree(tmp_path / 'models' / 'candidate')}"
        == (candidate["facets"]["version"]["datasetVersion"])
    )
    assert (
        f"sha256:{sha256_file(tmp_path / 'infra' / 'locks' / 'model.lock')}"
        == (lock["facets"]["version"]["datasetVersion"])
    )
    assert "dvcMd5" in candidate["facets"]["clew_digest"]
    assert "dvcMd5" not in lock["facets"]["clew_digest"]


def test_what_one_step_made_is_what_the_next_read(events: list[dict[str, Any]]) -> None:
    """The version of a step's output is the version of the next step's input."""
    made = dataset(complete(events, "split"), "outputs", "data/split")
    read = dataset(complete(events, "train"), "inputs", "data/split")
    assert made["facets"]["version"] == read["facets"]["version"]


def test_no_value_of_a_person_is_told(events: list[dict[str, Any]]) -> None:
    """Neither a cell of the data, nor a range, nor a person's name or reason is in any event."""
    text = json.dumps(events)
    found = [secret for secret in (checkout.SECRET, "4242.5", "4343.5") if secret in text]
    assert [] == found


def test_validation_is_told_as_counts(events: list[dict[str, Any]]) -> None:
    """What validate read carries rows, missing values and broken rules, by number only."""
    tested = dataset(complete(events, "validate"), "inputs", "data/landed")["inputFacets"]
    metrics, assertions = tested["dataQualityMetrics"], tested["dataQualityAssertions"]
    assert (4, {"income": {"nullCount": 1}}) == (metrics["rowCount"], metrics["columnMetrics"])
    assert [
        {"assertion": "contract", "success": True, "actual": "1 of 4 rows refused"},
        {"assertion": "range", "success": False, "actual": "1 rows", "column": "income"},
    ] == assertions["assertions"]


def test_columns_are_followed_where_it_is_certain(events: list[dict[str, Any]]) -> None:
    """A column is traced to the same column upstream, a model's margin to its features."""

    def sources(step: str, name: str) -> dict[str, list[str]]:
        facet = dataset(complete(events, step), "outputs", name)["facets"]["columnLineage"]
        return {
            column: [f"{each['name']}:{each['field']}" for each in known["inputFields"]]
            for column, known in facet["fields"].items()
        }

    assert {"name": ["data/landed:name"], "income": ["data/landed:income"]} == (
        sources("validate", "data/valid")
    )
    assert {"name": ["data/snapshot:name"], "income": ["data/snapshot:income"]} == (
        sources("split", "data/split")
    )
    assert {"margin": ["data/split:income"]} == sources("train", "models/candidate")


def test_model_verdict_and_environment_are_told(events: list[dict[str, Any]]) -> None:
    """The candidate's ids, the verdict and the lock of the model's environment are facets."""
    trained, judged = complete(events, "train"), complete(events, "gate")
    model = dataset(trained, "outputs", "models/candidate")["facets"]["clew_model"]
    verdict = dataset(judged, "outputs", "reports/gate/verdict.json")["facets"]["clew_verdict"]
    environment = trained["run"]["facets"]["clew_environment"]
    assert (True, [], model["candidateId"]) == (
        verdict["passed"],
        verdict["blockedBy"],
        verdict["candidateId"],
    )
    assert model["environmentId"] == environment["environmentId"]
    assert sha256_file(checkout.ROOT / "infra/locks/model.lock") == environment["lockSha256"]


def test_a_step_knows_its_run(events: list[dict[str, Any]]) -> None:
    """Each event names the run, its commit and Airflow's run, and the run as its parent."""
    for event in events:
        told = event["run"]["facets"]
        assert ("run-a", checkout.COMMIT, "manual__a") == tuple(
            told["clew_run"][name] for name in ("id", "commit", "airflowRunId")
        )
        assert str(run_uuid("run-a")) == told["parent"]["run"]["runId"]


def test_effects_name_the_model_version(events: list[dict[str, Any]]) -> None:
    """Register makes a model version; promote makes that version the champion."""
    made = dataset(complete(events, "register"), "outputs", checkout.NAME)
    promoted = complete(events, "promote")
    champion = dataset(promoted, "outputs", f"{checkout.NAME}@champion")
    version = {"3"}
    assert version == {
        each["facets"]["version"]["datasetVersion"]
        for each in (made, champion, dataset(promoted, "inputs", checkout.NAME))
    }


def test_a_failing_step_tells_and_raises_the_same_error(tmp_path: Path) -> None:
    """A step's own error passes unchanged, and its event says what and where, observed nothing."""
    where, sink = checkout.context(tmp_path, RUN), MemoryLineage()
    error = GateRefused("the gate said no", where="bias", observed=checkout.SECRET)
    with pytest.raises(GateRefused) as raised, observed(flow.step("gate"), where, sink):
        raise error
    failed = sink.events[-1]
    assert error is raised.value
    assert ("FAIL", "GateRefused: the gate said no (bias)") == _failure(failed)
    assert [] == standard.errors_of(dict(failed))


def test_another_librarys_message_is_not_told(tmp_path: Path) -> None:
    """An error that may quote a person's value is told by its class only."""
    where, sink = checkout.context(tmp_path), MemoryLineage()
    with (
        pytest.raises(ValueError, match=checkout.SECRET),
        observed(flow.step("split"), where, sink),
    ):
        raise ValueError(checkout.SECRET)
    assert ("FAIL", "ValueError") == _failure(sink.events[-1])


def _failure(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["eventType"], event["run"]["facets"]["errorMessage"]["message"]


def test_a_cached_step_is_told_as_such(tmp_path: Path) -> None:
    """A step that did not run again tells a start and an end that say so, and its outputs."""
    where, sink = checkout.context(tmp_path, RUN), MemoryLineage()
    checkout.work("ingest", where.layout)
    checkout.work("validate", where.layout)
    cached(flow.step("validate"), where, sink)
    told = [(e["eventType"], e["run"]["facets"]["clew_cached"]["cached"]) for e in sink.events]
    assert [("START", True), ("COMPLETE", True)] == told
    assert [] == [error for event in sink.events for error in standard.errors_of(dict(event))]


class Broken(MemoryLineage):
    """A sink whose disk is full from its `after`-th event on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def emit(self, event: Mapping[str, object]) -> None:
        if len(self.events) >= self.after:
            raise OSError(28, "No space left on device")
        super().emit(event)


def test_a_step_that_cannot_be_told_does_not_start(tmp_path: Path) -> None:
    """When the start cannot be written, the step raises Unavailable before it works."""
    where, worked = checkout.context(tmp_path), []
    with pytest.raises(Unavailable), observed(flow.step("split"), where, Broken(0)):
        worked.append(True)
    assert [] == worked


def test_an_end_that_cannot_be_told_loses_no_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When the end cannot be written, the step's result stands and a warning is logged."""
    where = checkout.context(tmp_path)
    with caplog.at_level(logging.WARNING), observed(flow.step("ingest"), where, Broken(1)):
        checkout.work("ingest", where.layout)
    assert ["the end of ingest is missing in the lineage: OSError"] == caplog.messages


def test_a_failure_that_cannot_be_told_keeps_the_steps_error(tmp_path: Path) -> None:
    """When the failure cannot be written either, the step's own error is what is raised."""
    where = checkout.context(tmp_path)
    with pytest.raises(GateRefused), observed(flow.step("gate"), where, Broken(1)):
        raise GateRefused("the gate said no")
