"""One piece of work of `benchmarks.watch`, in a process of its own: prints CPU seconds and peak."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.contract import Contract
    from pipelines.release.baseline import Baseline
    from pipelines.watch.profile import WindowProfile

NUMBERS, TEXTS = [f"n{place}" for place in range(12)], [f"k{place}" for place in range(8)]
PROTECTED = TEXTS[:3]
Work = Callable[..., float | None]


WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
NEED_BASELINE = {"window", "window_bias", "partitions", "merge"}


def sure(condition: object) -> None:
    """Raise where a result is not what it must be: what is measured must have been done."""
    if not condition:
        raise RuntimeError


def contract(*, protected: bool) -> Contract:
    """Return the contract of the made-up rows."""
    from pipelines.contract import Column, Contract, Protected

    numbers = [Column(name=name, role="feature", kind="number") for name in NUMBERS]
    texts = [
        Column(
            name=name,
            role="protected" if protected and name in PROTECTED else "feature",
            kind="string",
            protected=Protected(attribute=name) if protected and name in PROTECTED else None,
        )
        for name in TEXTS
    ]
    return Contract(name="made up", version="1", columns=(*numbers, *texts))


def read(_: Path, window: Path, times: int = 1) -> None:
    """Read the columns, and nothing else."""
    from pipelines.release import baseline

    for _time in range(times):
        for _batch in baseline.batches(window, baseline.watched(contract(protected=False))):
            pass


def made_baseline(reference: Path, *, protected: bool) -> Baseline:
    """Count a reference as registering a version does."""
    import numpy as np

    from pipelines.data import cube, sketch
    from pipelines.data.cube import Cube
    from pipelines.release import baseline

    told = contract(protected=protected)
    axes, columns = baseline.counted(reference, baseline.watched(told))
    known = {n: [k for k in axes[n].known if k[0] != "#"] for n in told.attributes}  # type: ignore[union-attr]
    axis = sketch.number_axis(np.linspace(-3.0, 5.0, 2000))
    empty = Cube(attributes=told.attributes, cells=())
    return baseline.Baseline(
        snapshot_id="",
        candidate_id="",
        contract_sha256="",
        rows=0,
        axes=axes,
        columns=columns,
        groups=cube.known_groups(known),
        former=empty,
        tested=empty,
        margin_axis=axis,
        scored=baseline.ScoredTally(axis).scored(),
    )


def profiled(window: Path, made: Baseline, *, protected: bool) -> WindowProfile:
    """Profile a window, with outcomes and groups or without."""
    from pipelines.watch.profile import WindowTally, of_parquet

    columns = None if protected else [*NUMBERS, *TEXTS]
    return of_parquet(window, lambda: WindowTally(made, "", contract(protected=protected)), columns)


def judged(profile: WindowProfile, made: Baseline, *, protected: bool) -> None:
    """Judge drift, and bias where there are groups."""
    import numpy as np

    from pipelines.release.checks.bias import Thresholds
    from pipelines.watch import bias, drift
    from pipelines.watch.tables import tables
    from pipelines.watch_params import WatchParams

    limits = WatchParams()
    found = drift.of_columns(profile.columns, made.columns, made.axes, limits)
    sure(len(found) > len(NUMBERS))
    if protected:
        pack = Thresholds(
            definition="selection_rate",
            attributes=("*",),
            intersections="gate",
            min_ratio=0.8,
            max_difference=0.1,
            alpha=0.05,
            min_group_size=30,
        )
        judge = bias.Judge(pack, limits, tuple(PROTECTED), np.random.default_rng(1))
        rows = [one for each in tables(profile.cube, 3) for one in judge.compared(each)]
        sure(len(rows) > 10)  # noqa: PLR2004
        sure(bias.ll144_summary(profile))


def stored(reference: Path, *, protected: bool) -> Baseline:
    """Return the baseline as a version holds it; made once, in a process before."""
    from pipelines.release.baseline import Baseline
    from pipelines.typed import read_json

    path = reference.with_suffix(f".{int(protected)}.json")
    if not path.exists():
        made_baseline(reference, protected=protected).write(path)
    return read_json(path, Baseline)


def watch(reference: Path, window: Path, times: int = 1, *, protected: bool = False) -> None:
    """Watch as it is done: the baseline is stored, the window is read and judged.

    With more `times` than one the file is counted as so many partitions, which are merged.
    """
    from pipelines.watch.profile import merge

    made = stored(reference, protected=protected)
    found = profiled(window, made, protected=protected)
    for _time in range(1, times):
        found = merge(found, profiled(window, made, protected=protected))
    judged(found, made, protected=protected)


def both(reference: Path, window: Path, *, protected: bool = False) -> None:
    """Count both sides and judge: what the peers do."""
    made = made_baseline(reference, protected=protected)
    judged(profiled(window, made, protected=protected), made, protected=protected)


def counted(reference: Path, path: Path) -> bytes:
    """Count one partition, as its task does, and return the bytes it would write."""
    made = stored(reference, protected=True)
    return profiled(path, made, protected=True).canonical()


def partitions(reference: Path, folder: Path, workers: int = 1) -> None:
    """Count every file of a folder by so many processes, and merge what they wrote."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(workers) as pool:
        merged(list(pool.map(partial(counted, reference), sorted(folder.iterdir()))))


