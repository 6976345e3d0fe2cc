"""What a version is watched against: counts of what it was trained and judged on.

They are made once, when the version is registered, and kept among its files; nothing is ever
computed again from data that may have moved since. They hold counts and no one's row, and a value
that fewer than five people have is kept as a digest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.canonical import sha256_file
from pipelines.contract import Column, Contract
from pipelines.data import cube, sketch
from pipelines.data.cube import Cube, CubeTally, GroupCoder
from pipelines.data.groups import as_text, groups
from pipelines.data.lookup import BinLookup
from pipelines.data.parquet import in_blocks
from pipelines.data.sketch import Axis, Codes, Floats, NumberAxis, Numbers, Sketch
from pipelines.data.snapshot import frames
from pipelines.errors import IntegrityBroken
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout, Model
from pipelines.model.group_metrics import group_columns
from pipelines.params import read as read_params
from pipelines.records import Candidate, Evaluation, Record, Snapshot
from pipelines.release.influence import Influenced, of_test
from pipelines.typed import read_json

NUMBERS: Final = frozenset({"integer", "number"})
CATEGORIES: Final = frozenset({"string", "boolean"})
WATCHED: Final = frozenset({"feature", "protected"})
SAMPLE: Final = 200_000
MOST_VALUES: Final = 20_000
APPROVED, DECLINED = cube.OUTCOMES.index("approve"), cube.OUTCOMES.index("decline")
UNFAVOURABLE, FAVOURABLE = (cube.LABELS.index(each) for each in ("unfavourable", "favourable"))


class Scored(Record, frozen=True):
    """The margins of people by bin of the margin axis, outcome and label, and their moments.

    `counts` has, a bin after the other, one number for each outcome and label.
    """

    margins: Numbers
    counts: tuple[int, ...]

    def table(self) -> sketch.Counts:
        """Return the counts, shape (bins, outcomes, labels)."""
        shape = (-1, len(cube.OUTCOMES), len(cube.LABELS))
        return np.array(self.counts, dtype=np.int64).reshape(shape)


class Baseline(Record, frozen=True):
    """One version's reference.

    `columns` are counted over the whole snapshot, along `axes`. `former` tells how the former
    procedure decided about those people (its target as the outcome). `tested` and `scored` are the
    model's decisions on the test part, with the target as label. `groups` are the names known.
    `influence` is how each attribute drove the score there; a version from before that has none.
    """

    snapshot_id: str
    candidate_id: str
    contract_sha256: str
    rows: int
    axes: dict[str, Axis]
    columns: dict[str, Sketch]
    groups: dict[str, tuple[str, ...]]
    former: Cube
    tested: Cube
    margin_axis: NumberAxis
    scored: Scored
    influence: tuple[Influenced, ...] = ()


def watched(contract: Contract) -> tuple[Column, ...]:
    """Return the columns that are counted: features and protected columns, dates left out."""
    kinds = NUMBERS | CATEGORIES
    return tuple(c for c in contract.columns if c.role in WATCHED and c.kind in kinds)


def batches(path: Path, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in blocks, texts as dictionaries."""
    texts = [each.name for each in columns if each.kind == "string"]
    file = in_blocks(path, texts)
    names = [each.name for each in columns]
    yield from file.iter_batches(sketch.BLOCK, columns=names)


