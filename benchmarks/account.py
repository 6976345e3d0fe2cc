"""Measure answering for decisions: trace, replay, bulk replay, counterfactuals.

    python -m benchmarks.account [--entries 1000000] [--bulk 100000] [--part NAME]...

A linear model and one of 100 trees are trained on the default data and decide about its test part
again and again, every time as somebody else, in a ledger of SQLite. Figures of work are seconds of
processor time, of this process and of the one that decides again, so that neighbours do not count;
wall time is given beside them. bubblewrap does not tell the time of what ran in it, so bulk work is
counted in a plain process, which does the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import msgspec

from benchmarks.scoring import BOOSTED, default_data
from pipelines import params
from pipelines.account import keep
from pipelines.account.again import Where
from pipelines.account.counterfactual import nearest_changes
from pipelines.account.pins import Pins
from pipelines.account.replay import replay
from pipelines.account.replay_many import replay_many
from pipelines.account.then import Then, said
from pipelines.account.trace import trace
from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data import files as data_files
from pipelines.decisions.record import as_number
from pipelines.environments import model_python
from pipelines.layout import Layout, State
from pipelines.ledger.entry import Draft
from pipelines.model import environment, parts, proof, reference, score, store, train
from pipelines.model.rows import rows
from pipelines.params import Recipe
from pipelines.records import Candidate, ModelVersion, Promotion, Split
from pipelines.release import policy as packs
from pipelines.release.version_files import VersionFiles
from pipelines.typed import read_json
from tests.account.world import World, promote, register
from tests.decisions import versions

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15
BLOCK = 5000
ELSEWHERE = 5000
SLOWER = 5  # so many times fewer decisions by trees
SUBJECT = "application_id"
PARTS = ("replay", "counterfactual", "trace", "offline")
OTHERWISE = {
    "Haswell kernel": {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"},
    "Sandybridge kernel": {"OPENBLAS_CORETYPE": "Sandybridge", "OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work took: seconds of wall time and of processor time."""

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """Do a piece of work and return what it took, child processes that ended included."""
    before, start = _cpu(), time.perf_counter()
    work()
    return Spent(time.perf_counter() - start, _cpu() - before)


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def version(layout: Layout, recipe: Recipe, folder: Path) -> tuple[VersionFiles, ModelVersion]:
    """Train a recipe on the default data and write its version's folder."""
    folder.mkdir(parents=True)
    files = VersionFiles(folder)
    split = read_json(layout.split_record, Split)
    frames = [parts.read(layout, split, name) for name in ("train", "test")]  # type: ignore[arg-type]
    settings = params.read(layout.params)
    trained = train.train(recipe, read_json(layout.snapshot_contract, Contract), frames[0])
    kind = score.KINDS[type(trained.model.named_steps[score.ESTIMATOR]).__name__]
    compared = reference.make(
        trained.model, kind, frames[0], trained.threshold, settings.decide.reference
    )
    if compared is None:
        raise SystemExit("the model has no plan")
    compared.write(files.reference)
    sha256 = store.save(trained.model, files.model)
    proof.prove(trained.model, kind, sha256, frames).write(files.plan_proof)
    for source, target in (
        (layout.snapshot_contract, files.contract),
        (data_files.profile(layout), files.profile),
        (layout.snapshot_record, files.snapshot),
        (layout.split_record, files.split),
        (layout.model_lock, files.lock),
    ):
        shutil.copyfile(source, target)
    described = environment.describe(layout.model_lock)
    described.write(files.environment)
    candidate = Candidate(
        recipe=recipe.estimator,
        estimator=recipe.estimator,
        model_sha256=sha256,
        split_id=split.id,
        snapshot_id=split.snapshot_id,
        params_sha256="",
        environment_id=described.id,
        features=trained.features,
        threshold=trained.threshold.hex(),
        margin=kind,
        reference_sha256=sha256_file(files.reference),
    )
    candidate.write(files.record)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    record = ModelVersion(
        model_name="people",
        version="",
        candidate_id=candidate.id,
        model_sha256=sha256,
        verdict_id="",
        passed=True,
        run_id=recipe.estimator,
        commit=commit,
        registry_run="",
        files_sha256="",
    )
    return files, versions.judged(files, record, packs.read(Layout(ROOT), settings.policy))


