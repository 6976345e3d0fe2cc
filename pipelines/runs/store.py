"""DVC, for runs: pin, fetch, reproduce one stage, push; cache and remote outside the checkout."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import quiet
from pipelines.errors import Unavailable
from pipelines.layout import State
from pipelines.run_step import MARK_VARIABLE, StepFailed
from pipelines.typed import load_yaml

REMOTE = "clew"
REMOTE_VARIABLE = "CLEW_DVC_REMOTE"


@dataclass(frozen=True, slots=True)
class Store:
    """The DVC repository of one checkout."""

    folder: Path
    state: State

    def configure(self) -> None:
        """Point cache and remote at the state folder, for this checkout only."""
        url = os.environ.get(REMOTE_VARIABLE, str(self.state.dvc_remote))
        lines = [
            "[core]",
            f"    remote = {REMOTE}",
            "[cache]",
            f"    dir = {self.state.dvc_cache}",
            "    type = reflink,hardlink,copy",
            f"['remote \"{REMOTE}\"']",
            f"    url = {url}",
            "",
        ]
        text = "\n".join(lines)
        config = self.folder / ".dvc" / "config.local"
        if not config.exists() or config.read_text(encoding="utf-8") != text:
            config.parent.mkdir(exist_ok=True)
            config.write_text(text, encoding="utf-8")

    def add(self, path: str) -> None:
        """Pin a path that no stage makes."""
        with self._repo() as repo:
            repo.add([path])
            repo.push(targets=[f"{path}.dvc"])

    def fetch(self, paths: list[str]) -> None:
        """Bring outputs here, from the cache or the remote. Raises Unavailable."""
        if not paths:
            return
        from dvc.exceptions import DvcException

        with self._repo() as repo:
            try:
                repo.pull(targets=paths, force=True)
            except DvcException as error:
                raise Unavailable(
                    "versioned data could not be fetched",
                    where=", ".join(paths),
                    observed=type(error).__name__,
                    hint="clew doctor",
                ) from error

    def known(self, paths: list[str]) -> list[str]:
        """Return those of `paths` whose digest the checkout knows and that are not here."""
        lock = self.folder / "dvc.lock"
        raw: Any = load_yaml(lock) if lock.exists() else {}
        stages = (raw or {}).get("stages", {}).values()
        locked = {out["path"] for stage in stages for out in stage.get("outs", [])}
        return [path for path in paths if path in locked and not (self.folder / path).exists()]

    def reproduce(self, stage: str) -> bool:
        """Bring one stage up to date; return whether its command had to run.

        Raises StepFailed with the exit code of the step's process.
        """
        from dvc.exceptions import ReproductionError
        from dvc.stage.exceptions import StageCmdFailedError

        mark = self.folder / ".dvc" / "tmp" / f"{stage}.ran"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        with self._repo() as repo, _variable(MARK_VARIABLE, str(mark)):
            try:
                repo.reproduce(targets=[stage], single_item=True)
            except ReproductionError as error:
                cause = error.__cause__
                if isinstance(cause, StageCmdFailedError):
                    raise StepFailed(stage, int(cause.status)) from error
                raise
        return mark.exists()

    def push(self, stage: str) -> None:
        """Copy a stage's outputs to the remote. Raises Unavailable."""
        from dvc.exceptions import DvcException

        with self._repo() as repo:
            try:
                repo.push(targets=[stage])
            except DvcException as error:
                raise Unavailable(
                    "data could not be pushed to the remote",
                    where=stage,
                    observed=type(error).__name__,
                    hint="clew doctor",
                ) from error

    @contextmanager
    def _repo(self) -> Iterator[Any]:
        """Open the repository in the quiet environment, from its own folder."""
        with _environment(quiet.environment(self.state)):
            from dvc.repo import Repo

            logging.getLogger("dvc").setLevel(logging.WARNING)
            former = Path.cwd()
            os.chdir(self.folder)
            try:
                with Repo(str(self.folder)) as repo:
                    yield repo
            finally:
                os.chdir(former)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    with _environment(os.environ | {name: value}):
        yield


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    former = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)
