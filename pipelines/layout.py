"""Every path, key, asset and tag name, in one place: moving an artefact is one edit here.

`Layout` is a checkout (the user's, or a run's own worktree): files that DVC versions.
`State` is everything else a machine keeps: one folder, chosen by ``CLEW_HOME``.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadRequest, NotThere

HOME_VARIABLE = "CLEW_HOME"
RUN_REFS = "refs/clew/runs"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one checkout. Everything under data, models and reports is a stage's output."""

    root: Path

    @property
    def contract(self) -> Path:
        return self.root / "contract.yaml"

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def policies(self) -> Path:
        return self.root / "policies"

    @property
    def model_lock(self) -> Path:
        return self.root / "infra" / "locks" / "model.lock"

    # ingest
    @property
    def landed(self) -> Path:
        return self.root / "data" / "landed"

    @property
    def landed_record(self) -> Path:
        return self.landed / "landed.json"

    # validate
    @property
    def valid(self) -> Path:
        return self.root / "data" / "valid"

    @property
    def refused(self) -> Path:
        return self.root / "data" / "refused"

    @property
    def validation_report(self) -> Path:
        return self.root / "reports" / "validate"

    # snapshot
    @property
    def snapshot(self) -> Path:
        return self.root / "data" / "snapshot"

    @property
    def snapshot_record(self) -> Path:
        return self.snapshot / "snapshot.json"

    @property
    def snapshot_contract(self) -> Path:
        return self.snapshot / "contract.json"

    @property
    def snapshot_rows(self) -> Path:
        return self.snapshot / "rows.parquet"

    # split
    @property
    def split(self) -> Path:
        return self.root / "data" / "split"

    @property
    def split_record(self) -> Path:
        return self.split / "split.json"

    def split_rows(self, part: str) -> Path:
        return self.split / f"{part}.parquet"

    # train
    @property
    def candidate(self) -> Path:
        return self.root / "models" / "candidate"

    @property
    def training_energy(self) -> Path:
        return self.root / "reports" / "train" / "energy.json"

    # champion: the model in force when the run judged, pinned beside what it is compared with
    @property
    def champion(self) -> Path:
        return self.root / "models" / "champion"

    @property
    def champion_record(self) -> Path:
        return self.champion / "champion.json"

    @property
    def champion_profile(self) -> Path:
        return self.champion / "profile.json"

    # evaluate
    @property
    def evaluation(self) -> Path:
        return self.root / "reports" / "evaluate"

    @property
    def plots(self) -> Path:
        return self.root / "reports" / "plots"

    # check, gate
    @property
    def checks(self) -> Path:
        return self.root / "reports" / "checks"

    @property
    def verdict(self) -> Path:
        return self.root / "reports" / "gate" / "verdict.json"


@dataclass(frozen=True, slots=True)
class Model:
    """The files of one model folder: a candidate's, or a champion's copy of one."""

    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "candidate.json"

    @property
    def model(self) -> Path:
        return self.folder / "model.skops"

    @property
    def environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def training(self) -> Path:
        return self.folder / "training.json"

    @property
    def reference(self) -> Path:
        return self.folder / "reference.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The files that `evaluate` writes."""

    folder: Path

    @property
    def scores(self) -> Path:
        return self.folder / "scores.parquet"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def record(self) -> Path:
        return self.folder / "evaluation.json"


