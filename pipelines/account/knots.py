"""The knots of a thread: what a decision rests on, each bound to the one that names it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipelines.account.original import Original
from pipelines.canonical import sha256_bytes, sha256_file
from pipelines.decisions.record import Decision
from pipelines.errors import IntegrityBroken
from pipelines.layout import Layout
from pipelines.records import Candidate, Environment, Record, Snapshot, Split, Verdict
from pipelines.typed import read_json


class Knot(Record, frozen=True):
    """One thing that the decision rests on: what it is, its content id, a few words, a link.

    `of` are the kinds of the knots that it came from.
    """

    kind: str
    id: str
    told: str
    link: str = ""
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses that links start with; empty where nothing runs.

    `airflow_run` gives the id that Airflow knows a run by; empty for a run it did not start.
    """

    mlflow: str = ""
    airflow: str = ""
    airflow_run: Callable[[str], str] = lambda _: ""

    def version(self, name: str, version: str) -> str:
        """Return the page of a model version."""
        path = f"#/models/{quote(name, safe='')}/versions/{quote(version)}"
        return f"{self.mlflow}/{path}" if self.mlflow else ""

    def run(self, run: str) -> str:
        """Return the page of an MLflow run."""
        return f"{self.mlflow}/#/runs/{quote(run)}" if self.mlflow else ""

    def report(self, run: str, path: Path) -> str:
        """Return the address of a file of an MLflow run."""
        asked = f"get-artifact?path={quote(path.as_posix(), safe='')}&run_uuid={quote(run)}"
        return f"{self.mlflow}/{asked}" if self.mlflow else ""

    def dag_run(self, run_id: str) -> Knot | None:
        """Return the DAG run; a run that Airflow started is named after its DAG."""
        dag, _, rest = run_id.partition("__")
        name = self.airflow_run(run_id) if self.airflow and rest else ""
        link = f"{self.airflow}/dags/{dag}/runs/{quote(name, safe='')}"
        return Knot(kind="DAG run", id=name, told="Airflow", link=link) if name else None


@dataclass(frozen=True, slots=True)
class Records:
    """The records in a version's folder, each checked against what names it."""

    candidate: Candidate
    environment: Environment
    snapshot: Snapshot
    split: Split
    verdict: Verdict


def records(version: Original, made: Decision) -> Records:
    """Read a version's records. Raises IntegrityBroken where the chain to the decision breaks."""
    files, origin = version.files, made.origin
    found = Records(
        candidate=read_json(files.record, Candidate),
        environment=read_json(files.environment, Environment),
        snapshot=read_json(files.snapshot, Snapshot),
        split=read_json(files.split, Split),
        verdict=read_json(files.verdict, Verdict),
    )
    for what, observed, expected in (
        ("the candidate", version.record.candidate_id, made.decided.model.candidate_id),
        ("the snapshot", _id(files.snapshot), origin.snapshot_id),
        ("the candidate's snapshot", found.candidate.snapshot_id, origin.snapshot_id),
        ("the environment", _id(files.environment), origin.environment_id),
        ("the candidate's environment", found.candidate.environment_id, origin.environment_id),
        ("the lock", sha256_file(files.lock), found.environment.lock_sha256),
        ("the split", _id(files.split), found.candidate.split_id),
        ("the contract", _id(files.contract), found.snapshot.contract_sha256),
        ("the policy pack", found.verdict.policy_sha256, origin.policy_sha256),
    ):
        if observed != expected:
            raise IntegrityBroken(
                f"{what} of a decision's version is not what the records say",
                where=f"{version.record.model_name} version {version.record.version}",
                observed=observed,
                expected=expected,
            )
    return found


def knots(version: Original, made: Decision, servers: Servers) -> Iterator[Knot]:
    """Yield what a decision rests on, from the promotion back to the files as received."""
    found, record, origin = records(version, made), version.record, made.origin
    yield from _people(version, found.verdict, servers)
    yield Knot(
        kind="model",
        id=record.model_sha256,
        told=f"{found.candidate.recipe}, {found.candidate.estimator}",
        of=("run",),
    )
    yield Knot(
        kind="run",
        id=record.run_id,
        told=f"MLflow run {record.registry_run[:12]}",
        link=servers.run(record.registry_run),
        of=("split", "commit", "environment"),
    )
    if found_run := servers.dag_run(record.run_id):
        yield found_run
    parts = ", ".join(f"{name} {part.rows}" for name, part in found.split.parts.items())
    yield Knot(kind="split", id=found.candidate.split_id, told=f"rows: {parts}", of=("snapshot",))
    yield Knot(
        kind="snapshot",
        id=origin.snapshot_id,
        told=f"{found.snapshot.rows} rows accepted, {found.snapshot.refused} refused",
        of=("landed files", "contract"),
    )
    yield Knot(kind="contract", id=found.snapshot.contract_sha256, told="of the data")
    yield Knot(kind="landed files", id=found.snapshot.landed_id, told="as received")
    yield Knot(kind="commit", id=record.commit, told=f"git show {record.commit[:12]}")
    environment = found.environment
    yield Knot(
        kind="environment",
        id=origin.environment_id,
        told=f"Python {environment.python}, {environment.machine}, {len(environment.packages)} "
        "packages",
        of=("lock",),
    )
    yield Knot(kind="lock", id=environment.lock_sha256, told="hash-pinned packages")


def _people(version: Original, verdict: Verdict, servers: Servers) -> Iterator[Knot]:
    """Yield who made the version decide, on which word, on which verdict."""
    record, promotion, approval = version.record, version.promotion, version.approval
    yield Knot(
        kind="promotion",
        id=promotion.id,
        told=f"by {promotion.person}, {minute(promotion.at)}",
        of=("version", "approval") if approval else ("version",),
    )
    if approval:
        yield Knot(
            kind="approval",
            id=approval.id,
            told=f"by {approval.person}, {minute(approval.at)}",
            of=("verdict",),
        )
    yield Knot(
        kind="version",
        id=record.files_sha256,
        told=f"{record.model_name} version {record.version}",
        link=servers.version(record.model_name, record.version),
        of=("model", "verdict"),
    )
    yield Knot(
        kind="verdict",
        id=record.verdict_id,
        told="passed" if verdict.passed else "blocked",
        link=servers.report(record.registry_run, Layout(Path()).verdict),
        of=("model", "policy"),
    )
    yield Knot(kind="policy", id=verdict.policy_sha256, told=verdict.policy)


def minute(at: str) -> str:
    """Return a recorded time as a person reads it, to the minute, in UTC."""
    return f"{dt.datetime.fromisoformat(at).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _id(path: Path) -> str:
    """Return the content id of a record from its file's bytes."""
    return sha256_bytes(path.read_bytes().rstrip(b"\n"))
