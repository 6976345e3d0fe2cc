"""The step `register`: what the gate judged, and nothing else, with everything it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.canonical import sha256_file, sha256_tree
from pipelines.errors import BadRequest, ClewError, GateRefused, IntegrityBroken, NotThere
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Model
from pipelines.model import store
from pipelines.model.energy import Energy
from pipelines.ports import Tag
from pipelines.records import Candidate, Champion, Verdict
from pipelines.release import policy, register, shown
from pipelines.release.check import record_path
from pipelines.release.version_files import VersionFiles
from pipelines.typed import read_json
from tests.release import cases
from tests.release.versions import Bench


def test_a_passed_candidate_gets_a_version_once(bench: Bench) -> None:
    """Registered twice, the same candidate of the same run is one version."""
    first = bench.registered()
    assert (first, [first]) == (register.run(bench.context), list(bench.registry.versions()))


def test_the_version_is_bound_to_what_was_judged(bench: Bench, tmp_path: Path) -> None:
    """Candidate, model, verdict, run and files stand in the record; the files come back so."""
    found = bench.registered()
    verdict = read_json(bench.layout.verdict, Verdict)
    candidate = read_json(Model(bench.layout.candidate).record, Candidate)
    assert (candidate.id, candidate.model_sha256, verdict.id, "train-1") == (
        found.candidate_id,
        found.model_sha256,
        found.verdict_id,
        found.run_id,
    )
    bench.registry.fetch("1", tmp_path / "back")
    assert found.files_sha256 == sha256_tree(tmp_path / "back")
    assert found.model_sha256 == sha256_file(VersionFiles(tmp_path / "back").model)


def test_only_a_runs_candidate_is_registered(quick: Bench) -> None:
    """Outside a run there is no commit to name."""
    quick.judged()
    with pytest.raises(BadRequest):
        register.run(replace(quick.context, run=None))


def spoil(bench: Bench, what: str) -> None:
    """Change one thing after the verdict was given."""
    layout = bench.layout
    if what == "candidate":
        bench.candidate("another")
    elif what == "params":
        layout.params.write_text(layout.params.read_text().replace("seed: 11", "seed: 12"))
    elif what == "policy":
        path = policy.pack_path(layout, cases.PACK)
        path.write_text(path.read_text().replace("min_rows: 100", "min_rows: 1"))
    elif what == "champion":
        champion = Champion(state="version", model_name="applicants", version="9")
        champion.write(layout.champion_record)
    elif what == "a check":
        path = record_path(layout, "bias")
        path.write_text(path.read_text().replace("0.70", "0.90"))
    elif what == "a missing check":
        record_path(layout, "bias").unlink()
    elif what == "the verdict's word":
        blocked = read_json(layout.verdict, Verdict)
        msgspec.structs.replace(blocked, passed=not blocked.passed, blocked_by=()).write(
            layout.verdict
        )


@pytest.mark.parametrize(
    "what",
    ["candidate", "params", "policy", "champion", "a check", "a missing check"],
)
def test_a_verdict_about_something_else_registers_nothing(quick: Bench, what: str) -> None:
    """Changed after the verdict, it is not what was judged."""
    quick.judged()
    spoil(quick, what)
    with pytest.raises(GateRefused, match="not about this candidate"):
        register.run(quick.context)
    assert [] == list(quick.registry.versions())


def test_a_verdict_rewritten_by_hand_registers_nothing(quick: Bench) -> None:
    """A blocked verdict turned into a passed one is given again, and found out."""
    assert not quick.judged(outcome="fail").passed
    spoil(quick, "the verdict's word")
    with pytest.raises(GateRefused):
        register.run(quick.context)
    assert [] == list(quick.registry.versions())


def test_a_champion_record_changed_with_all_its_traces_is_refused_at_promotion(
    quick: Bench,
) -> None:
    """Each bound field is compared by itself: none hides behind another."""
    verdict = quick.judged()
    for name in register.BOUND:
        value = getattr(verdict, name)
        other: Any = {"x": "y"} if isinstance(value, dict) else "other"
        changed = msgspec.structs.replace(
            verdict, **{name: not value if isinstance(value, bool) else other}
        )
        assert register.unbound(changed, verdict) is not None, name
    assert register.unbound(verdict, verdict) is None


def broken(bench: Bench, what: str) -> Path:
    """Return the file whose bytes are changed."""
    layout = bench.layout
    return {
        "model": Model(layout.candidate).model,
        "test part": layout.split_rows("test"),
        "rows": layout.snapshot_rows,
        "lock": layout.model_lock,
        "metrics": EvaluationFiles(layout.evaluation).metrics,
    }[what]


@pytest.mark.parametrize("what", ["model", "test part", "rows", "lock", "metrics"])
def test_a_changed_file_is_an_alarm(quick: Bench, what: str) -> None:
    """Bytes that are not what their record says are no refusal but a broken chain."""
    quick.judged()
    path = broken(quick, what)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(IntegrityBroken):
        register.run(quick.context)
    assert [] == list(quick.registry.versions())


@pytest.mark.parametrize("name", ["training", "environment", "record", "model"])
def test_a_missing_file_registers_nothing(quick: Bench, name: str) -> None:
    """A candidate without all of its files is not registered."""
    quick.judged()
    getattr(Model(quick.layout.candidate), name).unlink()
    with pytest.raises(ClewError):
        register.run(quick.context)
    assert [] == list(quick.registry.versions())


def test_a_snapshot_that_dvc_does_not_keep_is_not_named(quick: Bench) -> None:
    """Without DVC's address of the data nothing is registered."""
    quick.judged()
    (quick.layout.root / "dvc.lock").unlink()
    with pytest.raises(NotThere):
        register.run(quick.context)


