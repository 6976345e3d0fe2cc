"""What many tests need: a scratch clone of this tree, and a state folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

from pipelines import quiet
from pipelines.layout import HOME_VARIABLE, State

ROOT = Path(__file__).resolve().parent.parent

# No test is timed, and a run that decides about landing draws the same examples each time.
settings.register_profile("own", deadline=None)
settings.register_profile("landing", deadline=None, derandomize=True, database=None)
settings.load_profile("landing" if os.environ.get("CI") else "own")
os.environ.update(quiet.TELEMETRY_OFF | quiet.ONE_THREAD)


def git(folder: Path, *words: str) -> str:
    """Run git in `folder` with a name of its own and return what it printed."""
    names = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(
        ["git", *names, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def copy_of_tree(folder: Path) -> Path:
    """Make a repository in `folder` with one commit: this tree as it stands, without ignored."""
    listed = git(ROOT, "ls-files", "-co", "--exclude-standard")
    for name in listed.splitlines():
        source = ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it stands")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Make a repository of this test's own, holding this tree."""
    folder = tmp_path / "clone"
    folder.mkdir()
    return copy_of_tree(folder)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """Make a state folder of this test's own, chosen by the environment as a user would.

    The model's environment is expensive and read-only: it is shared between tests.
    """
    home = tmp_path / "var"
    home.mkdir()
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    shared = ROOT / "var" / "environments"
    shared.mkdir(parents=True, exist_ok=True)
    (home / "environments").symlink_to(shared)
    return State(home)
