"""The model's environment, built from its hash-pinned lock and kept by the lock's digest."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import quiet
from pipelines.canonical import sha256_file
from pipelines.errors import Unavailable
from pipelines.layout import State

READY = "clew-ready"


def model_python(lock: Path, state: State) -> Path:
    """Return the Python of the environment that `lock` pins, building it once.

    Every package is checked against its hash. Where the lock's wheels are kept on this machine
    (`clew keep`) no index is asked. Raises NotThere without a lock, Unavailable when a package
    cannot be had.
    """
    name = f"{sha256_file(lock)[:16]}-py{sys.version_info[0]}.{sys.version_info[1]}"
    folder = state.environments / name
    python = folder / "bin" / "python"
    if not (folder / READY).exists():
        state.environments.mkdir(parents=True, exist_ok=True)
        with locked(state.environments / f"{name}.lock"):
            if not (folder / READY).exists():
                _build(folder, lock, state)
    return python


def _build(folder: Path, lock: Path, state: State) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv = str(Path(sys.executable).parent / "uv")
    base = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}")
    _must([uv, "venv", "--quiet", "--python", base, str(folder)], state)
    python = str(folder / "bin" / "python")
    install = [uv, "pip", "sync", "--quiet", "--require-hashes"]
    if (kept := wheels(lock, state)).is_dir():
        install += ["--offline", "--no-index", "--find-links", str(kept)]
    _must([*install, "--python", python, str(lock)], state)
    _compile(python, folder / "lib", state)
    (folder / READY).touch()


def _compile(python: str, packages: Path, state: State) -> None:
    """Compile what may be imported; half of it by length is the packages' own tests.

    What cannot be compiled is none of an environment's business until somebody imports it.
    """
    tests = f"^{re.escape(str(packages))}/.*/tests?/"
    command = [python, "-m", "compileall", "-q", "-j", "0", "-x", tests, str(packages)]
    subprocess.run(command, env=quiet.environment(state), capture_output=True, check=False)  # noqa: S603


def wheels(lock: Path, state: State) -> Path:
    """Return where the wheels of a lock are kept, once they are."""
    return state.wheels / sha256_file(lock)


def _must(command: list[str], state: State) -> None:
    done = subprocess.run(  # noqa: S603
        command, env=quiet.environment(state), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable(
            "the model's environment could not be built",
            where=" ".join(command[1:3]),
            observed=done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message",
            hint="clew doctor",
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` between processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
