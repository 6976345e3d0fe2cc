"""The main job through a real scheduler, and what must hold after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.layout import Layout, State
from pipelines.ports import Tag
from pipelines.records import Verdict
from pipelines.typed import read_json
from tests.conftest import ROOT, copy_of_tree, git
from tests.dags.conftest import airflow_environment, python
from tests.e2e import after

pytestmark = [pytest.mark.e2e, pytest.mark.airflow, pytest.mark.timeout(1500)]
LAND = "examples/boston_mortgages/land.py"
MODEL = "boston-mortgages"


class Played:
    """The state of a machine on which the demo has run."""

    def __init__(self, folder: Path) -> None:
        (folder / "clone").mkdir()
        self.clone = copy_of_tree(folder / "clone")
        self.state = State(folder / "var")
        self.state.home.mkdir()
        shared = ROOT / "var" / "environments"
        shared.mkdir(parents=True, exist_ok=True)
        self.state.environments.symlink_to(shared)
        (self.clone / "README.md").write_text("not committed")
        self.before = self.checkout()
        self.said = ""
        self.clew("init")
        words = ["--land", LAND, "--candidate", "naive", "--candidate", "fair", "--no-serve"]
        self.printed = self.clew("demo", *words)
        self.told = self.said

    def checkout(self) -> tuple[str, str]:
        """Return what the user's checkout holds."""
        return git(self.clone, "rev-parse", "HEAD"), git(self.clone, "status", "--porcelain")

    def run(self, *command: str, cwd: Path | None = None, home: Path | None = None) -> str:
        """Run a program of the virtual environment in a clone; return its stdout."""
        done = self.done(*command, cwd=cwd, home=home)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        self.said = done.stderr
        return done.stdout

    def done(
        self, *command: str, cwd: Path | None = None, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program and return how it ended."""
        folder = cwd or self.clone
        own = {"CLEW_HOME": str(home or self.state.home), "PYTHONPATH": str(folder)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=os.environ | own | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    def clew(self, *words: str) -> str:
        """Run one command and return what it printed."""
        return self.run("pipelines.cli", *words)

    def asked(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command and return how it ended."""
        return self.done("pipelines.cli", *words)

    def snapshot_of(self, run: str) -> int:
        """Return how many rows the snapshot of a run has."""
        commit = git(self.clone, "rev-parse", f"refs/clew/runs/{run}")
        told = self.clew("task", "snapshot", "--run-id", run, "--commit", commit)
        return int(json.loads(told.splitlines()[-1])["rows"])

    def naive_run(self) -> str:
        """Return the reference of the run whose candidate was blocked."""
        names = git(self.clone, "for-each-ref", "--format=%(refname)", "refs/clew/runs")
        found = [
            name
            for name in names.splitlines()
            if "candidate: naive" in git(self.clone, "show", f"{name}:params.yaml")
        ]
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Play the demo once for all tests of this file."""
    return Played(tmp_path_factory.mktemp("demo"))


def test_the_naive_candidate_is_blocked_and_the_fair_one_promoted(played: Played) -> None:
    """The closing table: one blocked by bias and without a version, one passed as version 1."""
    rows = [line.split() for line in played.printed.splitlines()]
    head = next(row for row in rows if row[:1] == ["candidate"])
    table = {
        row[0]: dict(zip(head, row, strict=True))
        for row in rows
        if row[:1] in (["naive"], ["fair"])
    }
    assert ("BLOCKED", "-", "fail") == tuple(
        table["naive"][name] for name in ("verdict", "version", "bias")
    )
    assert ("passed", "1", "pass") == tuple(
        table["fair"][name] for name in ("verdict", "version", "bias")
    )


def test_history_names_who_approved_and_why(played: Played) -> None:
    """Who is champion, since when, by whom and on which verdict is one command away."""
    (tenure,) = json.loads(played.clew("history", "--json"))
    assert ("1", "approver", None) == (tenure["version"], tenure["person"], tenure["until"])
    assert tenure["approval_id"]
    assert tenure["reason"].strip()


def test_every_thread_of_a_version_is_a_tag_in_mlflow(played: Played) -> None:
    """Run, commit, data, model, environment, parameters and verdict are searchable in the UI."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{played.state.mlflow_database}")
    version = client.get_model_version(MODEL, "1")
    needed = {tag.value for tag in Tag} - {Tag.BLOCKED_BY.value, Tag.ASKED.value}
    assert set() == needed - set(version.tags)
    commit = version.tags[Tag.COMMIT.value]
    found = client.search_model_versions(f"tags.`{Tag.COMMIT.value}` = '{commit}'")
    assert ["1"] == [str(each.version) for each in found if each.name == MODEL]
    blocked = client.search_runs(
        [each.experiment_id for each in client.search_experiments()],
        f"tags.`{Tag.VERDICT.value}` = 'blocked'",
    )
    assert 1 == len(blocked)


