"""A window counted in parts: the same to the bit, whatever was cut where and came in between."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import IntegrityBroken
from pipelines.typed import read_json
from pipelines.watch import outcomes, parts, run
from pipelines.watch.parts import Counted, Folder, Plan
from pipelines.watch.profile import WindowProfile
from tests.release import cases
from tests.watch.test_outcomes import file
from tests.watch.world import World, at

NAME = "2026-10-01--2026-11-01"
LIMITS: dict[str, Any] = {"influence_sample": 50}


def decided(world: World) -> None:
    """Record decisions in and out of the window, a clock that went back, and late outcomes."""
    people = cases.applicants(240, 2)
    when = [at(1 + place // 9 % 28, 9 if place % 11 == 0 else 10) for place in range(240)]
    ids = world.decide(people, when)
    contract = world.watching.contract
    labels = people["paid"].tolist()
    for some in (slice(0, 60), slice(60, 150)):
        path = file(world.folder, ids[some], labels[some])
        outcomes.record(world.ledger, outcomes.rows(path, contract), lambda _: None)
    world.decide(cases.applicants(60, 3), at(2))


def planned(world: World, rows: int) -> tuple[Plan, Folder]:
    """Cut October and keep the plan."""
    asked = world.question(**LIMITS)
    made = parts.plan(world.ledger, asked.window, rows)
    folder = Folder.of(world.files, asked.window, made.id)
    folder.keep(made)
    return made, folder


def count(world: World, made: Plan, number: int) -> Counted:
    """Count one part."""
    size = run.sample_size(world.question(**LIMITS).limits)
    version = world.watching.version.files_sha256
    return parts.count(world.ledger, made, number, version, world.watching.tally(), size)


def counted(world: World, made: Plan, folder: Folder) -> tuple[Counted, ...]:
    """Count every part into its file, the last one first, and read them."""
    for number in reversed(range(len(made.parts))):
        count(world, made, number).write(folder.part(number))
    return folder.counted(made, world.watching.version.files_sha256)


@pytest.mark.parametrize("rows", [7, 100, 1000])
def test_parts_come_to_what_one_pass_counts(world: World, rows: int) -> None:
    """Cut into 40, 3 or 1, with outcomes that came later, the report is the same to the bit."""
    decided(world)
    whole = world.watch(**LIMITS)
    made, folder = planned(world, rows)
    found = counted(world, made, folder)
    again = run.run(world.question(**LIMITS), world.ledger, world.files, print, found)
    assert whole.id == again.id
    profile = read_json(world.files.profile(NAME, whole.profile_id or ""), WindowProfile)
    labels = sum(each.count for each in profile.cube.cells if each.label != "unknown")
    assert 150 > labels > 100
    assert len(made.parts) == -(-profile.decisions // rows) == len(found)
    assert ["alarm"] == [f.status for f in whole.findings if f.of == "clock"]


def test_a_part_that_was_not_counted_leaves_nothing_to_take(world: World) -> None:
    """With a part missing, or counted for another version, there is no half of a window."""
    decided(world)
    made, folder = planned(world, 100)
    mine = world.watching.version.files_sha256
    assert len(made.parts) == len(counted(world, made, folder))
    assert () == folder.counted(made, "0" * 64)
    folder.part(1).unlink()
    assert () == folder.counted(made, mine)


def test_a_part_of_another_plan_is_not_taken(world: World) -> None:
    """A file of counts that stands for another part is left alone."""
    decided(world)
    made, folder = planned(world, 100)
    counted(world, made, folder)
    folder.part(0).write_bytes(folder.part(1).read_bytes())
    assert () == folder.counted(made, world.watching.version.files_sha256)


def test_a_plan_that_was_changed_is_an_alarm(world: World) -> None:
    """A plan that is not the one it is named as is followed by nobody."""
    decided(world)
    made, folder = planned(world, 100)
    path = folder.path / "plan.json"
    path.write_text(path.read_text().replace('"decisions":100', '"decisions":99'))
    with pytest.raises(IntegrityBroken):
        folder.plan(made.id)


def test_no_more_parts_than_can_be_mapped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window of too many parts is cut into larger ones, and no decision is lost."""
    monkeypatch.setattr(parts, "MOST", 8)
    decided(world)
    made, _ = planned(world, 7)
    whole = world.profile().decisions
    assert whole == sum(each.decisions for each in made.parts)
    assert 8 >= len(made.parts) > 4


def test_a_part_holds_no_value_of_a_person(world: World) -> None:
    """Marked values of an application stand in no file of a part."""
    people = cases.applicants(30, 2)
    people.loc[3, "job"] = "p-marked-job"
    people.loc[4, "id"] = "p-marked-id"
    world.decide(people)
    made, folder = planned(world, 10)
    counted(world, made, folder)
    stored = b"".join(path.read_bytes() for path in folder.path.iterdir())
    assert b"p-marked" not in stored
