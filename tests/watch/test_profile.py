"""Profiles of windows: whole, mergeable, out of the ledger or out of Parquet, nobody's row."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import BadRequest, DataRefused
from pipelines.watch import profile, reading, window
from tests.release import cases
from tests.watch.world import World, at


def parquet(folder: Path, rows: int, seed: int) -> Path:
    """Write applications with decisions, margins and labels."""
    rng = np.random.default_rng(seed)
    frame = cases.applicants(rows, seed).drop(columns=["_row", "id", "answer", "paid"])
    frame["log_odds"] = rng.normal(0.0, 2.0, rows)
    frame["decision"] = np.where(frame["log_odds"] > 0, "approve", "decline")
    frame["label"] = rng.integers(0, 2, rows).astype(bool)
    path = folder / f"part-{seed}.parquet"
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=97)
    return path


def test_partitions_merge_to_the_profile_of_the_window(world: World) -> None:
    """Five files profiled apart, merged in any order, are the profile of all their rows."""
    paths = [parquet(world.folder, 300 + seed, seed) for seed in range(5)]
    parts = [profile.of_parquet(path, world.watching.tally) for path in paths]
    whole = world.folder / "whole.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(path) for path in paths]), whole)
    expected = profile.of_parquet(whole, world.watching.tally)
    assert expected == reduce(profile.merge, parts)
    assert expected.id == reduce(profile.merge, parts[::-1]).id
    assert 1510 == expected.cube.rows == expected.decisions


def test_halves_of_a_window_in_the_ledger_merge_to_the_whole(world: World) -> None:
    """Two halves of October, each read out of the ledger, merge to October's profile."""
    people = cases.applicants(400, 2)
    world.decide(people, [at(1 + place % 28) for place in range(len(people))])
    asked = (
        window.between("2026-10-01", "2026-10-15"),
        window.between("2026-10-15", "2026-11-01"),
    )
    halves = [world.read(each).profile for each in asked]
    assert world.profile().id == profile.merge(*halves).id
    assert 400 == world.profile().decisions


def test_a_profile_holds_no_value_of_a_person(world: World) -> None:
    """A marked new value, subject and free text of one application stand nowhere in a profile."""
    people = cases.applicants(50, 2)
    people.loc[3, "job"] = "p-marked-job"
    people.loc[4, "id"] = "p-marked-id"
    world.decide(people)
    assert b"p-marked" not in world.profile().canonical()


def test_profiles_along_different_baselines_do_not_merge(world: World) -> None:
    """Bins of another baseline cannot be added."""
    first = world.watching.tally().profile()
    tally = world.watching.tally()
    tally.baseline_sha256 = "other"
    with pytest.raises(BadRequest):
        profile.merge(first, tally.profile())


def test_a_corrupt_file_is_refused(world: World) -> None:
    """A Parquet file cut short, or with bytes changed inside, is refused by name, never skipped."""
    path = parquet(world.folder, 500, 9)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    with pytest.raises(DataRefused):
        profile.of_parquet(path, world.watching.tally)
    middle = len(whole) // 2
    path.write_bytes(whole[:100] + b"\xff" * (middle - 100) + whole[middle:])
    with pytest.raises(DataRefused):
        profile.of_parquet(path, world.watching.tally)


def test_the_sample_is_the_same_however_decisions_come(world: World) -> None:
    """The sample depends on which decisions there are, and not on their order."""
    world.decide(cases.applicants(60, 2))
    taken = world.read(window.parse("2026-10"), 60).sample
    first, second = reading.Sample(10), reading.Sample(10)
    first.add(taken)
    second.add(taken[::-1])
    assert 10 == len(first.taken())
    assert first.taken() == second.taken()
