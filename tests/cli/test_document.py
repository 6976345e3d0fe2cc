"""`clew document` and `clew inventory` on a version that was really registered and watched."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.canonical import sha256_json
from pipelines.cli.document import document
from pipelines.cli.inventory import inventory
from pipelines.errors import BadRequest
from pipelines.layout import HOME_VARIABLE, State
from pipelines.records import ModelVersion
from pipelines.release import policy, promote
from pipelines.watch.findings import Finding, WatchReport
from pipelines.watch.places import Places
from tests import registries
from tests.conftest import git
from tests.release import cases, versions

RISK = """
risks:
  - {risk: people of a group are refused, checks: [bias], watch: [bias, drift], because: a test}
"""


@dataclass(frozen=True)
class Registered:
    """A bench with one champion, and the state that the command line works on."""

    bench: versions.Bench
    state: State
    version: ModelVersion


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    folder = tmp_path_factory.mktemp("documents")
    empty = registries.empty_database(tmp_path_factory.mktemp("empty"))
    registry = registries.embedded(folder / "home", cases.MODEL_NAME, empty)
    bench = versions.Bench(versions.template(folder / "clone"), registry)
    path = policy.pack_path(bench.layout, cases.PACK)
    path.write_text(path.read_text() + RISK)
    git(bench.layout.root, "commit", "--quiet", "--all", "--message", "risks")
    found = bench.registered()
    given = bench.approved(found)
    promote.run(bench.context, version="1", approval=given.id, person="Ada", reason="better")
    return Registered(bench, State(folder / "home"), found)


@pytest.fixture
def here(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> Registered:
    """Stand in the checkout, with its state."""
    monkeypatch.chdir(registered.bench.layout.root)
    monkeypatch.setenv(HOME_VARIABLE, str(registered.state.home))
    return registered


def watched(found: ModelVersion, state: State) -> WatchReport:
    """Keep a report of the watch: an alarm of bias, nothing about drift."""
    made = WatchReport(
        model_name=found.model_name,
        version=found.version,
        files_sha256=found.files_sha256,
        baseline_sha256=None,
        start="2026-10-01T00:00:00+00:00",
        end="2026-11-01T00:00:00+00:00",
        params_sha256=sha256_json({}),
        policy=cases.PACK,
        policy_sha256=sha256_json({}),
        profile_id=None,
        former_id=None,
        decisions=7,
        findings=(
            Finding(check="bias", of="blue", measure="ratio", status="alarm", said="low"),
            Finding(check="bias", of="old", measure="ratio", status="ok", said="fine"),
        ),
        tables={},
    )
    path = Places(state, found.model_name).watched.newest("2026-10-01--2026-11-01")
    path.parent.mkdir(parents=True)
    made.write(path)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(document, words)


def test_documents_and_inventory_know_the_same_version(here: Registered, tmp_path: Path) -> None:
    """Approver, risks with the last watch, and the inventory's row are those of the record."""
    before = run("technical-documentation", "1").output
    assert "bias: not watched yet, drift: not watched yet" in before
    report = watched(here.version, here.state)
    text = run("technical-documentation", "1").output
    assert f"bias: alarm (report {report.id[:12]}), drift: not watched yet" in text
    assert f"| Last window | {report.start} to {report.end}: 1 alarms" in text
    assert re.search(r"\| Signed by \| Ada \| approval [0-9a-f]{12} \|", text)
    assert f"{here.version.verdict_id}" in text
    (row,) = json.loads(CliRunner().invoke(inventory, ["--json"]).output)
    assert ("1", "champion", "Ada", None, report.id) == (
        row["version"],
        row["stage"],
        row["by"],
        row["decisions"],
        row["watched"]["report"],
    )
    out = tmp_path / "card.html"
    assert 0 == run("model-card", "1", "--format", "html", "--out", str(out)).exit_code
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_strict_refuses_while_something_is_missing(here: Registered) -> None:
    """What is not known is named, the place to say it is told, and the exit code is that of 2."""
    found = run("model-card", "1", "--strict")
    assert isinstance(found.exception, BadRequest)
    assert "Intended purpose" in str(found.exception)
    assert "params.yaml: documentation" in str(found.exception)
