"""Programs that tests start and that no Python package brings."""

from __future__ import annotations

import os

import pytest


def require(found: object, package: str) -> None:
    """Go on when a program is there. Without it the test is skipped by name; under CI it fails."""
    if found:
        return
    text = f"needs a program of the system: apt-get install -y --no-install-recommends {package}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
