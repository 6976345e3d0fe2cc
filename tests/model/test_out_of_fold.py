"""Margins from models that have not seen the row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.contract import Contract
from pipelines.errors import DataRefused
from pipelines.model import estimators, out_of_fold, parts, score
from pipelines.model.out_of_fold import Rows
from tests.model.conftest import recipe


def rows_of(people: pd.DataFrame, contract: Contract) -> Rows:
    return Rows(
        people,
        parts.favourable(people, contract),
        people["person"].to_numpy(dtype=object),
        np.full(len(people), ""),
    )


def test_a_row_is_scored_by_models_that_never_saw_it(
    contract: Contract, people: pd.DataFrame
) -> None:
    """Each margin is that of a model fitted, columns and all, on the other folds."""
    rows, wanted = rows_of(people, contract), recipe()
    columns = estimators.inputs(contract, wanted)
    found = out_of_fold.margins(wanted, columns, rows, [{}])[0]
    inside, held_out = out_of_fold.cut(rows, out_of_fold.FOLDS, wanted.seed)[0]
    assert set() == set(inside) & set(held_out)
    fitted, (model,) = out_of_fold.fit(wanted, columns, rows.take(inside), [{}])
    whole = estimators.assemble(fitted, model)
    expected = score.margins(whole, people.iloc[held_out], "linear")
    assert expected.tobytes() == found[held_out].tobytes()


def test_every_row_is_held_out_once(contract: Contract, people: pd.DataFrame) -> None:
    """The folds part the rows."""
    folds = out_of_fold.cut(rows_of(people, contract), 5, 1)
    held_out = np.concatenate([each for _, each in folds])
    assert list(range(len(people))) == sorted(held_out)


def test_a_persons_rows_stay_in_one_fold(contract: Contract, people: pd.DataFrame) -> None:
    """Someone who applied twice is not learnt from while being scored."""
    twice = people.assign(person=[f"p{number // 2}" for number in range(len(people))])
    rows = rows_of(twice, contract)
    for inside, held_out in out_of_fold.cut(rows, 4, 1):
        assert set() == set(rows.subjects[inside]) & set(rows.subjects[held_out])


def test_too_few_of_one_outcome_are_refused(contract: Contract, people: pd.DataFrame) -> None:
    """A fold without both outcomes cannot be learnt from."""
    few = people.assign(good=["no"] * 4 + ["yes"] * (len(people) - 4))
    with pytest.raises(DataRefused, match="too few rows of one outcome") as caught:
        out_of_fold.cut(rows_of(few, contract), 5, 1)
    assert 4 == caught.value.observed
