"""What protected attributes have to do with a score: who carries it, and what reasons tell.

The same questions are asked of the test part, when a version is registered, and of every window of
its decisions: how much of what moves the score is carried by columns that are protected, or that
tell the group; and how well first reasons tell the group.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Contract
from pipelines.data.cube import NEW
from pipelines.data.groups import UNKNOWN, groups
from pipelines.data.sketch import Counts, Floats
from pipelines.layout import Layout, Model
from pipelines.model import parts, store
from pipelines.model.contributions import Explainer, principal
from pipelines.model.plan import Value
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.records import Candidate, Record, Reference, Split
from pipelines.typed import read_json
from pipelines.watch_params import WatchParams

NOT_A_GROUP: Final = frozenset({UNKNOWN, NEW})
NO_REASON: Final = "(no reason)"
BINS: Final = 10
RESAMPLES: Final = 200
MOST_PEOPLE: Final = 1000  # of the test part: enough to know a share to two percent


class Influenced(Record, frozen=True):
    """How one attribute drove the score of `n` people, with standard errors.

    `share` of what moved the score its carriers carried. `association` is Cramer's V of the group
    and the first reason, over `told` people who have both.
    """

    attribute: str
    share: float
    share_error: float
    n: int
    association: float
    association_error: float
    told: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sample of decisions: values and each attribute's group, person by person."""

    values: Sequence[Mapping[str, Value]]
    groups: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """What one attribute's carriers move: person by person, and column by column.

    `moved` has the shape (2, people): by the carriers, and by all columns. `columns` holds each
    column's share, and how well it tells the group where it is a carrier, else 0.
    """

    attribute: str
    moved: Floats
    columns: dict[str, tuple[float, float]]

    @property
    def share(self) -> float:
        """The carriers' part of all that moved the score."""
        carried, whole = self.moved.sum(axis=1)
        return float(carried / whole) if whole else 0.0

    @property
    def n(self) -> int:
        """How many people's group is known."""
        return int(self.moved.shape[1])

    def drawn(self, seed: int) -> Floats:
        """Return what carriers and all move when people are drawn anew, shape (2, draws)."""
        if not self.n:
            return np.zeros((2, RESAMPLES))
        people = np.random.default_rng(seed).integers(0, self.n, (RESAMPLES, self.n))
        return np.asarray(self.moved[:, people].sum(axis=2))


def influences(
    sample: Sampled, explainer: Explainer, contract: Contract, tells_from: float
) -> Iterator[Influence]:
    """Yield what the carriers of each attribute move.

    A column's share is its part of all absolute deviations of contributions from their mean: what
    is the same for everybody moves nobody. A carrier is protected under the attribute, or tells
    the group with a Cramer's V of at least `tells_from`.
    """
    if not sample.values:
        return
    explained = [explainer.contributions(row) for row in sample.values]
    names = list(explained[0])
    moved = np.abs(_centred([[row[name] for name in names] for row in explained]))
    for attribute, named in sample.groups.items():
        known = np.array([group not in NOT_A_GROUP for group in named])
        own = {
            c.name for c in contract.columns if c.protected and c.protected.attribute == attribute
        }
        tells = np.array(
            [1.0 if name in own else _tells(sample, name, named, known) for name in names]
        )
        carries, part = tells >= tells_from, moved[known]
        shares = part.sum(axis=0) / max(part.sum(), 1e-300)
        yield Influence(
            attribute=attribute,
            moved=np.stack([part[:, carries].sum(axis=1), part.sum(axis=1)]),
            columns={
                name: (float(share), float(tell) if carrier else 0.0)
                for name, share, tell, carrier in zip(names, shares, tells, carries, strict=True)
            },
        )


def association(table: Counts) -> float:
    """Return Cramer's V of counts, corrected for its bias on small samples (Bergsma 2013)."""
    counts = used(np.asarray(table, dtype=np.float64))
    n = counts.sum()
    if n < 2 or min(counts.shape, default=0) < 2:  # noqa: PLR2004
        return 0.0
    rows, columns = counts.shape
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi = float(((counts - expected) ** 2 / expected).sum() / n)
    kept = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1.0
    return math.sqrt(kept / least) if least > 0 else 0.0


def association_error(table: Counts, seed: int) -> float:
    """Return the standard error of Cramer's V, by drawing people anew."""
    n = int(table.sum())
    if not n:
        return 0.0
    drawn = np.random.default_rng(seed).multinomial(n, table.ravel() / n, RESAMPLES)
    return float(np.std([association(each.reshape(table.shape)) for each in drawn]))


