"""The default data through the real data steps, once; and small made-up people of every kind."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import params, wiring
from pipelines.contract import Band, Column, Contract, Protected
from pipelines.environments import model_python
from pipelines.layout import Layout, State
from pipelines.params import Recipe
from pipelines.ports import Context

ROOT = Path(__file__).resolve().parents[2]
DATA_STEPS = ("ingest", "validate", "snapshot", "split")


def context(root: Path) -> Context:
    return wiring.context(Layout(root), State(root / "var"))


@pytest.fixture(scope="session")
def boston(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Give a folder with the default data validated, frozen and split. Do not write to it."""
    root = tmp_path_factory.mktemp("boston")
    for name in ("contract.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "infra" / "locks", root / "infra" / "locks")
    land = ROOT / "examples" / "boston_mortgages" / "land.py"
    subprocess.run([sys.executable, str(land), str(root / "var" / "landing")], check=True)
    for step in DATA_STEPS:
        importlib.import_module(f"pipelines.data.{step}").run(context(root))
    return Layout(root)


@pytest.fixture
def checkout(boston: Layout, tmp_path: Path) -> Layout:
    """Give a copy of the default data's folder that a test may write to."""
    root = tmp_path / "checkout"
    shutil.copytree(boston.root, root)
    return Layout(root)


@pytest.fixture(scope="session")
def python() -> Path:
    """Give the Python of the model's environment, built from its lock."""
    return model_python(ROOT / "infra" / "locks" / "model.lock", State(ROOT / "var"))


@pytest.fixture
def in_model_environment(python: Path) -> Callable[..., str]:
    """Run code in a fresh process of the model's environment; return what it prints."""

    def run(code: str, *arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [str(python), "-c", code, *arguments],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def recipe(estimator: str = "logistic_regression", **changes: object) -> Recipe:
    quick = {
        "logistic_regression": {"C": 0.1, "max_iter": 2000},
        "hist_gradient_boosting": {"max_iter": 15, "max_leaf_nodes": 6},
    }
    return Recipe(
        **{
            "estimator": estimator,
            "hyperparameters": quick[estimator],
            "approval_rate": 0.7,
            "seed": 3,
            **changes,
        }
    )


def candidates(root: Path = ROOT) -> dict[str, Recipe]:
    return params.read(root / "params.yaml").candidates


@pytest.fixture
def contract() -> Contract:
    """Give a contract with every kind of input."""
    return Contract(
        name="people",
        version="1",
        columns=(
            Column(name="person", role="subject", kind="string", required=True),
            Column(name="seen", role="event_time", kind="timestamp"),
            Column(name="income", role="feature", kind="number", monotone="increasing"),
            Column(name="debts", role="feature", kind="integer"),
            Column(name="job", role="feature", kind="string", allowed=("clerk", "cook")),
            Column(name="town", role="feature", kind="string"),
            Column(name="owner", role="feature", kind="boolean"),
            Column(name="grade", role="feature", kind="integer", allowed=(1, 2, 3), required=True),
            Column(name="since", role="feature", kind="date"),
            Column(name="notes", role="ignored", kind="string"),
            Column(
                name="origin",
                role="protected",
                kind="string",
                protected=Protected(attribute="origin"),
            ),
            Column(
                name="years",
                role="protected",
                kind="integer",
                protected=Protected(
                    attribute="age", bands=(Band(name="young", below=40), Band(name="old"))
                ),
            ),
            Column(name="good", role="target", kind="string", favourable="yes"),
        ),
    )


@pytest.fixture
def people() -> pd.DataFrame:
    """Give 600 made-up people, with missing values in every column that may have them."""
    rng, size = np.random.default_rng(5), 600
    origin = rng.choice(["north", "south"], size, p=[0.7, 0.3])
    income = rng.lognormal(3.0, 0.5, size) * np.where(origin == "south", 0.7, 1.0)
    good = income + rng.normal(0.0, 8.0, size) > np.quantile(income, 0.35)
    frame = pd.DataFrame(
        {
            "person": [f"p{number}" for number in range(size)],
            "seen": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, size), "D"),
            "income": pd.array(income, dtype="Float64"),
            "debts": pd.array(rng.integers(0, 9, size), dtype="Int64"),
            "job": pd.array(rng.choice(["clerk", "cook"], size), dtype="string"),
            "town": pd.array(rng.choice(["Ay", "Be", "Ce"], size), dtype="string"),
            "owner": pd.array(rng.random(size) < 0.5, dtype="boolean"),
            "grade": pd.array(rng.integers(1, 4, size), dtype="Int64"),
            "since": [
                dt.date(2000, 1, 1) + dt.timedelta(days=int(day))
                for day in rng.integers(0, 9000, size)
            ],
            "notes": "x",
            "origin": pd.array(origin, dtype="string"),
            "years": pd.array(rng.integers(20, 70, size), dtype="Int64"),
            "good": np.where(good, "yes", "no"),
            "_row": np.arange(size, dtype=np.int64),
        }
    )
    for name in ("income", "debts", "job", "town", "owner", "since"):
        frame.loc[rng.random(size) < 0.05, name] = None
    return frame
