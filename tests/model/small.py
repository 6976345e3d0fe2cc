"""A small world of every kind of column: a contract, made-up people, and models of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from pipelines.contract import Band, Column, Contract, Protected
from pipelines.model import reference, train
from pipelines.model.plan import Plan
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.score import MarginKind
from pipelines.model.train import Trained
from pipelines.params import Recipe, ReferenceParams
from pipelines.records import Reference

ESTIMATORS: dict[MarginKind, tuple[str, dict[str, int | float]]] = {
    "linear": ("logistic_regression", {"C": 0.5, "max_iter": 2000}),
    "trees": ("hist_gradient_boosting", {"max_iter": 12, "max_leaf_nodes": 6}),
}
CONTRACT = Contract(
    name="people",
    version="1.2",
    columns=(
        Column(name="person", role="subject", kind="string", required=True),
        Column(name="seen", role="event_time", kind="timestamp"),
        Column(
            name="income",
            role="feature",
            kind="number",
            required=True,
            minimum=0.0,
            maximum=1000.0,
            monotone="increasing",
            words="the income",
            reg_b_code="Income insufficient for amount of credit requested",
        ),
        # The name of a column may be one that Python has a use for.
        Column(
            name="self",
            role="feature",
            kind="integer",
            minimum=0,
            maximum=20,
            sentinels=(99, 7.5),
            words="the debts",
        ),
        Column(
            name="job",
            role="feature",
            kind="string",
            allowed=("clerk", "cook"),
            outside="refuse",
            sentinels=("unknown",),
            words="the job",
        ),
        Column(name="town", role="feature", kind="string", words="the town"),
        Column(name="owner", role="feature", kind="boolean", words="owning a home"),
        Column(name="grade", role="feature", kind="integer", allowed=(1, 2, 3), required=True),
        Column(name="since", role="feature", kind="date", words="the time at the address"),
        Column(name="paid_at", role="feature", kind="timestamp", words="the last payment"),
        Column(name="ratio", role="feature", kind="number", sentinels=(-1,), words="the ratio"),
        Column(name="notes", role="ignored", kind="string"),
        Column(
            name="origin",
            role="protected",
            kind="string",
            allowed=("north", "south"),
            protected=Protected(attribute="origin"),
        ),
        Column(
            name="years",
            role="protected",
            kind="integer",
            minimum=18,
            maximum=110,
            protected=Protected(
                attribute="age", bands=(Band(name="young", below=40), Band(name="old"))
            ),
        ),
        Column(name="good", role="target", kind="string", favourable="yes"),
    ),
)


@cache
def people(size: int = 600, seed: int = 5) -> pd.DataFrame:
    """Return made-up people, values missing in every column that may have missing ones."""
    rng = np.random.default_rng(seed)
    origin = rng.choice(["north", "south"], size, p=[0.7, 0.3])
    income = rng.lognormal(3.0, 0.5, size) * np.where(origin == "south", 0.7, 1.0)
    debts = rng.integers(0, 9, size)
    score = income - 2.0 * debts + rng.normal(0.0, 8.0, size)
    days = rng.integers(0, 9000, size)
    frame = pd.DataFrame(
        {
            "person": pd.array([f"p{number}" for number in range(size)], dtype="string"),
            "seen": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(days % 90, "D"),
            "income": income,
            "self": pd.array(debts, dtype="Int64"),
            "job": pd.array(rng.choice(["clerk", "cook"], size), dtype="string"),
            "town": pd.array(rng.choice(["Ay", "Be", "Ce"], size), dtype="string"),
            "owner": pd.array(rng.random(size) < 0.5, dtype="boolean"),
            "grade": pd.array(rng.integers(1, 4, size), dtype="Int64"),
            "since": pd.Timestamp("2000-01-01") + pd.to_timedelta(days, "D"),
            "paid_at": pd.Timestamp("2020-01-01", tz="UTC")
            + pd.to_timedelta(rng.integers(0, 10**13, size) * 7 + 1, "us"),
            "ratio": rng.normal(0.0, 1.0, size),
            "notes": pd.array(["x"] * size, dtype="string"),
            "origin": pd.array(origin, dtype="string"),
            "years": pd.array(rng.integers(20, 70, size), dtype="Int64"),
            "good": pd.array(np.where(score > np.quantile(score, 0.4), "yes", "no"), "string"),
        }
    )
    for name in ("self", "job", "town", "owner", "since", "paid_at", "ratio"):
        frame.loc[rng.random(size) < 0.05, name] = None
    return frame


@dataclass(frozen=True, eq=False)
class Made:
    """A trained model with its plan and its reference."""

    kind: MarginKind
    trained: Trained
    plan: Plan
    reference: Reference

    @property
    def features(self) -> tuple[str, ...]:
        return self.trained.features


@cache
def made(kind: MarginKind, protected: bool = False, population: str = "above_cutoff") -> Made:
    """Train a model of a kind on the people, once."""
    estimator, settings = ESTIMATORS[kind]
    recipe = Recipe(
        estimator=estimator,  # type: ignore[arg-type]
        hyperparameters=dict(settings),
        approval_rate=0.7,
        seed=3,
        protected_as_features=protected,
    )
    trained = train.train(recipe, CONTRACT, people())
    wanted = ReferenceParams(population=population, size=25)  # type: ignore[arg-type]
    found = reference.make(trained.model, kind, people(), trained.threshold, wanted)
    assert found is not None
    return Made(kind, trained, compile_plan(trained.model), found)
