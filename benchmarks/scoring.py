"""Measure deciding in process, and a recorded batch, against scikit-learn's own pipeline.

    python -m benchmarks.scoring [--rounds 15]

Both kinds of model are trained on the default data. The floor is `predict_proba` of the fitted
pipeline on a frame that is already made, one row at a time; making the frame out of an
application is not counted against it. Floor and plan alternate over the same rows, and a ratio is
the median over the rounds, with the quartiles. `decide` is everything that happens to one
application: reading and checking its bytes, scoring, and the reasons where it is declined.

The batch is every row of the data: decided, with reasons, encrypted under a
data key of each person, sealed and durable, and read back as a line of output. Its floor is one
`predict_proba` over a frame that is already made, and a bare durable insert of the same bytes,
1,000 rows a transaction. Every person is new to the ledger.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
from sklearn.pipeline import Pipeline

from benchmarks.ledger import bare_sqlite
from pipelines import params, wiring
from pipelines.contract import Contract
from pipelines.decisions import batch
from pipelines.decisions.admit import compile_admission
from pipelines.decisions.decide import Holdout
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.reasons import reasons
from pipelines.decisions.record import DECISION, Call, Origin, Recorder
from pipelines.decisions.records import ModelName
from pipelines.layout import Layout, State
from pipelines.model import parts, proof, reference, score, train
from pipelines.model.contributions import Explainer
from pipelines.model.plan import Row
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.model.train import Trained
from pipelines.params import Recipe
from pipelines.records import Split
from pipelines.typed import plain, read_json
from tests.ledger.places import SqlitePlace

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("ingest", "validate", "snapshot", "split")
FLOOR_ROWS = 20
BATCH_ROUNDS = 7
BARE_ROWS = 1000
AGAIN = 9
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
    frames = [parts.read(layout, split, name) for name in ("train", "test")]
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
    fields = list(admission.fields)
    applicants = list(rows(frames[1], fields))
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
            values = admission.admit(data).values  # noqa: PD011 - no data frame
            if margin(values) < trained.threshold:
                told.of(values, "decline")

    name = ModelName(
        model_name="bench", version="1", candidate_id="", model_sha256="a" * 64, scorer="plan"
    )
    loaded = LoadedModel(
        name=name,
        record=cast("Any", None),
        candidate=cast("Any", SimpleNamespace(reference_sha256=None)),
        contract=contract,
        contract_sha256=contract.sha256,
        model=model,
        plan=plan,
        admission=admission,
        reasons=told,
        threshold=trained.threshold,
        decline_below=trained.threshold,
        approve_from=trained.threshold,
    )
    everyone = score.prepare(model.named_steps[score.COLUMNS], pd.concat(frames))
    whole = [json.dumps(plain(row)).encode() for frame in frames for row in rows(frame, fields)]
    return {
        "recorded batch beside predict_proba and a bare insert": batched(
            loaded, model, everyone, whole
        ),
        "rows compared": record.rows,
        "edge cases compared": record.edge_cases,
        "rows with a differing bit": record.differing,
        "plan beside predict_proba": paired(floor, by_plan, (FLOOR_ROWS, len(applicants)), rounds),
        "decide beside predict_proba": paired(floor, everything, (FLOOR_ROWS, len(sent)), rounds),
        "reasons": of_reasons(Explainer(plan, compared, trained.features), applicants, trained),
    }


def of_reasons(
    explainer: Explainer, applicants: Sequence[Row], trained: Trained
) -> dict[str, float | int]:
    """Return what reasons cost a declined applicant, in us of CPU.

    What is worked out for a pattern of answers is kept: the first one of a process costs most, and
    people who were asked about before least.
    """
    declined = [row for row in applicants if explainer.plan.margin(row) < trained.threshold]

    def explain(some: Sequence[Row]) -> float:
        start = time.process_time()
        for row in some:
            explainer.contributions(row)
        return (time.process_time() - start) / len(some) * 1e6

    first, rest = explain(declined[:1]), explain(declined)
    again = statistics.median(explain(declined) for _ in range(AGAIN))
    found = {"the first": first, "each, first time": rest, "each, again": again}
    told = {name: round(each, 1) for name, each in found.items()}
    return {"declined": len(declined), **told}


def batched(
    loaded: LoadedModel, model: Pipeline, everyone: pd.DataFrame, sent: Sequence[bytes]
) -> dict[str, float]:
    """Return how fast a recorded batch is beside its floor, and both times a row in us."""
    names = ("version", "files_sha256", "model_sha256", "commit", "environment_id", "snapshot_id")
    more = ("policy", "policy_sha256", "promotion_id")
    origin = Origin(**dict.fromkeys((*names, *more), "a" * 64))
    call = Call(caller="bench", purpose=DECISION, request_id="r", notice="ask a person")
    numbered = list(enumerate(sent, start=1))
    blocks = [numbered[at : at + batch.ROWS] for at in range(0, len(numbered), batch.ROWS)]
    bare_blocks = [numbered[at : at + BARE_ROWS] for at in range(0, len(numbered), BARE_ROWS)]

    def ours(folder: Path) -> int:
        place = SqlitePlace(folder)
        recorder = Recorder(place.ledger())
        job = batch.Batch(
            folder, folder.name, Standing(loaded), origin, call, Holdout(), lambda: None
        )
        start, spent_before = time.perf_counter(), time.process_time()
        for block in blocks:
            found = batch.block(recorder, job, block)
            [batch.line(number, each) for (number, _), each in zip(block, found, strict=True)]
        took.append(time.perf_counter() - start)
        spent.append(time.process_time() - spent_before)
        kept = recorder.ledger.store.parts(0, len(sent))
        size = sum(len(part.ciphertext) for _, _, part in kept) // len(sent)
        place.close()
        return size

    took: list[float] = []
    spent: list[float] = []
    ratios: list[float] = []
    floors: list[float] = []
    floors_spent: list[float] = []
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench") as home:
        size = 0
        for number in range(BATCH_ROUNDS):
            folder = Path(home, str(number)).absolute()
            folder.mkdir()
            size = size or ours(Path(folder))
            bare = bare_sqlite(folder / "bare.db", os.urandom(size))
            inserts = [bare(1, len(block)) for block in bare_blocks]

            def floor(inserts: Sequence[Work] = inserts) -> None:
                model.predict_proba(everyone)
                for insert in inserts:
                    insert()

            fresh = Path(home, f"fresh{number}").absolute()
            fresh.mkdir()
            spent_before = time.process_time()
            before = timed(floor)
            floors_spent.append(time.process_time() - spent_before)
            ours(fresh)
            floors.append((before + timed(floor)) / 2)
            ratios.append(floors[-1] / took[-1])
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(median, 2),
        "from": round(low, 2),
        "to": round(high, 2),
        "bytes a record": size,
        "floor us": round(statistics.median(floors) / len(sent) * 1e6, 1),
        "us": round(statistics.median(took) / len(sent) * 1e6, 1),
        "us of CPU": round(statistics.median(spent) / len(sent) * 1e6, 1),
        "floor us of CPU": round(statistics.median(floors_spent) / len(sent) * 1e6, 1),
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
