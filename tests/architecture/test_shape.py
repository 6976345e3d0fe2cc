"""The shape of the code: what may know what, and how large things get."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import contract

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted([*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "dags").rglob("*.py")])
LONGEST_MODULE = 400
ONE_FILE = "pipelines/ledger/verify.py"  # whoever verifies takes this one file and nothing else
LONGEST_FILE_ALONE = 600
LONGEST_FUNCTION = 45
USUAL_FUNCTION = 20
# Words of the default data that are also words of every program.
COMMON = {
    "approve",
    "self",
    "other",
    "action",
    "lines",
    "unit",
    "rep",
    "term",
    "male",
    "review",
    "price",
    "prop",
    "old",
    "white",
    "black",
    "age",
    "sex",
    "race",
    "dep",
    "emp",
    "apr",
    "occ",
    "mi",
    "bd",
    "vr",
}


def functions() -> list[tuple[Path, ast.FunctionDef]]:
    """Return every function of the sources with its file."""
    return [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]


def length(node: ast.FunctionDef) -> int:
    """Return how many lines a function's body has, its docstring left out."""
    start = node.body[0]
    doc = isinstance(start, ast.Expr) and isinstance(start.value, ast.Constant)
    first = node.body[1] if doc and len(node.body) > 1 else start
    return (node.end_lineno or 0) - first.lineno + 1


def test_no_column_of_a_data_set_is_known_to_the_code() -> None:
    """What is known about a data set stands in its two files, never in the code."""
    names = {column.name for column in contract.read(ROOT / "contract.yaml").columns}
    adult = ROOT / "examples" / "adult" / "contract.yaml"
    names |= {column.name for column in contract.read(adult).columns}
    quoted = re.compile(
        "|".join(rf"[\"']{re.escape(name)}[\"']" for name in sorted(names - COMMON))
    )
    for path in SOURCES:
        found = quoted.search(path.read_text())
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_paths_stand_in_the_layout_alone() -> None:
    """An artefact's folder is named in one file; moving it is one edit."""
    literal = re.compile(r"[\"'](?:data|models|reports)/[a-z]")
    allowed = {"layout.py", "flow.py", "test_shape.py"}
    for path in SOURCES:
        if path.name not in allowed and path.parent.name != "runs":
            assert not literal.search(path.read_text()), path.relative_to(ROOT)


def test_the_environment_is_read_in_few_places() -> None:
    """Configuration is handed on as arguments; who reads the process environment is listed."""
    allowed = {
        "pipelines/layout.py",
        "pipelines/quiet.py",
        "pipelines/wiring.py",
        "pipelines/run_step.py",
        "pipelines/runs/git.py",
        "pipelines/runs/run.py",
        "pipelines/runs/store.py",
        "pipelines/cli/main.py",
        "pipelines/cli/task.py",
        "pipelines/data/ingest.py",
        "pipelines/model/environment.py",
        "pipelines/adapters/mlflow_registry.py",
        "pipelines/adapters/openlineage.py",
    }
    readers = {
        path.relative_to(ROOT).as_posix() for path in SOURCES if "os.environ" in path.read_text()
    }
    other = {
        name for name in readers - allowed if not name.startswith(("pipelines/stack/", "dags/"))
    }
    assert set() == other


def test_modules_and_functions_stay_readable() -> None:
    """No module over the limit, no function over its own, and nine in ten functions are short."""
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        limit = LONGEST_FILE_ALONE if name == ONE_FILE else LONGEST_MODULE
        assert len(path.read_text().splitlines()) <= limit, name
    sizes = [length(node) for _, node in functions()]
    for path, node in functions():
        assert length(node) <= LONGEST_FUNCTION, f"{path.relative_to(ROOT)}: {node.name}"
    assert sum(size <= USUAL_FUNCTION for size in sizes) >= 0.9 * len(sizes)


def test_every_public_function_says_what_it_does() -> None:
    """A function of a module that others may call has a docstring; a method has its port's."""
    silent = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert [] == silent


def test_nothing_unpickles() -> None:
    """No module loads a format that runs code: pickle, joblib, cloudpickle, dill."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert not roots & {"pickle", "joblib", "cloudpickle", "dill"}, path.relative_to(ROOT)


@pytest.mark.parametrize(
    "name", ["pipelines.cli", "pipelines.flow", "pipelines.runs", "pipelines.run_step"]
)
def test_importing_builds_nothing_and_loads_nothing_heavy(name: str) -> None:
    """The command line answers at once: heavy libraries load where they are used."""
    heavy = "{'pandas', 'numpy', 'sklearn', 'mlflow', 'evidently', 'airflow', 'dvc', 'pyarrow'}"
    code = f"import sys, {name}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "[]" == done.stdout.strip()


def test_no_index_host_no_foreign_path_in_the_tree() -> None:
    """The repository names no package index and no path of one machine."""
    hosts = "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "registry\\.npm" + r"js\.org"])
    done = subprocess.run(
        ["git", "grep", "-nIE", f"{hosts}|/ho" + "me/|/ro" + "ot/"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "" == done.stdout


def test_the_root_stays_a_list_one_can_take_in() -> None:
    """Under twenty entries at the top, and a README of at most 120 lines."""
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert len({name.split("/")[0] for name in listed.stdout.splitlines()}) < 20
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
