"""What makes a stored model or evaluation stale."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipelines import flow

ROOT = Path(__file__).resolve().parents[2]


def imported(path: Path) -> set[str]:
    """Return the files of pipelines/model and pipelines/data/groups.py that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {f"{name.replace('.', '/')}.py" for name in names}
    return {
        name
        for name in found
        if name.startswith(("pipelines/model/", "pipelines/data/")) and (ROOT / name).is_file()
    }


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_every_file_that_a_step_imports_is_among_its_code(name: str) -> None:
    """A change of any module that a step runs makes DVC run it again."""
    step = flow.step(name)
    todo, seen = {f"{step.module.replace('.', '/')}.py"}, set[str]()
    while todo:
        path = todo.pop()
        seen.add(path)
        todo |= imported(ROOT / path) - seen
    seen.discard(f"{step.module.replace('.', '/')}.py")
    assert sorted(seen) == sorted(step.code)