def number_axes(path: Path, columns: tuple[Column, ...]) -> dict[str, Axis]:
    """Return how each numeric column is to be counted, from row groups spread over the file."""
    names = [each.name for each in columns if each.kind in NUMBERS]
    file = in_blocks(path)
    rows, groups_there = file.metadata.num_rows, file.num_row_groups
    taken = min(groups_there, max(1, math.ceil(groups_there * SAMPLE / max(rows, 1))))
    chosen = sorted({place * groups_there // taken for place in range(taken)})
    found: dict[str, Axis] = {}
    for name in names:
        table = file.read_row_groups(chosen, columns=[name])
        parts = [sketch.floats(chunk) for chunk in table.column(0).chunks]
        values = np.concatenate(parts) if parts else np.empty(0)
        found[name] = sketch.number_axis(values[:: max(1, len(values) // SAMPLE)])
    return found


def counted(path: Path, columns: tuple[Column, ...]) -> tuple[dict[str, Axis], dict[str, Sketch]]:
    """Return each column's axis and its sketch over a Parquet file: the reference's own.

    Numbers are counted along axes from a sample; texts are counted whole and their axis follows.
    """
    axes = number_axes(path, columns)
    numbers = {name: sketch.tally(axis) for name, axis in axes.items()}
    texts = {each.name: _Texts() for each in columns if each.name not in axes}
    for batch in batches(path, columns):
        for name, tally in numbers.items():
            tally.add(batch.column(name))
        for name, text in texts.items():
            text.add(batch.column(name))
    axes |= {name: sketch.category_axis(each.counts, each.whole) for name, each in texts.items()}
    found = {name: tally.sketch() for name, tally in numbers.items()}
    found |= {name: each.sketch(axes[name]) for name, each in texts.items() if each.whole}
    rest = tuple(each for each in columns if each.name not in found)
    found |= columns_of(path, rest, {each.name: axes[each.name] for each in rest})
    names = [each.name for each in columns]
    return {name: axes[name] for name in names}, {name: found[name] for name in names}


@dataclass
class _Texts:
    """Counts the first values of a column, whatever they are."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    whole: bool = True

    def add(self, values: pa.Array) -> None:
        """Count a batch."""
        self.rows += len(values)
        for text, count in sketch.counted(values):
            if text in self.counts or len(self.counts) < MOST_VALUES:
                self.counts[text] += count
            else:
                self.whole = False

    def sketch(self, axis: Axis) -> Sketch:
        """Return what was counted, along the axis that follows from it."""
        tally = sketch.tally(axis)
        if isinstance(tally, sketch.CategoryTally):
            tally.add_counted(self.counts.items(), self.rows)
        return tally.sketch()


def columns_of(
    path: Path, columns: tuple[Column, ...], along: dict[str, Axis]
) -> dict[str, Sketch]:
    """Return the columns of a Parquet file, counted in one pass."""
    tallies = {name: sketch.tally(axis) for name, axis in along.items()}
    if tallies:
        for batch in batches(path, columns):
            for name, tally in tallies.items():
                tally.add(batch.column(name))
    return {name: tally.sketch() for name, tally in tallies.items()}


def former_procedure(path: Path, contract: Contract, names: dict[str, tuple[str, ...]]) -> Cube:
    """Return how the former procedure decided, by groups: its target is the outcome."""
    coder, tally = GroupCoder(contract, names), CubeTally(names)
    protected = tuple(c for c in contract.columns if c.protected)
    asked = (*protected, *(c for c in (contract.target,) if c not in protected))
    for batch in batches(path, asked):
        favourable = _is_favourable(batch.column(contract.target.name), contract.target)
        outcomes = np.where(favourable, APPROVED, DECLINED)
        tally.add(coder.codes(batch), outcomes, np.zeros(len(outcomes), dtype=np.int64))
    return tally.cube()


def _is_favourable(values: pa.Array, target: Column) -> np.ndarray:
    texts = as_text(values.to_pandas(), target)
    wanted = as_text(pd.Series([target.favourable], dtype=object), target)[0]
    return np.asarray(texts == wanted)


def margin_axis(margins: Floats, candidate: Candidate) -> NumberAxis:
    """Return the bins of the margin: quantiles, and the very points at which decisions change."""
    threshold, half = (
        float.fromhex(candidate.threshold),
        float.fromhex(candidate.refer_band) / 2.0,
    )
    points = {float(np.nextafter(at, -np.inf)) for at in (threshold - half, threshold + half)}
    found = sketch.number_axis(margins)
    return NumberAxis(
        edges=tuple(sorted({*found.edges, *points})),
        centre=found.centre,
        exponent=found.exponent,
    )


def outcomes_at(margins: Floats, candidate: Candidate) -> Codes:
    """Return what the model decides at these margins, as places in `cube.OUTCOMES`."""
    threshold, half = (
        float.fromhex(candidate.threshold),
        float.fromhex(candidate.refer_band) / 2.0,
    )
    referred = np.full(len(margins), cube.OUTCOMES.index("refer"))
    below = np.where(margins < threshold - half, DECLINED, referred)
    return np.where(margins >= threshold + half, APPROVED, below)


@dataclass
class ScoredTally:
    """Counts margins with outcome and label."""

    axis: NumberAxis

    def __post_init__(self) -> None:
        self._margins = sketch.NumberTally(self.axis)
        self._bins = BinLookup(self.axis)
        self._shape = (len(self.axis.edges) + 2, len(cube.OUTCOMES), len(cube.LABELS))
        self._counts = np.zeros(self._shape, dtype=np.int64)

    def add(self, margins: Floats, outcomes: Codes, labels: Codes) -> Codes:
        """Count people, and return each one's bin; a margin that is not finite has one of its own.

        That one comes after the last, and its people are counted as missing.
        """
        bins = self._bins.of(margins)
        there = np.isfinite(margins)
        if not there.all():
            margins = np.where(there, margins, np.nan)
            bins[~there] = len(self.axis.edges) + 1
        self._margins.add(margins)
        code = bins * len(cube.OUTCOMES)
        code += outcomes
        code *= len(cube.LABELS)
        code += labels
        self._counts += np.bincount(code, minlength=self._counts.size).reshape(self._shape)
        return bins

    def scored(self) -> Scored:
        """Return what was counted."""
        counts = tuple(self._counts[:-1].ravel().tolist())
        return Scored(margins=self._margins.sketch(), counts=counts)


def of_scores(
    scores: pd.DataFrame, candidate: Candidate, names: dict[str, tuple[str, ...]]
) -> tuple[Cube, NumberAxis, Scored]:
    """Return the model's decisions on the test part: by groups, and by margin."""
    margins = scores["margin"].to_numpy(np.float64)
    outcomes = outcomes_at(margins, candidate)
    labels = np.where(scores["target"].to_numpy(np.int64) == 1, FAVOURABLE, UNFAVOURABLE)
    tally, columns = CubeTally(names), group_columns(scores)
    codes = [_codes(scores[columns[name]], each) for name, each in names.items()]
    tally.add(codes, outcomes, labels)
    axis = margin_axis(margins, candidate)
    scored = ScoredTally(axis)
    scored.add(margins, outcomes, labels)
    return tally.cube(), axis, scored.scored()


def _codes(named: pd.Series, names: tuple[str, ...]) -> Codes:
    places = {name: place for place, name in enumerate(names)}
    new = places[cube.NEW]
    return np.array([places.get(str(each), new) for each in named], dtype=np.int64)


def make(layout: Layout) -> Baseline:
    """Make the baseline of a checkout's candidate. Raises NotThere, IntegrityBroken."""
    candidate = read_json(Model(layout.candidate).record, Candidate)
    snapshot = read_json(layout.snapshot_record, Snapshot)
    contract = read_json(layout.snapshot_contract, Contract)
    scores = _scores(EvaluationFiles(layout.evaluation))
    columns, path = watched(contract), layout.snapshot_rows
    along, sketches = counted(path, columns)
    names = _group_names(path, contract)
    tested, margins, scored = of_scores(scores, candidate, names)
    return Baseline(
        snapshot_id=snapshot.id,
        candidate_id=candidate.id,
        contract_sha256=contract.sha256,
        rows=snapshot.rows,
        axes=along,
        columns=sketches,
        groups=names,
        former=former_procedure(path, contract, names),
        tested=tested,
        margin_axis=margins,
        scored=scored,
        influence=of_test(layout, candidate, contract, read_params(layout.params).watch),
    )


def _scores(files: EvaluationFiles) -> pd.DataFrame:
    expected = read_json(files.record, Evaluation).scores_sha256
    if (observed := sha256_file(files.scores)) != expected:
        raise IntegrityBroken("the scores were changed", observed=observed, expected=expected)
    return pd.read_parquet(files.scores)


def _group_names(path: Path, contract: Contract) -> dict[str, tuple[str, ...]]:
    """Return each attribute's groups that at least five people of the snapshot belong to."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in contract.attributes}
    for frame in frames(path):
        named = groups(frame, contract)
        for name, counter in counts.items():
            counter.update(named[name].astype(str).tolist())
    kept = {
        name: [each for each, count in counter.items() if count >= sketch.NAMED_FROM]
        for name, counter in counts.items()
    }
    return cube.known_groups(kept)
