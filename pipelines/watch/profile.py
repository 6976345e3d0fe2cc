"""The profile of a window: everything the watch asks, counted in one pass.

Profiles along one baseline merge exactly, so a window can be cut into partitions and counted on
many machines. They hold counts and no one's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contract import Column, Contract
from pipelines.data import cast, cube, sketch
from pipelines.data.cube import Cube, CubeTally, GroupCoder
from pipelines.data.parquet import in_blocks
from pipelines.data.sketch import Codes, Floats, NumberTally, Sketch, Tally
from pipelines.decisions.readback import ReadBack
from pipelines.decisions.typing_json import PARSERS
from pipelines.errors import BadRequest, DataRefused
from pipelines.records import Record
from pipelines.release.baseline import Baseline, Scored, ScoredTally
from pipelines.release.influence import NO_REASON
from pipelines.watch.calibration import chances

# Columns of a Parquet file of decisions, beside those of the contract.
DECISION, LOG_ODDS, LABEL = "decision", "log_odds", "label"
SHARE: Final = 1 << 20  # a contribution is kept as a whole number of these parts


class WindowProfile(Record, frozen=True):
    """What was counted of a window, along one baseline.

    `versions` counts decisions by the digest of the model that made them; `bases` by what the
    outcome rests on. `absent` counts, by column, decisions whose record lacks it. `cube` has all
    decisions; `scored` and the reasons have those of the baseline's model alone. `reasons` counts
    by attribute, group and first reason; `contributions` sums, by column, the absolute
    contributions of recorded reasons, in parts of 2^-20. `delays` counts labels by whole days.
    """

    baseline_sha256: str
    decisions: int
    erased: int
    versions: dict[str, int]
    bases: dict[str, int]
    absent: dict[str, int]
    columns: dict[str, Sketch]
    cube: Cube
    scored: Scored
    reasons: dict[str, dict[str, dict[str, int]]]
    contributions: dict[str, int]
    delays: dict[str, int]


@dataclass(frozen=True, slots=True)
class Label:
    """What became known of a decision: whether it was favourable, and after how many days."""

    favourable: bool
    days: int


@dataclass
class WindowTally:
    """Counts a window along a baseline; `contract` is the version's own."""

    baseline: Baseline
    baseline_sha256: str
    contract: Contract
    model_sha256: str = ""
    decisions: int = 0
    erased: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    bases: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    contributions: Counter[str] = field(default_factory=Counter)
    delays: Counter[str] = field(default_factory=Counter)
    first: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        axes = self.baseline.axes
        self.tallies: dict[str, Tally] = {name: sketch.tally(axis) for name, axis in axes.items()}
        self.cube = CubeTally(self.baseline.groups)
        self.coder = GroupCoder(self.contract, self.baseline.groups)
        self.scored = ScoredTally(self.baseline.margin_axis)
        parts = cube.in_parts(chances(self.baseline.scored))
        self._chances = np.append(parts, 0.0)  # of no margin: none

    def add_columns(self, table: pa.Table | pa.RecordBatch) -> None:
        """Count the columns that there are; one that is not there is counted as absent."""
        names = set(table.schema.names)
        for name, tally in self.tallies.items():
            if name in names:
                values = table.column(name)
                found = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
                tally.add(found if isinstance(tally, NumberTally) else _named(found))
            else:
                self.absent[name] += table.num_rows

    def add_outcomes(
        self, codes: Sequence[Codes], outcomes: Codes, labels: Codes, margins: Floats, own: Codes
    ) -> None:
        """Count decisions by group, outcome and label, and by margin where the model is `own`."""
        scored = margins if own.all() else np.where(own, margins, np.nan)
        bins = self.scored.add(scored, outcomes, labels)
        self.cube.add(codes, outcomes, labels, self._chances[bins])
        self.decisions += len(outcomes)

    def add_decisions(self, found: Sequence[ReadBack], labels: Mapping[bytes, Label]) -> None:
        """Count decisions as they were read back."""
        for each in found:
            self._one(each)
        table, whole = self._table(found)
        if whole:
            self.add_columns(table.take(pa.array(whole)))
        codes = self.coder.codes(table)
        outcomes = [cube.OUTCOMES.index(each.made.decided.outcome) for each in found]
        own = [each.made.origin.model_sha256 == self.model_sha256 for each in found]
        self.add_outcomes(
            codes,
            np.array(outcomes, dtype=np.int64),
            np.array([_label(labels.get(each.id)) for each in found], dtype=np.int64),
            np.array([_margin(each) for each in found], dtype=np.float64),
            np.array(own, dtype=np.int64),
        )
        self._reasons(found, codes)
        self.delays.update(str(labels[each.id].days) for each in found if each.id in labels)

    def _one(self, each: ReadBack) -> None:
        self.versions[each.made.origin.model_sha256] += 1
        self.bases[each.made.decided.because] += 1

    def _table(self, found: Sequence[ReadBack]) -> tuple[pa.Table, list[int]]:
        """Return the values as a table, and which rows have any: a refused one has none."""
        values = [each.made.decided.values for each in found]
        whole = [place for place, each in enumerate(values) if each is not None]
        columns: dict[str, pa.Array] = {}
        for column in _asked(self.contract, self.baseline):
            there = [values[place] or {} for place in whole]
            lacking = sum(column.name not in each for each in there)
            if lacking and column.name in self.tallies:
                self.absent[column.name] += lacking
            if lacking < len(there) or column.protected or not there:
                items = [(each or {}).get(column.name) for each in values]
                columns[column.name] = typed_array(items, column)
        return pa.table(columns), whole

    def _reasons(self, found: Sequence[ReadBack], codes: Sequence[Codes]) -> None:
        named = list(self.baseline.groups.items())
        for place, each in enumerate(found):
            decided = each.made.decided
            if each.made.origin.model_sha256 != self.model_sha256 or decided.margin is None:
                continue
            first = decided.reasons[0].column if decided.reasons else NO_REASON
            for (attribute, names), code in zip(named, codes, strict=True):
                self.first[attribute, names[code[place]], first] += 1
            for reason in decided.reasons:
                share = abs(float.fromhex(reason.contribution))
                self.contributions[reason.column] += round(share * SHARE)

    def profile(self) -> WindowProfile:
        """Return what was counted."""
        return WindowProfile(
            baseline_sha256=self.baseline_sha256,
            decisions=self.decisions,
            erased=self.erased,
            versions=_sorted(self.versions),
            bases=_sorted(self.bases),
            absent=_sorted(self.absent),
            columns={name: tally.sketch() for name, tally in self.tallies.items()},
            cube=self.cube.cube(),
            scored=self.scored.scored(),
            reasons=_nested(self.first),
            contributions=_sorted(self.contributions),
            delays=_sorted(self.delays),
        )


