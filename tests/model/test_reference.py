"""The reference: chosen by rule out of the training part, and no row of it is kept."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from pipelines.errors import DataRefused
from pipelines.model import reference, score
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from pipelines.params import ReferenceParams
from pipelines.records import Reference
from pipelines.typed import read_json
from tests.model.small import CONTRACT, made, people

KINDS: tuple[MarginKind, ...] = ("linear", "trees")
ABOVE = ReferenceParams(population="above_cutoff", size=10)
ALL = ReferenceParams(population="all", size=10)


def test_those_at_or_just_above_the_cutoff_are_taken() -> None:
    """The lowest margins not below it, the cutoff's own among them, equal ones in order."""
    margins = np.array([0.0, 5.0, 1.0, 1.0, *np.arange(2.0, 20.0), 0.999])
    assert [2, 3, 4, 5] == reference.choose(margins, 1.0, ABOVE)[:4].tolist()
    assert 10 == len(reference.choose(margins, 1.0, ABOVE))


def test_all_applicants_are_sampled_evenly() -> None:
    """Every tenth by margin, from the middle of the first tenth on; all where there are few."""
    margins = np.arange(100.0)[::-1]
    chosen = margins[reference.choose(margins, 50.0, ALL)]
    assert [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0] == chosen.tolist()
    few = np.arange(10.0)
    assert list(range(10)) == reference.choose(few, 50.0, ALL).tolist()


def test_a_reference_of_few_people_is_refused() -> None:
    """Means over a handful of people would tell about each of them."""
    with pytest.raises(DataRefused):
        reference.choose(np.arange(100.0), 91.0, ABOVE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_is_made_of_the_training_part(kind: MarginKind) -> None:
    """Its mean margin is that of the rows at or just above the cutoff."""
    found = made(kind)
    margins = score.margins(found.trained.model, people(), kind)
    above = np.sort(margins[margins >= found.trained.threshold])[:25]
    assert float.fromhex(found.reference.margin) == pytest.approx(above.mean(), abs=1e-12)
    assert (25, "above_cutoff") == (found.reference.size, found.reference.population)


def test_a_reference_holds_no_protected_column_and_no_row() -> None:
    """Protected values do not reach it: other ones make the same reference, byte for byte."""
    found = made("linear")
    changed = people().copy()
    for column in CONTRACT.by_role("protected"):
        changed[column.name] = None
    settings = ReferenceParams(size=25)
    again = reference.make(
        found.trained.model, "linear", changed, found.trained.threshold, settings
    )
    assert found.reference.canonical() == (again.canonical() if again else b"")
    assert found.plan.width == len(found.reference.means)
    for row in rows(people(), found.plan.inputs):
        values = {value.hex() for value in found.plan.transformed(row) if value not in {0.0, 1.0}}
        assert not values & set(found.reference.means)


def test_a_reference_can_be_read_again(tmp_path: object) -> None:
    """What is written is what is read, for both kinds of model."""
    for kind in KINDS:
        path = tmp_path / f"{kind}.json"  # type: ignore[operator]
        made(kind).reference.write(path)
        assert made(kind).reference == read_json(path, Reference)


def test_a_model_without_a_plan_has_no_reference() -> None:
    """There is nothing to explain it by, and nothing is made up."""
    model = copy.deepcopy(made("linear").trained.model)
    model.named_steps["estimator"].coef_[0, 0] = np.inf
    assert reference.make(model, "linear", people(), 0.0, ABOVE) is None