def test_the_users_checkout_is_untouched(played: Played) -> None:
    """Four runs later, branch and files are as they were, work that is not committed included."""
    assert played.before == played.checkout()


def test_a_run_comes_back_by_its_commit_and_dvc_pull(played: Played, tmp_path: Path) -> None:
    """A fresh clone at a run's commit gets data, split, model and reports back from the remote."""
    tip = git(played.clone, "rev-parse", played.naive_run())
    clone = tmp_path / "again"
    git(tmp_path, "clone", "--quiet", "--no-checkout", str(played.clone), str(clone))
    git(clone, "fetch", "--quiet", "origin", "refs/clew/runs/*:refs/clew/runs/*")
    git(clone, "checkout", "--quiet", tip)
    (clone / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = clew\n['remote \"clew\"']\n    url = {played.state.dvc_remote}\n"
    )
    played.run("dvc", "pull", "--quiet", cwd=clone)
    verdict = read_json(Layout(clone).verdict, Verdict)
    assert (False, ["bias", "faithfulness", "scenarios", "sensitivity"]) == (
        verdict.passed,
        [name for name, outcome in verdict.outcomes.items() if outcome == "fail"],
    )
    assert Layout(clone).split_rows("test").exists()


def test_dvc_repro_gives_the_verdict_that_airflow_gave(played: Played, tmp_path: Path) -> None:
    """On a laptop of its own, with nothing cached, the same commit ends in the same verdict."""
    run = played.naive_run()
    first = git(played.clone, "rev-list", "--reverse", "--grep", "^Clew-Run: train", run).split()[0]
    airflow = json.loads(_pulled(played, run, tmp_path / "pulled"))
    clone, home = tmp_path / "laptop", tmp_path / "home"
    git(tmp_path, "clone", "--quiet", "--no-checkout", str(played.clone), str(clone))
    git(clone, "fetch", "--quiet", "origin", "refs/clew/runs/*:refs/clew/runs/*")
    git(clone, "checkout", "--quiet", first)
    git(clone, "rm", "--quiet", "--cached", "dvc.lock")
    (clone / "dvc.lock").unlink()
    home.mkdir()
    (home / "environments").symlink_to(ROOT / "var" / "environments")
    played.run("pipelines.cli", "init", cwd=clone, home=home)
    played.run("dvc", "remote", "add", "--local", "demo", str(played.state.dvc_remote), cwd=clone)
    played.run("dvc", "pull", "--quiet", "-r", "demo", "data/landed.dvc", cwd=clone, home=home)
    played.run("dvc", "repro", cwd=clone, home=home)
    laptop = json.loads(Layout(clone).verdict.read_text())
    assert airflow["outcomes"] == laptop["outcomes"]
    assert airflow["model_sha256"] == laptop["model_sha256"]
    assert airflow["blocked_by"] == laptop["blocked_by"]


def _pulled(played: Played, reference: str, folder: Path) -> str:
    """Return the text of a run's verdict, from the remote by its digest in dvc.lock."""
    import yaml

    stages = yaml.safe_load(git(played.clone, "show", f"{reference}:dvc.lock"))["stages"]
    digest = stages["gate"]["outs"][0]["md5"]
    return (played.state.dvc_remote / "files" / "md5" / digest[:2] / digest[2:]).read_text()


