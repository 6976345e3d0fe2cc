"""The reasons of the people whom a candidate does not approve, and what setting them does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from pipelines.canonical import sha256_file
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import Model
from pipelines.model import reference, score, store
from pipelines.model.contributions import Explainer, principal
from pipelines.model.plan_compiler import compile_plan
from pipelines.model.rows import rows
from pipelines.records import Reference
from pipelines.release.checks._case import TEST, TRAIN, Case
from pipelines.typed import read_json

# Enough to know a share to a few percent; the test part of a large data set holds many more.
MOST_PEOPLE = 500
BATCH = 100


@dataclass(frozen=True, slots=True)
class Told:
    """What one person would be told: named columns, the next ones, and the rise they claim.

    `unnameable` are protected columns among the strongest, which no reason may name.
    """

    named: tuple[str, ...]
    following: tuple[str, ...]
    claimed: float
    unnameable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """Mean margins of one person: as is, with the named columns set, with the next ones set."""

    before: float
    named: float
    following: float


def told(contributions: Mapping[str, float], barred: frozenset[str], most: int) -> Told:
    """Return what the contributions of one person give as reasons."""
    ranked = principal(contributions, barred, 2 * most)
    strongest = principal(contributions, frozenset(), most)
    return Told(
        named=tuple(name for name, _ in ranked[:most]),
        following=tuple(name for name, _ in ranked[most:]),
        claimed=-sum(share for _, share in ranked[:most]),
        unnameable=tuple(name for name, _ in strongest if name in barred),
    )


def measure(case: Case) -> tuple[list[Told], list[Moved], float]:
    """Return what people would be told, what it does, and the margin from which they are approved.

    People are those of the test part who are not approved, MOST_PEOPLE of them evenly spaced where
    there are more. Raises NotThere for a candidate without a reference, and IntegrityBroken when
    its reference is not the one that its training part makes.
    """
    candidate = case.candidate
    model = store.load(Model(case.layout.candidate).model, candidate.model_sha256)
    approve_from = float.fromhex(candidate.threshold) + float.fromhex(candidate.refer_band) / 2.0
    explainer, members = _compared_with(case, model)
    frame = case.rows(TEST)
    refused = np.flatnonzero(score.margins(model, frame, candidate.margin) < approve_from)
    if not len(refused):
        return [], [], approve_from
    if len(refused) > MOST_PEOPLE:
        refused = refused[np.arange(MOST_PEOPLE) * len(refused) // MOST_PEOPLE]
    applicants = frame.iloc[refused][list(candidate.features)]
    barred = frozenset(column.name for column in case.contract.by_role("protected"))
    most = case.params.decide.max_reasons
    people = [
        told(explainer.contributions(row), barred, most)
        for row in rows(applicants, candidate.features)
    ]

    def margins(rows_: pd.DataFrame) -> NDArray[np.float64]:
        return score.margins(model, rows_, candidate.margin)

    before = margins(applicants)
    named = with_members(applicants, members, [each.named for each in people])
    following = with_members(applicants, members, [each.following for each in people])
    after = [
        np.concatenate([margins(set_).reshape(-1, len(members)).mean(axis=1) for set_ in frames])
        for frames in (named, following)
    ]
    return people, [Moved(*each) for each in zip(before, *after, strict=True)], approve_from


def with_members(
    applicants: pd.DataFrame, members: pd.DataFrame, columns: Sequence[Sequence[str]]
) -> Iterator[pd.DataFrame]:
    """Yield every applicant once a member of the reference, with their columns set to its values.

    A frame holds BATCH applicants; `columns` names those to set for each applicant.
    """
    size = len(members)
    for first in range(0, len(applicants), BATCH):
        some, wanted = applicants.iloc[first : first + BATCH], columns[first : first + BATCH]
        frame = some.iloc[np.repeat(np.arange(len(some)), size)].reset_index(drop=True)
        tiled = members.iloc[np.tile(np.arange(size), len(some))].reset_index(drop=True)
        for name in frame.columns:
            kept = np.repeat([name not in each for each in wanted], size)
            frame[name] = frame[name].where(kept, tiled[name])
        yield frame


def _compared_with(case: Case, model: Pipeline) -> tuple[Explainer, pd.DataFrame]:
    """Return what gives contributions, and the rows of the reference that it was made from."""
    candidate, settings = case.candidate, case.params.decide.reference
    path = Model(case.layout.candidate).reference
    if candidate.reference_sha256 is None:
        raise NotThere("the candidate has no reference, so it gives no reasons")
    members = reference.chosen_rows(
        model, candidate.margin, case.rows(TRAIN), float.fromhex(candidate.threshold), settings
    )
    plan = compile_plan(model)
    again = reference.of_rows(plan, settings.population, list(rows(members, plan.inputs)))
    stored = read_json(path, Reference)
    if sha256_file(path) != candidate.reference_sha256 or stored.id != again.id:
        raise IntegrityBroken(
            "the reference is not the one that the training part makes",
            observed=stored.id,
            expected=again.id,
        )
    return Explainer(plan, stored, candidate.features), members
