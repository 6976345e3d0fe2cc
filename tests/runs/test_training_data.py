"""Which versioned data hold a person; and that they train nothing more once they are left out."""

from __future__ import annotations

import datetime as dt
import runpy
import shutil
from pathlib import Path

import pytest

from pipelines import runs
from pipelines.data import exclude
from pipelines.errors import GateRefused
from pipelines.layout import State
from pipelines.ledger.keys import create_ring
from pipelines.release.policy import TrainingData
from pipelines.runs import training_data
from tests.conftest import ROOT, git

LAND = ROOT / "examples" / "boston_mortgages" / "land.py"
RULE = TrainingData(on_erasure="exclude", months=25, because="made up")


def with_snapshot(scratch: Path, state: State, run_id: str) -> str:
    """Land what there is and pin a snapshot of it; return the commit."""
    commit = runs.begin(scratch, state, run_id=run_id)
    commit = runs.ingest(scratch, state, run_id=run_id, commit=commit).commit
    for name in ("validate", "snapshot"):
        result = runs.step(scratch, state, run_id=run_id, commit=commit, name=name)
        commit = result.commit
    runs.finish(scratch, state, run_id)
    return commit


def ids(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    place = lines[0].split(",").index("application_id")
    return [line.split(",")[place] for line in lines[1:]]


@pytest.mark.timeout(300)
def test_a_person_is_found_left_out_and_trains_nothing_more(scratch: Path, state: State) -> None:
    """Accepted and refused rows are found by run; what lands next holds them no more.

    Data that hold them are refused to whoever wants to train on them, and a fresh landing is not.
    """
    file: Path = runpy.run_path(str(LAND))["main"](state.landing)
    accepted, refused, other = ids(file)[:3]
    lines = file.read_text().splitlines()
    lines[2] += "x"  # the second person's row breaks the contract
    file.write_text("\n".join(lines) + "\n")
    first = with_snapshot(scratch, state, "d1")
    found = {
        subject: training_data.holding(scratch, state, subject, RULE)
        for subject in (accepted, refused, other, "nobody")
    }
    assert [1, 1, 1, 0] == [len(each) for each in found.values()]
    held = found[accepted][0]
    day = dt.date.fromisoformat(git(scratch, "log", "-1", "--format=%cs", first))
    after = day.year * 12 + day.month + RULE.months
    assert (("d1",), 1, dt.date(after // 12, after % 12 + 1, 1)) == (
        held.runs,
        held.rows,
        held.until,
    )
    create_ring(state.ledger_ring)
    training_data.refuse_excluded(scratch, state, first)
    for subject in (accepted, refused):
        exclude.add(state, subject)
    with pytest.raises(GateRefused, match="people who were erased"):
        training_data.refuse_excluded(scratch, state, first)
    second = with_snapshot(scratch, state, "d2")
    training_data.refuse_excluded(scratch, state, second)
    again = training_data.holding(scratch, state, accepted, RULE)
    assert [("d1",)] == [each.runs for each in again]
    assert ("d1", "d2") == tuple(
        run for each in training_data.holding(scratch, state, other, RULE) for run in each.runs
    )
    shutil.rmtree(state.dvc_cache)
    assert again == training_data.holding(scratch, state, accepted, RULE)
