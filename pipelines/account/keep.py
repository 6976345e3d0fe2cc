"""Keep what a version needs to be replayed without any index: the wheels that its lock pins."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines import quiet
from pipelines.account.original import new_folder, settle
from pipelines.environments import wheels
from pipelines.errors import Unavailable
from pipelines.layout import State

# Everything is in the lock with its hashes, so nothing is resolved, and nothing is built.
DOWNLOAD: Final = (
    "-m",
    "pip",
    "download",
    "--quiet",
    "--disable-pip-version-check",
    "--require-hashes",
    "--only-binary=:all:",
    "--no-deps",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of wheels, how many, their size in bytes, and whether they were there before."""

    folder: Path
    wheels: int
    bytes: int
    unchanged: bool


def keep(lock: Path, state: State) -> Kept:
    """Download the wheels of a lock, each checked against its hash; once, all or nothing.

    They are those for this machine's kind of Python, system and processor. Raises Unavailable when
    the index does not have one of them any more.
    """
    folder = wheels(lock, state)
    unchanged = folder.is_dir()
    if not unchanged:
        with new_folder(state) as made:
            _download(lock, made / "wheels", state)
            settle(made / "wheels", folder)
    found = list(folder.iterdir())
    return Kept(folder, len(found), sum(each.stat().st_size for each in found), unchanged)


def _download(lock: Path, into: Path, state: State) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, *DOWNLOAD, "--dest", str(into), "--requirement", str(lock)],
        env=quiet.environment(state),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines()
        raise Unavailable(
            "the wheels of a lock could not be kept",
            where=lock.name,
            observed=told[-1] if told else "no message",
            hint="clew doctor",
        )