def test_lineage_leads_from_the_version_to_the_landed_file(played: Played) -> None:
    """The thread from version 1 reaches back to what was landed and forward to its promotion."""
    rows = json.loads(played.clew("lineage", f"{MODEL}/1", "--json"))
    steps = {row["step"] for row in rows}
    assert {
        "ingest",
        "validate",
        "snapshot",
        "split",
        "train",
        "gate",
        "register",
        "promote",
    } <= steps


def test_decisions_were_recorded_and_an_edit_was_caught(played: Played) -> None:
    """200 applications were decided on the record; the log verifies, its edited copy does not."""
    lines = (played.state.home / "demo" / "decisions.jsonl").read_text().splitlines()
    decided = [json.loads(line)["decision"] for line in lines]
    assert 200 == len(decided)
    assert {"approve", "decline"} <= set(decided)
    assert "fine" in played.clew("verify")
    assert "TAMPERED" in played.told
    assert "exit 1" in played.told


def test_a_shifted_month_was_caught_and_ended_in_a_retrain_through_the_gate(
    played: Played,
) -> None:
    """The watch alarmed, people were told, and the run it asked for carries why to its version."""
    from mlflow import MlflowClient

    assert "the watch alarms: " in played.told
    assert " 0 alerts delivered" not in played.told
    assert "a retrain was asked for: train_model asset_triggered__" in played.told
    client = MlflowClient(f"sqlite:///{played.state.mlflow_database}")
    asked = [
        found.tags[Tag.ASKED.value]
        for found in client.search_model_versions(f"name = '{MODEL}'")
        if Tag.ASKED.value in found.tags
    ]
    assert 1 == len(asked)
    assert asked[0].startswith(f"{MODEL}/1/")
    pages = list((played.state.watch / MODEL).rglob("*.evidently.html"))
    assert 1 == len(pages)
    assert list((played.state.watch / ".evidently").rglob("snapshots/*.json"))


