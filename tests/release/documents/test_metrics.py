"""Figures of an evaluation as tables: a small group keeps its figures, an undefined one says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.canonical import sha256_file
from pipelines.data.profile import Profile
from pipelines.release.documents import metrics
from pipelines.release.documents.data import group_table
from pipelines.release.documents.fact import Source, Table
from tests.release.versions import METRICS, measured


def evaluated(folder: Path) -> Path:
    """Write metrics with a group of 29 people beside one of 400."""
    found: dict[str, Any] = json.loads(json.dumps(METRICS))
    found["attributes"]["colour"]["groups"]["blue"] = measured(0.125) | {"n": 29, "small": True}
    path = folder / "metrics.json"
    path.write_text(json.dumps(found))
    return path


def test_a_group_too_small_to_judge_has_no_figures(tmp_path: Path) -> None:
    """Its size stands there, its rates do not; the reference is marked."""
    path = evaluated(tmp_path)
    known = metrics.of_evaluation(path)
    table = known["groups"]
    assert isinstance(table, Table)
    small, large = table.rows
    assert ("colour: blue", "29", *["fewer than 30 people"] * 5) == small.cells
    assert ("colour: <green> (reference)", "400") == large.cells[:2]
    assert "0.700 (0.650 to 0.750)" == large.cells[table.columns.index("selection rate")]
    assert {Source("metrics", sha256_file(path))} == {row.source for row in table.rows}
    assert "0.125" not in str(known)


def test_a_measure_without_a_value_is_not_defined_and_never_zero() -> None:
    """Null in the record is no number in the document."""
    assert metrics.UNDEFINED == metrics.figure({"value": None, "low": None, "high": None})
    assert metrics.UNDEFINED == metrics.figure(None)
    assert "0.500" == metrics.figure({"value": 0.5, "low": None, "high": 0.6})


def test_a_version_without_metrics_has_no_figures(tmp_path: Path) -> None:
    """One that was registered before they were kept says nothing, so its places are MISSING."""
    assert {} == metrics.of_evaluation(tmp_path / "metrics.json")


def test_a_group_of_few_people_is_told_without_its_number() -> None:
    """Four people of a snapshot are fewer than five; five are five."""
    groups = {"colour": {"blue": 4, "green": 5}}
    profile = Profile(rows=9, columns={}, groups=groups, intersections=())
    table = group_table(profile, Source("profile", "a" * 64))
    assert ["fewer than 5", "5"] == [row.cells[2] for row in table.rows]