@contextmanager
def world(folder: Path, layout: Layout, recipe: Recipe) -> Iterator[tuple[World, Promotion]]:
    """Give a registry with one version in force, and a ledger."""
    made = World(folder)
    registered = register(made.registry, *version(layout, recipe, folder / "made"))
    yield made, promote(made.registry, registered.version)
    made.close()


def applications(made: World, promotion: Promotion, layout: Layout) -> list[bytes]:
    """Return the default data's test part as requests."""
    split = read_json(layout.split_record, Split)
    model = made.loaded(promotion)[0]
    frame = parts.read(layout, split, "test")
    found = rows(frame, list(model.admission.fields))
    return [msgspec.json.encode({k: v for k, v in row.items() if v is not None}) for row in found]


def replays(
    made: World, promotion: Promotion, sent: list[bytes], where: Where, bulk: int
) -> dict[str, object]:
    """Measure one replay with everything at hand, and many."""
    (one,) = made.decide(promotion, sent[:1])
    number = as_number(one.id)
    cold = spent(lambda: replay(made.ledger, where, number, "bench"))
    by_plan = [spent(lambda: replay(made.ledger, where, number, "bench")) for _ in range(ROUNDS)]
    from_model = replace(where, from_model=True)
    whole = [spent(lambda: replay(made.ledger, from_model, number, "bench")) for _ in range(5)]
    first = made.ledger.checkpoint()[0].size
    for start in range(0, bulk, BLOCK):
        ends = range(start, min(bulk, start + BLOCK))
        made.decide(promotion, [somebody(sent[at % len(sent)], at) for at in ends])
    counted = replace(where, sandbox="process")
    few = spent(lambda: replay_many(made.ledger, counted, range(first, first + 1), "bench"))
    found = []
    indices = range(first, first + bulk)
    many = spent(lambda: found.append(replay_many(made.ledger, counted, indices, "bench")))
    return {
        "first replay of a version, wall s": round(cold.wall, 2),
        "one replay by the kept plan, wall s": _median([each.wall for each in by_plan]),
        "one replay from the model, wall s": _median([each.wall for each in whole]),
        "replayed": found[0].replayed,
        "counts": found[0].counts,
        "decisions/s a core, start included": round(bulk / many.cpu),
        "decisions/s a core, start left out": round(bulk / (many.cpu - few.cpu)),
        "decisions/s of wall time": round(bulk / many.wall),
        "elsewhere": elsewhere(made, where, range(first, first + min(bulk, ELSEWHERE))),
    }


def somebody(data: bytes, number: int) -> bytes:
    """Return an application as somebody else's."""
    told = msgspec.json.decode(data)
    return msgspec.json.encode(told | {SUBJECT: f"{told[SUBJECT]}-{number}"})


def elsewhere(made: World, where: Where, indices: range) -> dict[str, object]:
    """Replay under other BLAS kernels and thread counts than those of the training."""
    found: dict[str, object] = {}
    for name, variables in OTHERWISE.items():
        other = Pins(variables, ())
        with patch("pipelines.account.again.pins", return_value=other):
            many = replay_many(made.ledger, where, indices, "bench")
        (told,) = many.surroundings.values()
        found[name] = {"counts": many.counts, "blas": told.blas}
    return found