def test_undo_refuses_when_there_is_nothing_to_go_back_to(played: Played) -> None:
    """The first champion has no predecessor: undo says so and changes nothing."""
    registry = wiring.registry(played.state)(MODEL)
    before = dict(registry.aliases())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            "undo",
            "--person",
            "ada",
            "--reason",
            "x",
            "--yes",
        ],
        cwd=played.clone,
        env=os.environ | {"CLEW_HOME": str(played.state.home), "PYTHONPATH": str(played.clone)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (2, before) == (done.returncode, dict(registry.aliases()))


def test_a_killed_batch_goes_on_where_the_ledger_ends(played: Played) -> None:
    """A batch killed outright and started again decides about everybody once, and nobody twice."""
    file, out = played.state.landing / "applications.csv", played.state.home / "demo" / "all.jsonl"
    words = ["score", str(file), "--out", str(out), "--batch", "killed"]
    before, rows = after.entries(played.state), len(file.read_text().splitlines()) - 1
    assert -9 == after.killed_at(played.state, played.clone, words, 300)
    cut = after.entries(played.state) - before
    assert 300 <= cut < rows
    assert not out.exists()
    played.clew(*words)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows == len(lines) == len({line["decision_id"] for line in lines})
    assert before + rows == after.entries(played.state)
    assert "fine" in played.clew("verify")


def test_a_dag_scores_a_landed_file(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """score_batch decides about a file through Airflow, beside a challenger, and announces it.

    The second run of the same file announces nothing and records nothing.
    """
    lines = (played.state.landing / "applications.csv").read_text().splitlines()
    some = played.state.landing / "may" / "some.csv"
    some.parent.mkdir()
    some.write_text("\n".join([*lines[:1], *lines[-30:]]) + "\n")
    monkeypatch.setenv("CLEW_HOME", str(played.state.home))
    environment = airflow_environment(tmp_path / "airflow", played.clone, ROOT / "dags")
    code = "from airflow.utils import db; db.initdb()"
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    conf = {"file": "may/some.csv", "format": "jsonl", "challenger": "1"}
    first, again = python("runner.py", environment, [{"dag": "score_batch", "conf": conf}] * 2)
    assert ("success", "success", 1) == (first["state"], again["state"], len(first["events"]))
    assert [] == again["events"]
    told = first["events"][0]["extra"]
    assert ("30", "1") == (told["rows"], told["version"])
    decided = [json.loads(line) for line in Path(told["out"]).read_text().splitlines()]
    assert 30 == len({line["decision_id"] for line in decided})
    played.clew("export", decided[0]["subject"], "--person", "ada", "--out", str(tmp_path / "x"))
    export = json.loads((tmp_path / "x" / "export.json").read_text())
    made = [each["content"]["decided"] for each in export["records"] if each["kind"] == "decision"]
    assert ["1"] == [each["shadow"]["model"]["version"] for each in made if each["shadow"]]


def test_after_an_erasure_a_search_finds_only_what_is_named(played: Played) -> None:
    """No file of the state holds the person, but versioned data that the answer names as held.

    The files that landed, and what was written by hand, are the owner's to clean.
    """
    state = played.state
    words = after.unlike_others(state.landing / "applications.csv")
    pack = played.clone / "policies" / "us-mortgage-2026-11.yaml"
    floor = "  decision:\n    months: "
    pack.write_text(pack.read_text().replace(f"{floor}25", f"{floor}-1"))
    yours = (state.landing, state.home / "demo")
    before = after.naming(state.home, *words)
    erase = ["erase", words[0], "--person", "ada", "--reason", "they asked", "--yes", "--json"]
    answer = json.loads(played.clew(*erase))
    assert answer["erased"] >= 1
    assert answer["left_out"]
    named = after.held(state, played.clone, answer["training_data"][0]["runs"])
    left = {
        path
        for path in after.naming(state.home, *words)
        if not any(path.is_relative_to(folder) for folder in yours)
    }
    assert left
    assert left < before
    assert set() == left - named
    assert [["1", "2"]] == [each["versions"] for each in answer["training_data"]]
    assert all(each["until"] for each in answer["training_data"])
    assert "parts erased by tombstone" in played.clew("verify")
    former = answer["training_data"][0]["runs"][0]
    refused = played.asked("retrain", "--data", former, "--dry-run")
    assert (4, True) == (refused.returncode, "people who were erased" in refused.stderr)
    done = json.loads(played.clew("ingest", "--json"))
    assert played.snapshot_of(former) - 1 == done["rows"]


def test_it_ends_with_a_declined_applicant_s_page_on_a_real_replay(played: Played) -> None:
    """The last lines name a decision's page and its replay: identical, recorded, and sealed."""
    lines = [line.split() for line in played.printed.splitlines()]
    page, replay = (
        next(words[-1] for words in lines if words[:2] == start.split())
        for start in ("declined applicant", "replay of")
    )
    assert "replayed: identical" in played.told
    number, _, receipt = replay.rpartition("/record/decisions/")[2].partition("/replays/")
    assert page.endswith(f"/record/decisions/{number}")
    ledger = wiring.ledger(played.state)
    try:
        kept = json.loads(ledger.read(bytes.fromhex(receipt)).content)
        decision = json.loads(ledger.read(bytes.fromhex(number)).content)
    finally:
        ledger.close()
        ledger.store.close()
    assert ("identical", number) == (kept["result"], kept["decision_id"])
    assert "decline" == decision["decided"]["outcome"]


def test_mlflow_leads_from_a_version_to_its_report_and_to_the_pages(played: Played) -> None:
    """The description of a version starts with links to its report and to who promoted it."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{played.state.mlflow_database}")
    first = str(client.get_model_version(MODEL, "1").description).splitlines()[0]
    assert "/artifacts/reports/checks/index.html)" in first
    assert "/record/models)" in first
