"""The code that scores again: that of the version's own commit where git has it, else today's."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pipelines
from pipelines.account.original import new_folder, settle
from pipelines.canonical import sha256_json, sha256_tree
from pipelines.errors import Unavailable
from pipelines.layout import Layout, State

PACKAGE: Final = Path("pipelines")
DRIVER: Final = PACKAGE / "account" / "rescore.py"
BY_PLAN: Final = PACKAGE / "account" / "rescore_by_plan.py"
PARAMS: Final = "params.yaml"
COMPILE: Final = ("-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "-r", "10")
# What deciding imports; the rest of a code tree need not be compiled.
IMPORTED: Final = ("data", "model", "decisions", "release", "ledger")


@dataclass(frozen=True, slots=True)
class Code:
    """A folder with `pipelines` and `params.yaml`, and whose they are: a commit's, or today's."""

    folder: Path
    name: str
    whose: Literal["recorded", "present"]

    @property
    def params(self) -> Path:
        return Layout(self.folder).params

    @property
    def knows_plans(self) -> bool:
        """Say whether this code can decide by a kept plan: former code loads the model."""
        return (self.folder / BY_PLAN).is_file()


def recorded(repository: Path, commit: str, state: State, python: Path) -> Code | None:
    """Return the code of a commit, kept under its id and compiled for `python`.

    None when git does not have the commit, or the commit is older than replaying.
    """
    folder = state.code / commit
    if not folder.is_dir():
        tree = subprocess.run(  # noqa: S603
            ["git", "archive", "--format=tar", commit, "--", str(PACKAGE), PARAMS],  # noqa: S607
            cwd=repository,
            capture_output=True,
            check=False,
        )
        if tree.returncode:
            return None
        with new_folder(state) as made:
            packed = made / "code.tar"
            packed.write_bytes(tree.stdout)
            with tarfile.open(packed) as file:
                file.extractall(made / "code", filter="data")
            settle(made / "code", folder)
    if not (folder / DRIVER).is_file():
        return None
    _compile(folder, python)
    return Code(folder, commit, "recorded")


def present(repository: Path, state: State, python: Path) -> Code:
    """Return the code that runs now, kept under the digest of its content."""
    source, params = Path(pipelines.__file__).parent, Layout(repository).params
    with new_folder(state) as made:
        shutil.copytree(
            source, made / "code" / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copyfile(params, made / "code" / PARAMS)
        name = sha256_tree(made / "code")
        settle(made / "code", state.code / name)
    _compile(state.code / name, python)
    return Code(state.code / name, name, "present")


def _compile(folder: Path, python: Path) -> None:
    """Compile to bytecode, for imports are three times slower without and the sandbox cannot write.

    The bytecode is bound to the source by hash, so that a changed source is not run as it was.
    """
    done = folder / f"compiled-{sha256_json(str(python))[:16]}"
    if done.exists():
        return
    package = folder / PACKAGE
    account = [
        package / "account" / f"{name}.py"
        for name in ("__init__", "plan_file", "rescore", "rescore_by_plan")
    ]
    files = [*package.glob("*.py"), *filter(Path.is_file, account)]
    trees = [package / name for name in IMPORTED]
    ran = subprocess.run(  # noqa: S603
        [str(python), *COMPILE, *map(str, (*files, *trees))], capture_output=True, check=False
    )
    if ran.returncode:
        raise Unavailable("a version's code could not be compiled", where=folder.name)
    done.touch()
