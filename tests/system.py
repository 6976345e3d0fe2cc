"""Programs that tests start and that no Python package brings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SHIM = Path(__file__).parent / "ledger" / "failing_disk.c"


def require(found: object, package: str) -> None:
    """Go on when a program is there. Without it the test is skipped by name; under CI it fails."""
    if found:
        return
    text = f"needs a program of the system: apt-get install -y --no-install-recommends {package}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def failing_disk(folder: Path) -> Path:
    """Build a library that lets one call fail with one error on one file; return it."""
    library = folder / "failing_disk.so"
    compiler = shutil.which("gcc") or shutil.which("cc")
    require(compiler, "gcc libc6-dev")
    command = [str(compiler), "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(command, check=True)
    return library
