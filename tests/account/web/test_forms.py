"""The what-if form is the contract's: labels, units, ranges, categories, and typed changes."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.account.web import forms
from pipelines.contract import Column
from tests.decisions.versions import APPLICATION
from tests.model.small import CONTRACT

FEATURES = tuple(each.name for each in CONTRACT.by_role("feature"))


def by_name() -> dict[str, forms.Field]:
    return {each.name: each for each in forms.fields(CONTRACT, FEATURES, APPLICATION)}


def test_every_column_that_the_model_reads_has_a_field() -> None:
    """There is a field for each feature and for no other column."""
    assert {f"f.{name}" for name in FEATURES} == set(by_name())


def test_a_field_shows_range_categories_and_what_was_received() -> None:
    """Numbers say their range, categories are a list, and the recorded value is filled in."""
    found = by_name()
    assert ("number", "31.25", "0 to 1000") == (
        found["f.income"].kind,
        found["f.income"].value,
        found["f.income"].hint,
    )
    job = found["f.job"]
    assert ("select", "cook") == (job.kind, job.value)
    assert ["clerk", "cook", ""] == [value for value, _ in job.options]
    assert [("true", "yes"), ("false", "no"), ("", "not given")] == list(found["f.owner"].options)
    assert "date" == found["f.since"].kind


def test_a_form_that_was_not_touched_changes_nothing() -> None:
    """Sent back as it was filled in, a form holds no change."""
    sent = {each.name: each.value for each in by_name().values()}
    assert {} == forms.changes(CONTRACT, FEATURES, APPLICATION, sent)


def test_only_what_the_model_reads_can_be_changed() -> None:
    """Changes go on as they were typed, an emptied field as none; nobody's name among them."""
    sent = {"f.income": "44.5", "f.self": "", "f.owner": "false", "f.grade": "x", "f.person": "q"}
    expected = {"income": "44.5", "self": None, "owner": "false", "grade": "x"}
    assert expected == forms.changes(CONTRACT, FEATURES, APPLICATION, sent)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"minimum": 1.0}, "1 or more"),
        ({"maximum": 2.5}, "2.5 or less"),
        ({"unit": "dollars", "actionable": "increase"}, "dollars; the person can raise it"),
    ],
)
def test_a_hint_says_what_the_contract_knows(limits: dict[str, Any], words: str) -> None:
    """Half-open ranges, units and directions stand beside the field."""
    column = Column(name="n", role="feature", kind="number", **limits)
    (field,) = forms.fields(CONTRACT.__class__(name="c", version="1", columns=(column,)), ["n"], {})
    assert words == field.hint
