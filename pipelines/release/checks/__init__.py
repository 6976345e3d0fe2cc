"""The checks: one file each, found by listing this folder. Its name is the file's name.

A check is a module with `Thresholds` (a `policy.Thresholds`) and
``judge(case, limits) -> Finding``. Files whose names begin with an underscore are shared code.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.release.checks._case import Case, Finding
from pipelines.release.policy import Thresholds

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class CheckCode:
    """One check's code: the type of its thresholds and its function."""

    name: str
    thresholds: type[Thresholds]
    judge: Callable[[Case, Thresholds], Finding]


def names(folder: Path = HERE) -> tuple[str, ...]:
    """Return the names of all checks that a folder holds, sorted; nothing is imported."""
    found = (path.stem for path in folder.glob("*.py"))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load(name: str) -> CheckCode:
    """Import one check by name."""
    module = importlib.import_module(f"{__name__}.{name}")
    return CheckCode(name, module.Thresholds, module.judge)