def merged(written: Sequence[bytes]) -> None:
    """Read and add profiles."""
    import msgspec

    from pipelines.watch.profile import WindowProfile, merge

    reduce(merge, (msgspec.json.decode(each, type=WindowProfile) for each in written))


def merge(reference: Path, folder: Path) -> float:
    """Return the CPU seconds that merging alone takes, of 64 profiles."""
    files = sorted(folder.iterdir())
    written = [counted(reference, files[0])] * len(files)
    start = time.process_time()
    merged(written)
    return time.process_time() - start


def exact(reference: Path, window: Path) -> None:
    """Sort every column whole with numpy: exact Wasserstein and Jensen-Shannon, no moments kept."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from scipy.spatial.distance import jensenshannon

    files = [pq.ParquetFile(path, read_dictionary=TEXTS) for path in (reference, window)]
    for name in NUMBERS:
        sides = []
        for file in files:
            values = file.read([name]).column(0).to_numpy()
            values = np.sort(values[~np.isnan(values)])
            sides.append(values)
        size = min(map(len, sides))
        one, two = (v[:: max(1, len(v) // size)][:size] for v in sides)
        sure(np.abs(one - two).mean() / sides[0].std() >= 0.0)
    for name in TEXTS:
        counts = []
        for file in files:
            found = pc.value_counts(file.read([name]).column(0).combine_chunks())
            counts.append({str(e["values"]): e["counts"].as_py() for e in found})
        keys = sorted(counts[0].keys() | counts[1].keys())
        sure(jensenshannon(*([c.get(k, 0) for k in keys] for c in counts)) >= 0.0)


def evidently(reference: Path, window: Path) -> None:
    """Run Evidently's DataDriftPreset on both files."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [*NUMBERS, *TEXTS]
    told = DataDefinition(
        numerical_columns=NUMBERS,
        categorical_columns=TEXTS,
        text_columns=[],
        datetime_columns=[],
        unknown_columns=[],
        list_columns=[],
    )
    sides = [
        Dataset.from_pandas(pd.read_parquet(path, columns=names), told)
        for path in (window, reference)
    ]
    Report([DataDriftPreset()]).run(*sides).dict()


def polars(reference: Path, window: Path) -> None:
    """Histograms of 200 bins and value counts, streamed by Polars."""
    import numpy as np
    import polars as pl

    edges = {}
    sample = pl.scan_parquet(reference).select(NUMBERS).head(200_000).collect()
    for name in NUMBERS:
        values = sample[name].fill_nan(None).drop_nulls().to_numpy()
        edges[name] = np.unique(np.quantile(values, np.arange(1, 200) / 200)).tolist()
    for path in (reference, window):
        frame = pl.scan_parquet(path)
        wanted = [
            pl.col(n).fill_nan(None).cut(edges[n]).to_physical().value_counts().implode().alias(n)
            for n in NUMBERS
        ] + [pl.col(n).value_counts().implode().alias(n) for n in TEXTS]
        found = frame.select(wanted).collect(engine="streaming")
        sure(found.height == 1)


def nannyml(reference: Path, window: Path) -> None:
    """Run NannyML's univariate drift: Wasserstein and Jensen-Shannon, one chunk."""
    import nannyml as nml
    import pandas as pd

    names = [*NUMBERS, *TEXTS]
    one, two = (pd.read_parquet(path, columns=names) for path in (reference, window))
    calculator = nml.UnivariateDriftCalculator(
        column_names=names,
        continuous_methods=["wasserstein"],
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    )
    calculator.fit(one)
    calculator.calculate(two)


WORKS: dict[str, Work] = {
    "read": read,
    "window": watch,
    "drift": both,
    "window_bias": partial(watch, protected=True),
    "drift_bias": partial(both, protected=True),
    "partitions": partitions,
    "merge": merge,
    "exact": exact,
    "evidently": evidently,
    "polars": polars,
    "nannyml": nannyml,
}


def imported(work: str) -> None:
    """Import what a piece of work needs: that is not measured."""
    needed = {
        "evidently": ("evidently.presets", "pandas"),
        "polars": ("polars", "numpy"),
        "nannyml": ("nannyml", "pandas"),
        "exact": ("numpy", "pyarrow.parquet", "scipy.spatial.distance"),
    }
    own = ("pipelines.watch.bias", "pipelines.watch.drift", "pipelines.watch.profile")
    for name in needed.get(work, own):
        __import__(name)


def main() -> None:
    """Do one piece of work and print what it took, its processes' included."""
    work, reference, window = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    imported(work)
    if work in NEED_BASELINE:
        stored(reference, protected=work != "window")
    before, start = _used(), time.monotonic()
    answer = WORKS[work](reference, window, *map(int, sys.argv[4:]))
    done = {"cpu": _used() - before, "wall": time.monotonic() - start}
    found = {"cpu": answer, "wall": answer} if answer else done
    peak = max(resource.getrusage(who).ru_maxrss for who in WHO) / 1024.0
    print(json.dumps(found | {"peak_mb": peak}))


def _used() -> float:
    used = [resource.getrusage(who) for who in WHO]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
