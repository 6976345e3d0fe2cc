"""Airflow, for tests: always in processes of its own, with a home and a database of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.dags.scenarios import FORMS, SCENARIOS

HERE = Path(__file__).parent


def airflow_environment(home: Path, repository: Path, dags: Path) -> dict[str, str]:
    """Return the environment of a process that runs Airflow here and nowhere else."""
    kept = {name: text for name, text in os.environ.items() if "AIRFLOW" not in name}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ann:admin,eve:op,pat:user,vic:viewer",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "CLEW_REPOSITORY": str(repository),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(dags)]),
    }


def python(script: str, environment: dict[str, str], given: object = None) -> Any:
    """Run a script of this folder in a fresh process and return the JSON that it prints."""
    done = subprocess.run(
        ["timeout", "-k", "5", "800", sys.executable, str(HERE / script)],
        input=json.dumps(given),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an Airflow home with its tables, once a session."""
    home = tmp_path_factory.mktemp("airflow")
    environment = airflow_environment(home, ROOT, ROOT / "dags")
    code = "from airflow.utils import db; db.initdb()"
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    return home


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository whose command line is the stand-in."""
    folder = tmp_path_factory.mktemp("repository")
    cli = folder / "pipelines" / "cli"
    cli.mkdir(parents=True)
    (folder / "pipelines" / "__init__.py").touch()
    (cli / "__init__.py").touch()
    shutil.copy(HERE / "stand_in.py", cli / "__main__.py")
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "policies", folder / "policies")
    checks = folder / "pipelines" / "release" / "checks"
    checks.mkdir(parents=True)
    for name in ("_case", "bias", "performance"):
        (checks / f"{name}.py").touch()
    return folder


@pytest.fixture(scope="session")
def outcomes(airflow_home: Path, stand_in: Path) -> dict[str, Any]:
    """Return what each scenario came to, all run in one process."""
    environment = airflow_environment(airflow_home, stand_in, ROOT / "dags")
    found = python("runner.py", environment, list(SCENARIOS.values()))
    return dict(zip(SCENARIOS, found, strict=True))


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a fresh process sees of the DAGs when it has parsed them."""
    home = tmp_path_factory.mktemp("parse")
    found: dict[str, Any] = python(
        "parse.py", airflow_environment(home, ROOT, ROOT / "dags"), FORMS
    )
    return found
