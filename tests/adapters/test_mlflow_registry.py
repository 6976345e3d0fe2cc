"""The Registry port: one contract, kept in memory, by MLflow's database and by its server."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mlflow import MlflowClient

from pipelines.adapters.memory import MemoryRegistry
from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import State
from pipelines.ports import Registry
from pipelines.records import Approval
from tests import registries

KINDS = ("memory", "embedded", "server")


@pytest.fixture(params=KINDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Registry:
    """Open an empty registry of each kind."""
    name = f"model-{uuid.uuid4().hex[:8]}"
    if request.param == "memory":
        return MemoryRegistry(name, tmp_path / "memory")
    if request.param == "embedded":
        return registries.embedded(tmp_path / "home", name, empty_database)
    uri = request.getfixturevalue("mlflow_server")
    return MlflowRegistry(uri, name, State(tmp_path / "home"))


@pytest.fixture
def mlflow(tmp_path: Path, empty_database: Path) -> MlflowRegistry:
    """Open an empty registry on MLflow's database."""
    return registries.embedded(tmp_path / "home", "applicants", empty_database)


def test_an_empty_registry_answers_that_it_is_empty(registry: Registry) -> None:
    """A registry that answers and holds nothing says so, and raises nothing."""
    assert ({}, [], []) == (
        registry.aliases(),
        list(registry.versions()),
        list(registry.promotions()),
    )


def test_a_version_that_was_never_registered_is_not_there(registry: Registry) -> None:
    """Asking for an unknown version raises NotThere."""
    with pytest.raises(NotThere):
        registry.version("1")


def test_registering_twice_yields_the_version_it_has(registry: Registry, tmp_path: Path) -> None:
    """The same candidate of the same run is registered once."""
    entry = registries.entry(tmp_path, registry.model_name)
    first = registry.register(entry)
    assert (first, [first]) == (registry.register(entry), list(registry.versions()))


def test_another_candidate_is_another_version(registry: Registry, tmp_path: Path) -> None:
    """Versions are numbered from 1 in the order of registration."""
    for candidate in ("c" * 64, "e" * 64):
        registry.register(registries.entry(tmp_path, registry.model_name, candidate_id=candidate))
    assert ["1", "2"] == [each.version for each in registry.versions()]


def test_the_same_registration_with_other_files_is_refused(
    registry: Registry, tmp_path: Path
) -> None:
    """A run's candidate cannot be registered again with other content."""
    entry = registries.entry(tmp_path, registry.model_name)
    registry.register(entry)
    other = replace(entry, version=msgspec.structs.replace(entry.version, files_sha256="9" * 64))
    with pytest.raises(IntegrityBroken):
        registry.register(other)


def test_the_files_of_a_version_come_back(registry: Registry, tmp_path: Path) -> None:
    """Fetch gives back the files that were registered, byte for byte."""
    entry = registries.entry(tmp_path, registry.model_name)
    registry.register(entry)
    registry.fetch("1", tmp_path / "back")
    found = {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()}
    assert {"candidate.json": b"{}\n"} == found


def test_a_blocked_candidate_gets_no_version(registry: Registry, tmp_path: Path) -> None:
    """A blocked candidate is logged once and makes no version."""
    entry = registries.entry(tmp_path, registry.model_name, passed=False)
    assert registry.log_blocked(entry) == registry.log_blocked(entry)
    assert [] == list(registry.versions())


def test_an_alias_names_what_it_was_pointed_at(registry: Registry, tmp_path: Path) -> None:
    """An alias is set, and taken away again, also when it is not there."""
    registry.register(registries.entry(tmp_path, registry.model_name))
    registry.point("champion", "1")
    assert {"champion": "1"} == registry.aliases()
    registry.point("champion", None)
    registry.point("champion", None)
    assert {} == registry.aliases()


