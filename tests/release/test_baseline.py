"""What a version is watched against: counted once, whole, and nobody's row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contract import Column
from pipelines.data import cube, sketch
from pipelines.data.groups import groups
from pipelines.errors import IntegrityBroken
from pipelines.layout import Evaluation as EvaluationFiles
from pipelines.layout import Layout
from pipelines.release import baseline
from pipelines.typed import read_json
from tests.release import cases
from tests.release.versions import Bench

ROWS = 1600


@pytest.fixture(scope="module")
def made(checkout: Layout) -> baseline.Baseline:
    """Make the baseline of the judged checkout."""
    return baseline.make(checkout)


def test_every_watched_column_is_counted_over_the_whole_snapshot(made: baseline.Baseline) -> None:
    """Features and protected columns are there, with the rows of the snapshot; no other is."""
    assert ["income", "debt", "job", "blue", "years"] == list(made.columns)
    assert {ROWS} == {each.rows for each in made.columns.values()}


def test_the_former_procedure_is_counted_by_groups(made: baseline.Baseline) -> None:
    """The cells of the former procedure are the groups and targets of the snapshot's rows."""
    frame = cases.applicants(ROWS, 1)
    blue = groups(frame, cases.CONTRACT)["colour"] == "blue"
    expected = int((frame["paid"][blue] == 1).sum())
    found = [c for c in made.former.cells if "blue" in c.groups and c.outcome == "approve"]
    assert expected == sum(cell.count for cell in found)
    assert ROWS == made.former.rows


def test_the_test_part_is_counted_by_margin_and_outcome(made: baseline.Baseline) -> None:
    """Every bin holds approved or declined people only: the operating point is an edge."""
    by_outcome = made.scored.table().sum(axis=2)
    approved, declined = (by_outcome[:, cube.OUTCOMES.index(n)] for n in ("approve", "decline"))
    assert not (approved * declined).any()
    assert ROWS // 2 == approved.sum() + declined.sum() == made.tested.rows


def test_how_attributes_drive_the_score_of_the_test_part_is_kept(made: baseline.Baseline) -> None:
    """Every attribute has its share and association over the test part, with their errors."""
    found = {each.attribute: each for each in made.influence}
    assert {"age", "colour"} == set(found)
    assert ROWS // 2 == found["colour"].n
    assert 0.0 < found["colour"].association_error < 0.1
    assert found["colour"].told <= ROWS // 2


def test_a_baseline_read_back_is_the_one_that_was_written(
    made: baseline.Baseline, tmp_path: Path
) -> None:
    """Writing sorts keys: the order of attributes and groups is the same afterwards."""
    made.write(tmp_path / "baseline.json")
    again = read_json(tmp_path / "baseline.json", baseline.Baseline)
    assert made == again
    assert list(made.groups) == list(again.groups) == list(again.former.attributes)


def test_scores_that_were_changed_make_no_baseline(quick: Bench) -> None:
    """A file of scores that is not what the evaluation wrote is an alarm."""
    path = EvaluationFiles(quick.layout.evaluation).scores
    frame = pd.read_parquet(path)
    frame["margin"] += 1.0
    frame.to_parquet(path, index=False)
    with pytest.raises(IntegrityBroken):
        baseline.make(quick.layout)


def test_the_reference_is_counted_as_any_window_is(tmp_path: Path) -> None:
    """One pass over the reference gives what counting it along its own axes gives."""
    rng = np.random.default_rng(5)
    columns = (
        Column(name="x", role="feature", kind="number"),
        Column(name="town", role="feature", kind="string"),
        Column(name="many", role="feature", kind="string"),
    )
    table = pa.table(
        {
            "x": rng.normal(size=60_000),
            "town": rng.choice(["a", "b", "c"], 60_000),
            "many": [f"v{number}" for number in range(60_000)],
        }
    )
    path = tmp_path / "reference.parquet"
    pq.write_table(table, path, row_group_size=10_000)
    axes, found = baseline.counted(path, columns)
    assert baseline.columns_of(path, columns, axes) == found
    many = axes["many"]
    assert isinstance(many, sketch.CategoryAxis)
    assert (sketch.KNOWN, False) == (len(many.known), many.complete)
    assert not [text for text in many.known if not text.startswith("#")]
