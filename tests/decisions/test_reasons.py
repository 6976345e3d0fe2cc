"""Reasons are the contract's words for what counted against a person, and never a protected one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.decisions.load import LoadedModel
from pipelines.decisions.reasons import barred, reasons
from pipelines.model.contributions import Explainer
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from tests.decisions.versions import loaded
from tests.model.small import CONTRACT, made, people

KINDS: tuple[MarginKind, ...] = ("linear", "trees")
PROTECTED = {"origin", "years"}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> LoadedModel:
    return loaded(tmp_path, request.param)


def test_reasons_carry_words_code_and_share(model: LoadedModel) -> None:
    """At most four, strongest first, each with its exact contribution to the margin."""
    told = set()
    for row in rows(people().iloc[:60], model.candidate.features):
        found = model.reasons.of(row, "decline")
        shares = model.reasons.explainer.contributions(row)
        assert len(found) <= 4
        assert [each.contribution for each in found] == [
            shares[each.column].hex() for each in found
        ]
        assert sorted(shares.values())[: len(found)] == [shares[each.column] for each in found]
        assert all(shares[each.column] < 0 for each in found)
        told |= {(each.column, each.words, each.reg_b_code) for each in found}
    income = ("income", "the income", "Income insufficient for amount of credit requested")
    assert income in told
    assert {column for column, _, _ in told} <= set(model.candidate.features)


def test_an_approval_is_told_what_counted_for_it(model: LoadedModel) -> None:
    """On request: the columns that raised the margin."""
    row = next(iter(rows(people(), model.candidate.features)))
    shares = model.reasons.explainer.contributions(row)
    found = model.reasons.of(row, "approve")
    assert found
    assert all(shares[each.column] > 0 for each in found)


def test_a_column_without_words_is_told_by_its_description_or_name(model: LoadedModel) -> None:
    """No reason is without words."""
    row = next(iter(rows(people(), model.candidate.features)))
    given = [
        each.words
        for each in (*model.reasons.of(row, "decline"), *model.reasons.of(row, "approve"))
    ]
    assert all(given)
    assert "grade" == model.reasons._reason("grade", -1.0).words


@pytest.mark.parametrize("kind", KINDS)
def test_a_protected_column_is_never_a_reason(kind: MarginKind) -> None:
    """Not even of a model that reads it and whose margin it lowers most."""
    found = made(kind, protected=True)
    explained = Explainer(found.plan, found.reference, found.features)
    given = reasons(explained, CONTRACT, 4)
    assert PROTECTED == barred(CONTRACT)
    assert set(found.features) >= PROTECTED
    lowered = False
    for row in rows(people().iloc[:200], found.plan.inputs):
        shares = explained.contributions(row)
        lowered |= min(shares[name] for name in PROTECTED) < 0
        for outcome in ("decline", "refer", "approve"):
            assert not PROTECTED & {each.column for each in given.of(row, outcome)}  # type: ignore[arg-type]
    assert lowered
