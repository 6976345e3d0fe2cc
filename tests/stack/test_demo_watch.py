"""The demo's other applicants: real rows, and unlike the rest; who is told, and nothing left."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from pipelines import contract, wiring
from pipelines.errors import NotThere
from pipelines.layout import State
from pipelines.stack import demo_watch
from pipelines.watch import places
from tests.conftest import ROOT

ADULT = contract.read(ROOT / "examples" / "adult" / "contract.yaml")


def landed(folder: Path) -> tuple[Path, str]:
    """Write a file of 100 made-up rows; return it and the name of its most varied number."""
    numbers = [c.name for c in ADULT.columns if c.role == "feature" and c.kind == "integer"]
    file = folder / "landed.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["row", *numbers[:2]])
        writer.writerows([[n, n % 3, n * 37 % 100] for n in range(99)] + [["last", "", "?"]])
    return file, numbers[1]


def test_the_shifted_month_holds_real_rows_with_the_highest_values(tmp_path: Path) -> None:
    """Nothing is made up: a quarter of the landed rows, those highest in the most varied number."""
    file, column = landed(tmp_path)
    target = tmp_path / "shifted.csv"
    assert column == demo_watch.shifted([file], ADULT, target, "a")
    rows = list(csv.DictReader(target.open()))
    before = list(csv.DictReader(file.open()))
    assert 25 == len(rows)
    assert all(row in before for row in rows)
    assert sorted((int(r[column]) for r in before if r[column] != "?"), reverse=True)[:25] == [
        int(each) for each in sorted((row[column] for row in rows), key=int, reverse=True)
    ]
    first = target.read_bytes()
    demo_watch.shifted([file], ADULT, target, "b")
    assert first != target.read_bytes()


def test_without_landed_data_nothing_is_shifted(tmp_path: Path) -> None:
    """No file, or no number in it, is said and not made up."""
    with pytest.raises(NotThere):
        demo_watch.shifted([], ADULT, tmp_path / "out.csv", "a")
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NotThere):
        demo_watch.shifted([tmp_path / "no.csv"], ADULT, tmp_path / "out.csv", "a")


def test_the_demo_hears_alerts_and_leaves_nobody_named(tmp_path: Path) -> None:
    """While it listens it is a target, in a private file, and afterwards none is left."""
    state = State(tmp_path)
    file = places.targets(state)
    file.parent.mkdir()
    file.write_text(f"{demo_watch.MARK}json://left-by-a-killed-demo/\n")
    with demo_watch.told(state) as messages:
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        (target,) = wiring.alert_targets(state)
        target.send("a title", "a body")
        assert ["a title"] == messages
    assert () == wiring.alert_targets(state)


def test_people_who_are_named_stay_named(tmp_path: Path) -> None:
    """A user's own targets are neither replaced nor removed."""
    file = places.targets(State(tmp_path))
    file.parent.mkdir()
    file.write_text("json://mine/\n")
    with demo_watch.told(State(tmp_path)):
        pass
    assert "json://mine/\n" == file.read_text()
