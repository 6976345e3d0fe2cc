"""What a check is handed and what it hands back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.data.snapshot import frames
from pipelines.errors import IntegrityBroken
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout, Model, State
from pipelines.model import parts
from pipelines.params import Params
from pipelines.records import Candidate, Champion, Evaluation, Json, Outcome, Split
from pipelines.typed import read_json

WORST_FIRST: tuple[Outcome, ...] = ("error", "fail", "not-enough-data", "pass")
TEST: Literal["test"] = "test"
TRAIN: Literal["train"] = "train"


@dataclass(frozen=True)
class Case:
    """The candidate on trial: its records and, read when first asked for, its files."""

    layout: Layout
    state: State
    contract: Contract
    params: Params
    candidate: Candidate
    split: Split
    champion: Champion

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The candidate's scores on the test part, checked against their digests."""
        files = EvaluationFiles(self.layout.evaluation)
        record = read_json(files.record, Evaluation)
        _same("the evaluation is of another candidate", record.candidate_id, self.candidate.id)
        _same(
            "the evaluation is of another test part",
            record.test_sha256,
            self.split.parts[TEST].sha256,
        )
        _same("the scores were changed", sha256_file(files.scores), record.scores_sha256)
        return pd.read_parquet(files.scores)

    def rows(self, part: Literal["train", "test"]) -> pd.DataFrame:
        """Return one part of the split, checked against its digest."""
        return parts.read(self.layout, self.split, part)

    def frames(self, part: str) -> Iterator[pd.DataFrame]:
        """Yield the rows of one part, checked against its digest, a row group at a time."""
        path = self.layout.split_rows(part)
        _same(f"the {part} part was changed", sha256_file(path), self.split.parts[part].sha256)
        yield from frames(path)

    def favourable(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Return, per row, 1 where the target has its favourable value, else 0."""
        return parts.favourable(rows, self.contract)

    @cached_property
    def model(self) -> Pipeline:
        """The candidate's model, its digest checked before it is loaded."""
        from pipelines.model import store

        return store.load(Model(self.layout.candidate).model, self.candidate.model_sha256)

    def margins(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Score typed rows as a decision is scored: margins in log-odds, shape (rows,)."""
        from pipelines.model import score

        return score.margins(self.model, frame, self.candidate.margin)

    def outcomes(self, margins: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return what margins lead to: 1 approved, -1 declined, 0 referred to a person.

        A margin that is no finite number decides nothing, so it is referred.
        """
        half = float.fromhex(self.candidate.refer_band) / 2.0
        threshold = float.fromhex(self.candidate.threshold)
        approved, declined = margins >= threshold + half, margins < threshold - half
        known = np.isfinite(margins)
        return np.where(known, approved.astype(np.int64) - declined, 0)

    def rng(self) -> np.random.Generator:
        """Return a generator seeded by params: the same case gives the same numbers."""
        return np.random.default_rng(self.params.evaluate.seed)


def _same(what: str, observed: str, expected: str) -> None:
    if observed != expected:
        raise IntegrityBroken(what, observed=observed, expected=expected)


@dataclass(frozen=True, slots=True)
class Line:
    """One explicit test: what was tested, the words for it, and whether it counts.

    `counts` is False for a line that is shown beside the others and decides nothing.
    """

    name: str
    outcome: Outcome
    observed: str
    expected: str
    value: float | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table for the report: cells are text or numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart for the report, with an optional line at a bound."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's result before it is bound to what it judged. Its outcome follows from its lines."""

    lines: tuple[Line, ...]
    evidence: dict[str, Json] = field(default_factory=dict)
    pictures: tuple[Table | Bars, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the lines that count; without any such line: error."""
        outcomes = {line.outcome for line in self.lines if line.counts}
        return next((worst for worst in WORST_FIRST if worst in outcomes), "error")

    @property
    def worst(self) -> Line | None:
        """The line to name: the first with the check's outcome."""
        counted = (line for line in self.lines if line.counts and line.outcome == self.outcome)
        return next(counted, None)

    @property
    def observed(self) -> str:
        return self._said("observed") if self.worst else "no test was stated"

    @property
    def expected(self) -> str:
        return self._said("expected") if self.worst else "at least one test"

    def _said(self, what: str) -> str:
        text: str = getattr(self.worst, what)
        same = sum(line.counts and line.outcome == self.outcome for line in self.lines)
        if what == "observed" and self.outcome != "pass" and same > 1:
            return f"{text}; and {same - 1} more"
        return text


def finite(value: float | np.floating[Any] | None) -> float | None:
    """Return a number that JSON can hold; what is undefined becomes None."""
    return float(value) if value is not None and math.isfinite(value) else None


def listed(values: Iterable[float]) -> list[Json]:
    """Return numbers as a JSON list."""
    return [finite(value) for value in values]


def within(
    point: float, interval: Sequence[float], low: float = -math.inf, high: float = math.inf
) -> Outcome:
    """Judge an estimate against bounds.

    Fails when the point lies outside or is undefined; passes when its whole interval lies inside;
    between the two there are not enough data to say.
    """
    if not low <= point <= high:
        return "fail"
    return "pass" if low <= interval[0] and interval[1] <= high else "not-enough-data"