def told(named: Mapping[str, Mapping[str, int]]) -> Counts:
    """Return people by group and first reason; without those who have none of either."""
    kept = {name: each for name, each in named.items() if name not in NOT_A_GROUP}
    columns = sorted({column for each in kept.values() for column in each} - {NO_REASON})
    counts = [[each.get(column, 0) for column in columns] for each in kept.values()]
    return np.array(counts, dtype=np.int64).reshape(len(kept), len(columns))


def figures(found: Influence, first: Counts, seed: int) -> Influenced:
    """Return what is kept of an attribute, to be compared with later."""
    carried, whole = found.drawn(seed)
    return Influenced(
        attribute=found.attribute,
        share=found.share,
        share_error=float(np.std(carried / np.maximum(whole, 1e-300))),
        n=found.n,
        association=association(first),
        association_error=association_error(first, seed),
        told=int(first.sum()),
    )


def of_test(
    layout: Layout, candidate: Candidate, contract: Contract, limits: WatchParams
) -> tuple[Influenced, ...]:
    """Return how each attribute drives a candidate on the test part, or MOST_PEOPLE evenly of it.

    A candidate that gives no reasons has none. Raises NotThere, IntegrityBroken.
    """
    if candidate.reference_sha256 is None:
        return ()
    files = Model(layout.candidate)
    plan = compile_plan(store.load(files.model, candidate.model_sha256))
    explainer = Explainer(plan, read_json(files.reference, Reference), candidate.features)
    frame = parts.read(layout, read_json(layout.split_record, Split), "test")
    if len(frame) > MOST_PEOPLE:
        frame = frame.iloc[np.arange(MOST_PEOPLE) * len(frame) // MOST_PEOPLE]
    people, named = list(rows(frame, candidate.features)), groups(frame, contract)
    sample = Sampled(
        people, {name: named[name].astype(str).tolist() for name in contract.attributes}
    )
    first = first_reasons(people, explainer, contract, candidate)
    return tuple(
        figures(each, told(_by_group(sample.groups[each.attribute], first)), limits.seed)
        for each in influences(sample, explainer, contract, limits.max_association)
    )


def first_reasons(
    people: Sequence[Mapping[str, Value]],
    explainer: Explainer,
    contract: Contract,
    candidate: Candidate,
) -> list[str]:
    """Return the column of the first reason that each person would be given."""
    barred = frozenset(column.name for column in contract.by_role("protected"))
    approve_from = float.fromhex(candidate.threshold) + float.fromhex(candidate.refer_band) / 2.0
    found = []
    for row in people:
        lowering = explainer.plan.margin(row) < approve_from
        named = principal(explainer.contributions(row), barred, 1, lowering=lowering)
        found.append(named[0][0] if named else NO_REASON)
    return found


def _by_group(named: Sequence[str], first: Sequence[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for group, column in zip(named, first, strict=True):
        found.setdefault(group, Counter())[column] += 1
    return found


def _tells(sample: Sampled, name: str, groups: Sequence[str], known: NDArray[np.bool_]) -> float:
    """Return how well a column tells the group: Cramer's V of its values, numbers in ten bins."""
    values = [row.get(name) for row in sample.values]
    codes = _coded(values)[known]
    _, of_group = np.unique(np.array(groups, dtype=str)[known], return_inverse=True)
    if not len(codes):
        return 0.0
    shape = (int(of_group.max()) + 1, int(codes.max()) + 1)
    table = np.bincount(of_group * shape[1] + codes, minlength=shape[0] * shape[1])
    return association(table.reshape(shape))


def _coded(values: Sequence[Value]) -> NDArray[np.int64]:
    if all(each is None or type(each) in (int, float) for each in values):
        numbers = np.array([math.nan if each is None else float(each) for each in values])  # type: ignore[arg-type]
        known = numbers[~np.isnan(numbers)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else known
        return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers))
    _, codes = np.unique(np.array([str(each) for each in values]), return_inverse=True)
    return codes.astype(np.int64)


def _centred(rows: Sequence[Sequence[float]]) -> Floats:
    found = np.array(rows, dtype=np.float64)
    return np.asarray(found - found.mean(axis=0))


def used(counts: Floats) -> Floats:
    """Return counts without empty rows and columns."""
    if counts.ndim != 2 or not counts.size:  # noqa: PLR2004
        return np.zeros((0, 0))
    kept = counts[counts.sum(axis=1) > 0]
    return np.asarray(kept[:, kept.sum(axis=0) > 0])
