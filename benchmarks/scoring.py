"""Measure deciding in process against scikit-learn's own pipeline on a one-row frame.

    python -m benchmarks.scoring [--rounds 15]

Both kinds of model are trained on the default data. The floor is `predict_proba` of the fitted
pipeline on a frame that is already made, one row at a time; making the frame out of an
application is not counted against it. Floor and plan alternate over the same rows, and a ratio is
the median over the rounds, with the quartiles. `decide` is everything that happens to one
application: reading and checking its bytes, scoring, and the reasons where it is declined.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines import params, wiring
from pipelines.contract import Contract
from pipelines.decisions.admit import compile_admission
from pipelines.decisions.reasons import reasons
from pipelines.layout import Layout, State
from pipelines.model import parts, proof, reference, score, train
from pipelines.model.contributions import Explainer
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.params import Recipe
from pipelines.records import Split
from pipelines.typed import plain, read_json

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("ingest", "validate", "snapshot", "split")
FLOOR_ROWS = 20
BOOSTED = Recipe(
    estimator="hist_gradient_boosting",
    hyperparameters={"max_iter": 100, "max_leaf_nodes": 15},
    approval_rate=0.88,
    seed=7,
)
Work = Callable[[], None]


def default_data(root: Path) -> Layout:
    """Bring the default data to a split in a folder of its own."""
    for name in ("contract.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "infra" / "locks", root / "infra" / "locks")
    land = ROOT / "examples" / "boston_mortgages" / "land.py"
    landing = root / "var" / "landing"
    subprocess.run([sys.executable, str(land), str(landing)], check=True, capture_output=True)
    context = wiring.context(Layout(root), State(root / "var"))
    for step in STEPS:
        importlib.import_module(f"pipelines.data.{step}").run(context)
    return context.layout


def figures(recipe: Recipe, layout: Layout, rounds: int) -> dict[str, object]:
    """Train a recipe and measure it."""
    contract = read_json(layout.snapshot_contract, Contract)
    split = read_json(layout.split_record, Split)
    frames = [parts.read(layout, split, name) for name in ("train", "test")]  # type: ignore[arg-type]
    settings = params.read(layout.params).decide
    trained = train.train(recipe, contract, frames[0])
    kind = score.KINDS[type(trained.model.named_steps[score.ESTIMATOR]).__name__]
    plan = compile_plan(trained.model)
    compared = reference.make(trained.model, kind, frames[0], trained.threshold, settings.reference)
    if compared is None:
        raise SystemExit("the model has no plan")
    record = proof.prove(trained.model, kind, "", frames)
    admission = compile_admission(contract, trained.features, plan.texts, settings.max_bytes)
    explainer = Explainer(plan, compared, trained.features)
    told = reasons(explainer, contract, settings.max_reasons)
    applicants = list(rows(frames[1], list(admission.fields)))
    sent = [json.dumps(plain(row)).encode() for row in applicants]
    model, margin = trained.model, plan.margin
    prepared = score.prepare(model.named_steps[score.COLUMNS], frames[1])
    singles = [prepared.iloc[[place]] for place in range(FLOOR_ROWS)]

    def floor() -> None:
        for single in singles:
            model.predict_proba(single)

    def by_plan() -> None:
        for row in applicants:
            margin(row)

    def everything() -> None:
        for data in sent:
            values = admission.admit(data).values
            if margin(values) < trained.threshold:
                told.of(values, "decline")

    return {
        "rows compared": record.rows,
        "edge cases compared": record.edge_cases,
        "rows with a differing bit": record.differing,
        "plan beside predict_proba": paired(floor, by_plan, (FLOOR_ROWS, len(applicants)), rounds),
        "decide beside predict_proba": paired(floor, everything, (FLOOR_ROWS, len(sent)), rounds),
    }


def paired(floor: Work, ours: Work, sizes: Sequence[int], rounds: int) -> dict[str, float]:
    """Return how many times faster a row of `ours` is, alternating, and both times a row in us."""
    floor()
    ours()
    ratios, floors, mine = [], [], []
    for _ in range(rounds):
        before, middle, after = timed(floor), timed(ours), timed(floor)
        floors.append((before + after) / 2 / sizes[0])
        mine.append(middle / sizes[1])
        ratios.append(floors[-1] / mine[-1])
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(median, 1),
        "from": round(low, 1),
        "to": round(high, 1),
        "floor us": round(statistics.median(floors) * 1e6, 1),
        "us": round(statistics.median(mine) * 1e6, 2),
    }


def timed(work: Work) -> float:
    """Return how many seconds a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
        layout = default_data(Path(folder))
        linear = params.read(layout.params).recipe
        found = {
            "linear (the candidate fair)": figures(linear, layout, rounds),
            "trees (100 of 15 leaves)": figures(BOOSTED, layout, rounds),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
