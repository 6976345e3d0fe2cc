"""Measure the watch beside Evidently, exact passes and the bare read: drift, bias, size, workers.

    python -m benchmarks.watch [--large 3000000 10000000] [--peers PYTHON] [--skip-evidently]

Reference and window have 12 numeric and 8 text columns (2 to 500 values, the more frequent the
more), three of them protected, 2 % of one column missing; zstd Parquet in row groups of 131,072.
Each figure is a process of its own: CPU seconds (user and system) of the work without imports, and
the process' peak memory. `--peers` names a Python that has Polars and NannyML, which Clew has not.
`--large` are sizes of the window alone; from the last of them on, the same file is read three and
ten times over, as that many partitions. Then a window of 64 files is counted by one and by two
processes, and merged.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUMBERS, CARDINALITIES = 12, (2, 3, 5, 10, 20, 50, 100, 500)
GROUP_ROWS = 131_072
MISSING = 0.02
WATCHED = (
    "read",
    "window",
    "drift",
    "drift_bias",
    "window_bias",
    "exact",
    "evidently",
)
PEERS = ("polars", "nannyml")
LARGE = ("read", "window", "window_bias")
REPEATED = (3, 10)
PARTITIONS = 64
# One thread in numerical libraries, and no peer tells anybody that it was used.
QUIET = {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PATH": ""}


def write(path: Path, rows: int, seed: int) -> None:
    """Write made-up rows; the same seed gives the same file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, writer = np.random.default_rng(seed), None
    draws = (
        lambda n: rng.normal(50.0, 10.0, n),
        lambda n: rng.gamma(2.0, 5.0, n),
        lambda n: rng.lognormal(1.0, 0.6, n),
        lambda n: rng.uniform(0.0, 1.0, n),
    )
    for start in range(0, rows, 1_000_000):
        size = min(1_000_000, rows - start)
        columns = {f"n{place}": draws[place % 4](size) for place in range(NUMBERS)}
        columns["n5"][rng.random(size) < MISSING] = np.nan
        arrays = {name: pa.array(values) for name, values in columns.items()}
        for place, kinds in enumerate(CARDINALITIES):
            weights = 1.0 / np.arange(1, kinds + 1)
            codes = rng.choice(kinds, size, p=weights / weights.sum()).astype(np.int32)
            names = pa.array([f"k{place}_{number}" for number in range(kinds)])
            arrays[f"k{place}"] = pa.DictionaryArray.from_arrays(codes, names).cast(pa.string())
        margin = rng.normal(1.0, 1.0, size)
        arrays["log_odds"] = pa.array(margin)
        arrays["decision"] = pa.array(np.where(margin > 0, "approve", "decline"))
        table = pa.table(arrays)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=GROUP_ROWS)
    if writer:
        writer.close()


def measured(python: str, work: str, *words: str) -> dict[str, float]:
    """Run one piece of work in a process of its own."""
    done = subprocess.run(
        [python, str(Path(__file__).with_name("watch_work.py")), work, *words],
        cwd=ROOT,
        env=QUIET | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"cpu": float("nan"), "peak_mb": float("nan"), "error": done.stderr[-300:]}  # type: ignore[dict-item]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def shown(work: str, rows: int, found: dict[str, float]) -> None:
    """Print one line of the table."""
    error = found.get("error", "")
    print(
        f"| {work} | {rows:,} | {found['cpu']:.2f} | {found.get('wall', 0.0):.2f} "
        f"| {found['peak_mb']:.0f} | {error}",
        flush=True,
    )


def main() -> None:
    """Run every piece of work that was asked for, three times, and print the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, nargs="*", default=[])
    parser.add_argument("--peers")
    parser.add_argument("--skip-evidently", action="store_true")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = asked.folder or Path(folder)
        print("| work | rows | CPU s | wall s | peak MB |\n|---|---|---|---|---|")
        reference = written(place / f"reference-{asked.rows}.parquet", asked.rows, 1)
        window = written(place / f"window-{asked.rows}.parquet", asked.rows, 2)
        for work in WATCHED:
            if not (asked.skip_evidently and work == "evidently"):
                median(asked, sys.executable, work, asked.rows, reference, window)
        for work in PEERS if asked.peers else ():
            median(asked, asked.peers, work, asked.rows, reference, window)
        for rows in asked.large:
            larger = written(place / f"window-{rows}.parquet", rows, 2)
            for work in LARGE:
                median(asked, sys.executable, work, rows, reference, larger)
        for times in REPEATED if asked.large else ():
            for work in LARGE:
                rows = asked.large[-1] * times
                median(asked, sys.executable, work, rows, reference, larger, str(times))
        if asked.large:
            partitions(asked, place, reference)


def written(path: Path, rows: int, seed: int) -> Path:
    """Return a file of made-up rows, made where it is not there."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write(path, rows, seed)
    return path


def median(
    asked: argparse.Namespace, python: str, work: str, rows: int, *words: str | Path
) -> None:
    """Do a piece of work so often, and print the run of median CPU."""
    times = 1 if work == "evidently" or rows > asked.rows * 10 else int(asked.times)
    runs = [measured(python, work, *map(str, words)) for _ in range(times)]
    shown(work, rows, sorted(runs, key=lambda run: run["cpu"])[len(runs) // 2])


def partitions(asked: argparse.Namespace, place: Path, reference: Path) -> None:
    """Count a window of many files by one and by two processes."""
    rows = asked.large[-1] // PARTITIONS
    for number in range(PARTITIONS):
        written(place / "parts" / f"{number}.parquet", rows, 100 + number)
    for workers in (1, 2):
        median(
            asked,
            sys.executable,
            "partitions",
            rows * PARTITIONS,
            reference,
            place / "parts",
            str(workers),
        )
    median(asked, sys.executable, "merge", rows * PARTITIONS, reference, place / "parts")


if __name__ == "__main__":
    main()