@pytest.mark.parametrize("bench", ["mlflow"], indirect=True)
def test_mlflow_shows_everything_a_version_came_from(bench: Bench) -> None:
    """Tags on run and version, params, metrics, reports, pictures, data set and model."""
    found = bench.registered()
    registry = bench.registry
    assert isinstance(registry, MlflowRegistry)
    with registry._mlflow.asking() as client:
        run = client.get_run(found.registry_run)
        version = client.get_model_version("applicants", "1")
        store_of_run = registry._mlflow.artifacts(run.info.artifact_uri)
        plots = [each.path for each in store_of_run.list_artifacts("reports/plots")]
        evaluated = [each.path for each in store_of_run.list_artifacts("reports/evaluate")]
        documents = [each.path for each in store_of_run.list_artifacts("reports/documents")]
        model = registry._mlflow.artifacts(client.get_model_version_download_uri("applicants", "1"))
        files = {each.path for each in model.list_artifacts("version")}
    wanted = set(Tag) - {Tag.BLOCKED_BY, Tag.ASKED}  # a person asked for this run
    assert set() == {str(tag) for tag in wanted} - set(run.data.tags)
    assert set() == {str(tag) for tag in wanted} - set(version.tags)
    assert ("scheduled__2026", "0123456789abcdef.dir") == (
        version.tags[Tag.AIRFLOW_RUN],
        version.tags[Tag.DATA_MD5],
    )
    assert {"reports/plots/roc.csv", "reports/plots/roc.png"} <= set(plots)
    assert not [path for path in evaluated if path.endswith(".parquet")]
    assert {"version/model.skops", "version/model.lock", "version/environment.json"} <= files
    assert "7" == run.data.params["recipe.seed"]
    assert 0.6 == run.data.metrics["attributes.colour.groups.blue.measures.selection_rate.value"]
    assert run.data.metrics["training.kwh"] > 0.0
    assert run.data.metrics["training.cpu_seconds"] > 0.0
    assert "training.energy" in run.data.params
    assert 1 == len(run.inputs.dataset_inputs)
    assert "| bias | pass |" in version.description
    assert "reports/documents/model-card.html" in version.description
    assert "reports/documents/model-card.html" in documents


@pytest.mark.parametrize("bench", ["mlflow"], indirect=True)
def test_a_blocked_candidate_is_shown_without_a_version(bench: Bench) -> None:
    """People see in MLflow's list what was blocked, and by which check."""
    bench.judged(outcome="fail")
    assert register.run(bench.context) is None
    registry = bench.registry
    assert isinstance(registry, MlflowRegistry)
    with registry._mlflow.asking() as client:
        experiment = client.get_experiment_by_name("applicants")
        found = client.search_runs([experiment.experiment_id], "tags.`clew.verdict` = 'blocked'")
    assert (1, "FAILED") == (len(found), found[0].info.status)
    assert "bias" in found[0].data.tags[Tag.BLOCKED_BY].split(", ")
    assert [] == list(registry.versions())


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (
            {"method": "estimated (CPU time)", "watts": 15.0},
            "estimated (CPU time), 15 watts a busy core",
        ),
        (
            {"method": "measured (RAPL, whole packages)", "watts": None},
            "measured (RAPL, whole packages)",
        ),
    ],
)
def test_the_cost_of_training_says_how_it_is_known(
    quick: Bench, cost: dict[str, Any], said: str
) -> None:
    """A measured figure and an estimate are told apart; nothing measured shows nothing."""
    layout = quick.layout
    Energy(cpu_seconds=2.0, wall_seconds=3.0, kwh=1e-5, **cost).write(layout.training_energy)
    metrics, known_by = shown.training_cost(layout)
    expected = {
        "training.cpu_seconds": 2.0,
        "training.wall_seconds": 3.0,
        "training.kwh": 1e-5,
    }
    assert (expected, {"training.energy": said}) == (metrics, known_by)
    layout.training_energy.unlink()
    assert ({}, {}) == shown.training_cost(layout)


def test_the_registered_model_is_loaded_by_our_own_list_of_types(
    quick: Bench, tmp_path: Path
) -> None:
    """The file that comes back from the registry is the model, loaded with its digest."""
    found = quick.registered()
    quick.registry.fetch("1", tmp_path / "back")
    assert store.load(VersionFiles(tmp_path / "back").model, found.model_sha256) is not None


# what is shown


def test_groups_whose_names_differ_by_a_sign_stay_two_metrics(quick: Bench) -> None:
    """A character that MLflow refuses becomes its code, not one sign for all."""
    quick.judged()
    found = shown.flat_metrics(EvaluationFiles(quick.layout.evaluation).metrics)
    of = "attributes.colour.groups"
    name = "measures.selection_rate.value"
    assert (0.8125, 0.6, 0.7) == (
        found["overall.measures.roc_auc.value"],
        found[f"{of}.blue.{name}"],
        found[f"{of}._x3cgreen_x3e.{name}"],
    )


def test_the_input_example_is_nobodys_row() -> None:
    """The example comes from the contract's ranges and allowed values alone."""
    found = shown.example(cases.CONTRACT, ("income", "debt", "job", "answer", "made_up"))
    assert {"income": 0.0, "debt": 0.0, "job": "text", "answer": 0.0, "made_up": 0.0} == found


def test_words_out_of_the_data_cannot_become_markup(quick: Bench) -> None:
    """A reason that quotes a group's name is shown as text."""
    version = quick.registered()
    verdict = msgspec.structs.replace(
        read_json(quick.layout.verdict, Verdict),
        passed=False,
        blocked_by=("the group <script>alert(1)</script> fails",),
    )
    candidate = read_json(Model(quick.layout.candidate).record, Candidate)
    assert "<script>" not in shown.description(version, verdict, candidate)