def changes(made: World, promotion: Promotion, sent: list[bytes]) -> dict[str, object]:
    """Measure three counterfactuals of everybody declined."""
    model, _ = made.loaded(promotion)
    files = VersionFiles(made.folder / "made")
    times, cells, none, capped = [], [], 0, 0
    for data in sent:
        application = model.admission.admit(data)
        answer = said(model, application)
        if answer.outcome != "decline":
            continue
        asked = Then(model, files, data, application, answer)
        start = time.process_time()
        told = nearest_changes(asked, "")
        times.append(time.process_time() - start)
        cells.append(told.cells)
        none += not told.found
        capped += "stopped" in told.bound
    return {
        "declined": len(times),
        "three counterfactuals, median ms": round(statistics.median(times) * 1e3, 2),
        "longest ms": round(max(times) * 1e3, 1),
        "median combinations": statistics.median(cells),
        "nothing allowed would do": none,
        "searches that stopped": capped,
    }


def traces(made: World, promotion: Promotion, sent: list[bytes], entries: int) -> dict[str, object]:
    """Measure traces in a log of so many entries."""
    found = made.decide(promotion, sent[:ROUNDS])
    left = entries - made.ledger.checkpoint()[0].size
    filling = spent(
        lambda: [
            made.ledger.record_many(
                Draft("note", {"n": at}) for at in range(start, min(left, start + BLOCK))
            )
            for start in range(0, left, BLOCK)
        ]
    )
    trace(made.ledger, made.opened, as_number(found[0].id), made.state)
    times = [
        spent(lambda each=each: trace(made.ledger, made.opened, as_number(each.id), made.state))  # type: ignore[misc]
        for each in found
    ]
    return {
        "entries": made.ledger.checkpoint()[0].size,
        "filled in, s": round(filling.wall),
        "trace, median wall ms": _median([each.wall * 1e3 for each in times]),
        "trace, longest wall ms": round(max(each.wall for each in times) * 1e3, 1),
        "trace, median processor ms": _median([each.cpu * 1e3 for each in times]),
    }


def offline(folder: Path) -> dict[str, object]:
    """Measure building the model's environment out of kept wheels, with no index and no cache."""
    state = State(folder / "offline")
    lock = Layout(ROOT).model_lock
    kept = keep.keep(lock, state)
    nowhere = {"UV_INDEX_URL": "http://127.0.0.1:9", "UV_CACHE_DIR": str(folder / "empty")}
    with patch.dict(os.environ, nowhere):
        took = spent(lambda: model_python(lock, state))
    return {
        "wheels": kept.wheels,
        "MB": kept.bytes // 10**6,
        "environment built, wall s": round(took.wall, 1),
        "environment built, processor s": round(took.cpu, 1),
    }


def _median(found: list[float]) -> float:
    return round(statistics.median(found), 2)


def decided(folder: Path, parts: Sequence[str], bulk: int, entries: int) -> dict[str, object]:
    """Measure what needs versions that decided."""
    data = folder / "data"
    data.mkdir()
    layout, found = default_data(data), dict[str, object]()
    linear = msgspec.structs.replace(params.read(layout.params).recipe, mitigation=None)
    for name, recipe, many in (("linear", linear, bulk), ("trees", BOOSTED, bulk // SLOWER)):
        if name == "trees" and not {"replay", "counterfactual"} & set(parts):
            continue
        with world(folder / name, layout, recipe) as (made, promotion):
            sent = applications(made, promotion, layout)
            where = Where(made.state, ROOT, made.opened)
            if "replay" in parts:
                found[f"{name}: replay"] = replays(made, promotion, sent, where, many)
            if "counterfactual" in parts:
                found[f"{name}: counterfactual"] = changes(made, promotion, sent)
            if name == "linear" and "trace" in parts:
                found["trace"] = traces(made, promotion, sent, entries)
    return found


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--bulk", type=int, default=100_000)
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    asked = parser.parse_args()
    parts = asked.part or PARTS
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
        if "offline" in parts:
            found["offline"] = offline(Path(folder))
        if set(parts) != {"offline"}:
            found |= decided(Path(folder), parts, asked.bulk, asked.entries)
    json.dump(found, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