def of_parquet(
    path: Path,
    tally: Callable[[], WindowTally],
    columns: Sequence[str] | None = None,
) -> WindowProfile:
    """Profile a Parquet file of applications in one pass, by blocks of rows.

    Beside the contract's columns it may have `decision`, `log_odds` and `label` (true or false);
    without them columns alone are counted. Raises DataRefused for a file that is no Parquet.
    """
    counted = tally()
    try:
        for batch in _batches(path, counted, columns):
            counted.add_columns(batch)
            if DECISION in batch.schema.names:
                _count_outcomes(counted, batch)
            else:
                counted.decisions += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataRefused(
            "a file is not readable as Parquet",
            where=path.name,
            observed=type(error).__name__,
            hint="write the partition again",
        ) from None
    return counted.profile()


def _batches(
    path: Path, counted: WindowTally, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    texts = {each.name for each in counted.contract.columns if each.kind == "string"} | {DECISION}
    there = pq.read_schema(path).names
    file = in_blocks(path, [name for name in there if name in texts])
    wanted = {each.name for each in _asked(counted.contract, counted.baseline)}
    wanted |= {DECISION, LOG_ODDS, LABEL}
    names = [n for n in there if n in (wanted if columns is None else columns)]
    yield from file.iter_batches(sketch.BLOCK, columns=names)


def _count_outcomes(counted: WindowTally, batch: pa.RecordBatch) -> None:
    rows, names = batch.num_rows, batch.schema.names
    encoded = batch.column(DECISION)
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    places = [cube.OUTCOMES.index(each) for each in encoded.dictionary.to_pylist()]
    outcomes = np.array(places, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    margins = np.full(rows, np.nan)
    if LOG_ODDS in names:
        margins = sketch.floats(batch.column(LOG_ODDS))
    labels = np.zeros(rows, dtype=np.int64)
    if LABEL in names:
        labels = np.nan_to_num(sketch.floats(batch.column(LABEL)) + 1.0).astype(np.int64)
    own = np.ones(rows, dtype=np.int64)
    counted.add_outcomes(counted.coder.codes(batch), outcomes, labels, margins, own)


def merge(first: WindowProfile, second: WindowProfile) -> WindowProfile:
    """Return the profile of both sets of decisions. Raises BadRequest across baselines."""
    if first.baseline_sha256 != second.baseline_sha256:
        raise BadRequest("profiles along different baselines do not add")
    margins = sketch.merge(first.scored.margins, second.scored.margins)
    counts = np.add(first.scored.counts, second.scored.counts)
    return WindowProfile(
        baseline_sha256=first.baseline_sha256,
        decisions=first.decisions + second.decisions,
        erased=first.erased + second.erased,
        versions=_both(first.versions, second.versions),
        bases=_both(first.bases, second.bases),
        absent=_both(first.absent, second.absent),
        columns={
            name: sketch.merge(each, second.columns[name]) for name, each in first.columns.items()
        },
        cube=cube.merge(first.cube, second.cube),
        scored=Scored(margins=margins, counts=tuple(counts.tolist())),  # type: ignore[arg-type]
        reasons=_nested(_flat(first.reasons) + _flat(second.reasons)),
        contributions=_both(first.contributions, second.contributions),
        delays=_both(first.delays, second.delays),
    )


def _asked(contract: Contract, baseline: Baseline) -> Iterable[Column]:
    return (each for each in contract.columns if each.protected or each.name in baseline.axes)


def typed_array(items: Sequence[object], column: Column) -> pa.Array:
    """Return recorded values as the contract types them; JSON has dates as texts."""
    if column.kind in {"date", "timestamp"}:
        items = [None if each is None else PARSERS[column.kind](each) for each in items]
    return pa.array(items, cast.TYPES[column.kind])


def _named(values: pa.Array) -> pa.Array:
    """Return a column that is counted by its values, whatever it is typed as."""
    is_text = pa.types.is_dictionary(values.type) or pa.types.is_boolean(values.type)
    return values if is_text or pa.types.is_string(values.type) else values.cast(pa.string())


def _margin(each: ReadBack) -> float:
    margin = each.made.decided.margin
    return np.nan if margin is None else float.fromhex(margin)


def _label(found: Label | None) -> int:
    if found is None:
        return cube.LABELS.index("unknown")
    return cube.LABELS.index("favourable" if found.favourable else "unfavourable")


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {key: counts[key] for key in sorted(counts) if counts[key]}


def _both(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return _sorted(Counter(first) + Counter(second))


def _nested(counts: Mapping[tuple[str, str, str], int]) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (attribute, group, column), count in sorted(counts.items()):
        found.setdefault(attribute, {}).setdefault(group, {})[column] = count
    return found


def _flat(nested: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Counter[tuple[str, str, str]]:
    return Counter(
        {
            (attribute, group, column): count
            for attribute, groups in nested.items()
            for group, columns in groups.items()
            for column, count in columns.items()
        }
    )