def test_a_number_of_the_trail_is_written_once(registry: Registry, tmp_path: Path) -> None:
    """Of two promotions under one number the first stands."""
    registry.register(registries.entry(tmp_path, registry.model_name))
    first = registries.promotion(registry.model_name)
    second = registries.promotion(registry.model_name, person="Eve")
    assert (first, first) == (registry.append(first), registry.append(second))
    assert [first] == list(registry.promotions())


def shown_of(mlflow: MlflowRegistry) -> Any:
    """Return the first version as MLflow lists it."""
    with mlflow._mlflow.asking() as client:
        return client.get_model_version(mlflow.model_name, "1")


def test_mlflow_shows_who_made_a_version_decide(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """Approver, promoter, times and reasons stand under its description, as text alone."""
    found = mlflow.register(registries.entry(tmp_path / "a", mlflow.model_name))
    given = Approval(
        verdict_id=found.verdict_id,
        model_name=mlflow.model_name,
        version=found.version,
        approved=True,
        person="Grace [x](y)",
        reason="seen\n# all",
        at="2026-11-22T08:00:00+00:00",
    )
    mlflow.approve(given)
    made = mlflow.append(registries.promotion(mlflow.model_name, approval_id=given.id))
    mlflow.settle(made)
    mlflow.settle(made)
    listed = shown_of(mlflow)
    assert (given.reason, given.at) == (
        listed.tags["clew.approval_reason"],
        listed.tags["clew.approval_at"],
    )
    _, _, story = listed.description.partition("### Who made it decide\n\n")
    assert listed.description.startswith("words")
    assert [
        "- promote, 2026-11-22T09:00:00+00:00, by Ada: better",
        r"- approved, 2026-11-22T08:00:00+00:00, by Grace \[x\](y): seen # all",
    ] == story.splitlines()


def test_a_long_story_fits_where_mlflow_keeps_it(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """However often and with however many words: a promotion is not held up by its description."""
    mlflow.register(registries.entry(tmp_path / "a", mlflow.model_name))
    former = None
    for number in range(1, 21):
        made = registries.promotion(
            mlflow.model_name, number=number, former_id=former, reason=f"{number} " + "x" * 1900
        )
        former = mlflow.append(made).id
        mlflow.settle(made)
    text = shown_of(mlflow).description
    assert len(text) <= 5000
    assert text.index("20 xx") < text.index("19 xx")


def test_what_is_shown_beside_a_version_is_no_part_of_it(
    registry: Registry, tmp_path: Path
) -> None:
    """Files that are shown, also twice, leave the version's own as they are."""
    found = registry.register(registries.entry(tmp_path / "a", registry.model_name))
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "card.md").write_text("who")
    registry.show(found.version, "in-force", tmp_path / "cards")
    registry.show(found.version, "in-force", tmp_path / "cards")
    registry.fetch(found.version, tmp_path / "fetched")
    assert [] == list((tmp_path / "fetched").rglob("card.md"))
    assert found == registry.version(found.version)


def test_a_promotion_is_settled_when_it_is_noted(registry: Registry, tmp_path: Path) -> None:
    """A promotion is unsettled until settle is called, and settling twice does no harm."""
    registry.register(registries.entry(tmp_path, registry.model_name))
    promotion = registry.append(registries.promotion(registry.model_name))
    assert not registry.settled(promotion)
    registry.settle(promotion)
    registry.settle(promotion)
    assert registry.settled(promotion)
    assert [promotion] == list(registry.promotions())


def test_approvals_are_kept_with_their_version(registry: Registry, tmp_path: Path) -> None:
    """What people said comes back in the order of time, each once."""
    registry.register(registries.entry(tmp_path, registry.model_name))
    made = [
        Approval(
            verdict_id="b" * 64,
            model_name=registry.model_name,
            version="1",
            approved=approved,
            person="Ada",
            reason="because",
            at=f"2026-11-22T0{hour}:00:00+00:00",
        )
        for hour, approved in ((2, True), (1, False))
    ]
    for each in (*made, made[0]):
        registry.approve(each)
    assert [made[1], made[0]] == list(registry.approvals("1"))


def test_of_many_promotions_at_once_one_is_written(registry: Registry, tmp_path: Path) -> None:
    """Threads that claim the same number all see the same winner."""
    registry.register(registries.entry(tmp_path, registry.model_name))
    wanted = [registries.promotion(registry.model_name, person=f"P{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        stands = list(pool.map(registry.append, wanted))
    assert 1 == len({each.id for each in stands})
    assert [stands[0]] == list(registry.promotions())


# what is particular to MLflow


def found_by(registry: MlflowRegistry, filter_string: str) -> tuple[int, int]:
    """Return how many runs and versions MLflow's own search finds."""
    with registry._mlflow.asking() as client:
        experiment = client.get_experiment_by_name(registry.model_name)
        runs = client.search_runs([experiment.experiment_id], filter_string)
        return len(runs), len(client.search_model_versions(filter_string))


def test_a_version_is_found_by_its_tags_in_mlflow(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """MLflow's search finds the run and the version by every tag."""
    entry = registries.entry(tmp_path, mlflow.model_name)
    mlflow.register(entry)
    for name, value in {"clew.recipe": "fair", "clew.candidate_id": "c" * 64}.items():
        assert (1, 1) == found_by(mlflow, f"tags.`{name}` = '{value}'")


def test_the_run_shows_what_was_logged(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """Parameters, metrics, the data set with our digest and the reports stand in the run."""
    found = mlflow.register(registries.entry(tmp_path, mlflow.model_name))
    with mlflow._mlflow.asking() as client:
        run = client.get_run(found.registry_run)
        stored = mlflow._mlflow.artifacts(run.info.artifact_uri).list_artifacts("reports/checks")
    assert ({"recipe.seed": "7"}, {"overall.roc_auc": 0.75}) == (run.data.params, run.data.metrics)
    assert "d" * 32 == run.inputs.dataset_inputs[0].dataset.digest
    assert ["reports/checks/index.html"] == [each.path for each in stored]
    assert "FINISHED" == run.info.status


def test_a_blocked_run_is_red_in_mlflow(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """A blocked candidate's run has failed and is found by its verdict."""
    mlflow.log_blocked(registries.entry(tmp_path, mlflow.model_name, passed=False))
    assert (1, 0) == found_by(mlflow, "tags.`clew.verdict` = 'blocked'")
    with mlflow._mlflow.asking() as client:
        experiment = client.get_experiment_by_name(mlflow.model_name)
        runs = client.search_runs([experiment.experiment_id], "status = 'FAILED'")
    assert ["blocked"] == [run.data.tags["clew.verdict"] for run in runs]


def test_a_changed_tag_of_a_version_is_detected(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """A version whose tag contradicts its record is refused."""
    mlflow.register(registries.entry(tmp_path, mlflow.model_name))
    with mlflow._mlflow.asking() as client:
        client.set_model_version_tag(mlflow.model_name, "1", "clew.model_sha256", "9" * 64)
    with pytest.raises(IntegrityBroken, match=r"clew\.model_sha256"):
        mlflow.version("1")


def test_an_edited_trail_is_detected(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """A promotion's tag that was written over in MLflow is refused."""
    mlflow.register(registries.entry(tmp_path, mlflow.model_name))
    mlflow.settle(mlflow.append(registries.promotion(mlflow.model_name)))
    with mlflow._mlflow.asking() as client:
        client.set_registered_model_tag(mlflow.model_name, "clew.promotion.000001", "{}")
    with pytest.raises(IntegrityBroken, match="trail was edited"):
        mlflow.promotions()


def test_a_deleted_version_is_detected(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """A version that was deleted in MLflow is an alarm, not a version that never was."""
    mlflow.register(registries.entry(tmp_path, mlflow.model_name))
    with mlflow._mlflow.asking() as client:
        client.delete_model_version(mlflow.model_name, "1")
    with pytest.raises(IntegrityBroken, match="deleted"):
        mlflow.version("1")


def test_a_deleted_registered_model_is_detected(mlflow: MlflowRegistry, tmp_path: Path) -> None:
    """Deleting the registered model does not make the registry look new."""
    mlflow.register(registries.entry(tmp_path, mlflow.model_name))
    with mlflow._mlflow.asking() as client:
        client.delete_registered_model(mlflow.model_name)
    with pytest.raises(IntegrityBroken, match="deleted"):
        mlflow.aliases()
    with pytest.raises(IntegrityBroken, match="deleted"):
        mlflow.versions()


def test_a_registered_model_of_other_people_is_refused(mlflow: MlflowRegistry) -> None:
    """A registered model that Clew did not make has no register, and is not taken for empty."""
    with mlflow._mlflow.asking() as client:
        client.create_registered_model(mlflow.model_name)
    with pytest.raises(IntegrityBroken, match="no register"):
        mlflow.versions()


CALLS = (
    "create_run",
    "create_registered_model",
    "log_batch",
    "log_inputs",
    "create_logged_model",
    "finalize_logged_model",
    "create_model_version",
    "log_param",
    "set_terminated",
)
KILLED = """
import os, sys
from pathlib import Path
import mlflow
from tests import registries
from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.layout import State

home, call, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
former = getattr(mlflow.MlflowClient, call)

def killed(*args, **kwargs):
    if when == "before":
        os._exit(9)
    former(*args, **kwargs)
    os._exit(9)

setattr(mlflow.MlflowClient, call, killed)
state = State(home)
registry = MlflowRegistry(registries.database_uri(state), "applicants", state)
registry.register(registries.entry(home / "work", "applicants"))
"""


class Killed(BaseException):
    """Stands for a process that ends here: nothing of ours catches it."""


def finished(registry: MlflowRegistry, tmp_path: Path) -> None:
    """Assert that the next registration leaves one version with everything in it."""
    found = registry.register(registries.entry(tmp_path / "work", "applicants"))
    assert [found] == list(registry.versions())
    assert found == registry.version("1")
    registry.fetch("1", tmp_path / "back")
    assert ["candidate.json"] == [each.name for each in (tmp_path / "back").iterdir()]
    with registry._mlflow.asking() as client:
        listed = client.search_model_versions("name = 'applicants'")
        run = client.get_run(found.registry_run)
    assert (["1"], "FINISHED") == ([str(each.version) for each in listed], run.info.status)
    assert {"overall.roc_auc": 0.75} == run.data.metrics
    assert 1 == len(run.inputs.dataset_inputs)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_a_registration_that_ends_at_any_call_is_finished_by_the_next(
    mlflow: MlflowRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    after: bool,
) -> None:
    """Ended before or after any call, the next attempt leaves one version, complete."""
    former = getattr(MlflowClient, call)

    def ending(*args: Any, **kwargs: Any) -> None:
        if after:
            former(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(MlflowClient, call, ending)
    with pytest.raises(Killed):
        mlflow.register(registries.entry(tmp_path / "work", "applicants"))
    monkeypatch.undo()
    finished(mlflow, tmp_path)


def test_a_registration_whose_process_is_killed_is_finished_by_the_next(
    mlflow: MlflowRegistry, tmp_path: Path
) -> None:
    """The same with a process of its own that ends without a word."""
    words = [sys.executable, "-c", KILLED, str(tmp_path / "home"), "create_model_version", "after"]
    assert 9 == subprocess.run(words, check=False).returncode
    finished(mlflow, tmp_path)


def many(call: Callable[[], Any], times: int) -> list[Any]:
    """Call at once from several threads."""
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(call) for _ in range(times)]]


def test_a_first_registration_by_two_processes_makes_one_register(
    mlflow: MlflowRegistry, tmp_path: Path
) -> None:
    """Whoever makes the registered model first owns its register; the other joins it."""
    registers = many(mlflow._made_register, 4)
    assert 1 == len(set(registers))
