"""What every DAG file promises."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines import flow
from tests.conftest import ROOT
from tests.dags.scenarios import TYPED

pytestmark = pytest.mark.airflow
HEAVY = {"pandas", "numpy", "sklearn", "scipy", "mlflow", "evidently", "dvc", "pyarrow", "skops"}
DAGS = {"prepare_data", "train_model", "promote_model"} | {
    "score_batch",
    "erase_subject",
    "stop_decisions",
    "watch_decisions",
    "audit_ledger",
}


def test_every_dag_file_loads(dags: dict[str, Any]) -> None:
    """Each file that is not shared code makes one DAG of its own name, and none fails to load."""
    files = {path.stem for path in (ROOT / "dags").glob("[!_]*.py")}
    assert {} == dags["import_errors"]
    assert DAGS <= files
    assert files == set(dags["dags"])


def test_parsing_loads_nothing_heavy(dags: dict[str, Any]) -> None:
    """Parsing the DAGs imports no library of data or models, Airflow's own imports included."""
    assert set() == HEAVY & set(dags["loaded"])
    assert "pipelines" in dags["loaded"]


def test_every_dag_says_whose_it_is_and_what_it_does(dags: dict[str, Any]) -> None:
    """Owner, tags and a description that leads to the docs are on every DAG."""
    for dag in dags["dags"].values():
        assert "clew" in dag["tags"]
        assert {"clew"} == {task["owner"] for task in dag["tasks"].values()}
        page = dag["doc"].rpartition(" ")[2].strip().rstrip(".")
        assert (ROOT / page).is_file(), page


def test_nothing_is_made_up_for_the_past(dags: dict[str, Any]) -> None:
    """No DAG runs for days that passed while it was paused; back-filling is asked for by hand."""
    assert {False} == {dag["catchup"] for dag in dags["dags"].values()}


def test_two_runs_of_a_dag_may_go_on_at_once(dags: dict[str, Any]) -> None:
    """Runs do not wait for one another: each has a worktree of its own."""
    assert all(dag["max_active_runs"] > 1 for dag in dags["dags"].values())


def test_one_place_says_what_is_tried_again(dags: dict[str, Any]) -> None:
    """Every task has the same retries, but the question to a person, which is asked once."""
    for dag in dags["dags"].values():
        for name, task in dag["tasks"].items():
            assert (0 if name == "approve" else 3) == task["retries"], name
    for path in (ROOT / "dags").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ('"retries"' in text) == (path.name == "_step_task.py"), path.name
        assert "retry_delay=" not in text, path.name


def test_tasks_are_named_as_the_steps(dags: dict[str, Any]) -> None:
    """Every step of the flow is a task of its name, and every file step trains."""
    names = {name for dag in dags["dags"].values() for name in dag["tasks"]}
    assert set(flow.NAMES) <= names
    training = dags["dags"]["train_model"]["tasks"]
    assert {step.name for step in flow.FILE_STEPS} <= set(training)


def test_each_check_is_a_task(dags: dict[str, Any]) -> None:
    """The checks of the grid are the files of the folder, each with a link to its report."""
    files = (ROOT / "pipelines" / "release" / "checks").glob("[!_]*.py")
    tasks = dags["dags"]["train_model"]["tasks"]
    found = {name for name in tasks if name.startswith("check.")}
    assert {f"check.{path.stem}" for path in files} == found
    assert all(["Report"] == tasks[name]["links"] for name in (*found, "gate"))
    assert ["MLflow run"] == tasks["register"]["links"]


def test_dags_link_to_the_pages_of_the_record(dags: dict[str, Any]) -> None:
    """Promotion leads to the history, the watch to its findings, a batch to its decisions."""
    linked = {
        (name, task): each["links"]
        for name, dag in dags["dags"].items()
        for task, each in dag["tasks"].items()
        if name != "train_model" and each["links"]
    }
    assert {
        ("promote_model", "promote"): ["Model history"],
        ("watch_decisions", "report"): ["Findings over windows"],
        ("score_batch", "score"): ["Decisions"],
    } == linked


def test_one_leaf_waits_for_every_check(dags: dict[str, Any]) -> None:
    """`passed` decides only when gate, registration and all checks have ended, and ends the run.

    With `all_success` a skipped registration would decide before the checks, and look green.
    """
    tasks = dags["dags"]["train_model"]["tasks"]
    checks = {name for name in tasks if name.startswith("check.")}
    assert "none_failed" == tasks["passed"]["rule"]
    assert {"gate", "register", *checks} == set(tasks["passed"]["upstream"])
    above = {name for task in tasks.values() for name in task["upstream"] if not task["teardown"]}
    leaves = {name for name in tasks if name not in above and not tasks[name]["teardown"]}
    assert {"publish"} == leaves


def test_only_approvers_are_asked(dags: dict[str, Any]) -> None:
    """The question goes to the users whose role is `user`, and nobody's answer is made up."""
    for name in ("promote_model", "erase_subject"):
        approve = dags["dags"][name]["tasks"]["approve"]
        assert [{"id": "pat", "name": "pat"}] == approve["assigned"]
        assert approve["defaults"] is None
        assert "None" != approve["timeout"]


@pytest.mark.parametrize("number", range(len(TYPED)))
def test_the_form_knows_what_may_be_typed(dags: dict[str, Any], number: int) -> None:
    """A form takes what its schema allows and refuses the rest before anything runs."""
    dag, fields, taken = TYPED[number]
    assert taken == dags["accepts"][number], (dag, fields)