@dataclass(frozen=True, slots=True)
class State:
    """What a machine keeps outside any checkout: databases, caches, worktrees, logs, keys."""

    home: Path

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def worktrees(self) -> Path:
        return self.home / "worktrees"

    @property
    def dvc_cache(self) -> Path:
        return self.home / "dvc" / "cache"

    @property
    def dvc_remote(self) -> Path:
        return self.home / "dvc" / "remote"

    @property
    def environments(self) -> Path:
        return self.home / "environments"

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    @property
    def mlflow_database(self) -> Path:
        return self.home / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.home / "mlflow" / "artifacts"

    @property
    def lineage(self) -> Path:
        return self.home / "lineage" / "events.jsonl"

    @property
    def ledger(self) -> Path:
        return self.home / "ledger"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def services(self) -> Path:
        return self.home / "services.json"

    @property
    def airflow_database(self) -> Path:
        return self.airflow / "airflow.db"

    @property
    def airflow_secrets(self) -> Path:
        return self.airflow / "secrets.json"

    @property
    def airflow_bundles(self) -> Path:
        return self.airflow / "bundles"

    @property
    def temporary(self) -> Path:
        return self.home / "tmp"

    @property
    def program_cache(self) -> Path:
        return self.home / "cache"

    @property
    def services_lock(self) -> Path:
        return self.home / "services.lock"

    @property
    def users(self) -> Path:
        return self.home / "users.json"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def settings(self) -> Path:
        return self.home / "settings.yaml"

    # decide and record
    @property
    def ledger_database(self) -> Path:
        return self.ledger / "ledger.db"

    @property
    def ledger_policy(self) -> Path:
        return self.ledger / "policy"

    @property
    def ledger_signer(self) -> Path:
        return self.keys / "ledger-signer"

    @property
    def ledger_ring(self) -> Path:
        return self.keys / "ledger-ring"

    @property
    def ledger_guard(self) -> Path:
        return self.keys / "ledger-guard"

    @property
    def data_keys(self) -> Path:
        return self.keys / "data-keys.db"

    @property
    def api_keys(self) -> Path:
        return self.keys / "api-keys.json"

    @property
    def stop_switch(self) -> Path:
        return self.home / "stop.json"

    @property
    def service_settings(self) -> Path:
        return self.home / "service.yaml"

    # what a batch decided, and what erasing needs and leaves
    @property
    def scored(self) -> Path:
        return self.home / "scored"

    @property
    def erasure_requests(self) -> Path:
        return self.home / "erasure-requests"

    @property
    def training_exclusions(self) -> Path:
        return self.home / "training-exclusions.json"

    # answer for a decision: model versions, code and wheels, each by its content
    @property
    def versions(self) -> Path:
        return self.home / "versions"

    @property
    def code(self) -> Path:
        return self.home / "code"

    @property
    def wheels(self) -> Path:
        return self.home / "wheels"

    # watch
    @property
    def watch(self) -> Path:
        return self.home / "watch"


@dataclass(frozen=True, slots=True)
class Watched:
    """The files of one model's watch, a folder a window; each named by its content id."""

    folder: Path

    def window(self, name: str) -> Path:
        return self.folder / name

    def report(self, window: str, number: str) -> Path:
        return self.window(window) / f"report-{number[:16]}.json"

    def profile(self, window: str, number: str) -> Path:
        return self.window(window) / f"profile-{number[:16]}.json"

    def newest(self, window: str) -> Path:
        return self.window(window) / "newest.json"

    def every(self) -> list[Path]:
        """Return the newest report of each window, by the window's name."""
        return sorted(self.folder.glob("*/newest.json"))


def repository(start: Path | None = None) -> Path:
    """Return the root of the checkout that holds `start` (default: the working directory)."""
    folder = start or Path.cwd()
    return Path(_git(folder, "rev-parse", "--show-toplevel"))


def state(start: Path | None = None) -> State:
    """Return the state folder: ``CLEW_HOME``, else ``var/`` beside the main checkout's ``.git``.

    A run's worktree shares its repository's git directory, so it finds the same folder.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        if not Path(chosen).is_absolute():
            raise BadRequest(
                f"{HOME_VARIABLE} is not an absolute path", observed=chosen, expected="/a/folder"
            )
        return State(Path(chosen))
    folder = start or Path.cwd()
    shared = _git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir")
    return State(Path(shared).parent / "var")


def _git(folder: Path, *words: str) -> str:
    command = ["git", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise NotThere(
            "not inside a git repository",
            where=str(folder),
            hint="change into the clone, or run: git init",
        )
    return done.stdout.strip()
