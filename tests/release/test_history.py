"""Which version was champion at a time, read from a trail that holds together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pipelines.adapters.memory import MemoryRegistry
from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.records import Promotion
from pipelines.release import history
from tests import registries


def trail_of(*steps: tuple[str, str]) -> tuple[Promotion, ...]:
    """Return a trail of (kind, version), an hour apart."""
    trail: list[Promotion] = []
    for number, (kind, version) in enumerate(steps, start=1):
        trail.append(
            registries.promotion(
                "applicants",
                number=number,
                former_id=trail[-1].id if trail else None,
                former_version=trail[-1].version if trail else None,
                version=version,
                kind=kind,
                at=f"2026-11-22T{8 + number:02}:00:00+00:00",
            )
        )
    return tuple(trail)


TRAIL = trail_of(("promote", "1"), ("promote", "3"), ("undo", "1"))


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """Hold the trail."""
    found = MemoryRegistry("applicants", tmp_path)
    for each in TRAIL:
        found.append(each)
    return found


def test_the_history_tells_from_when_until_when(registry: MemoryRegistry) -> None:
    """Each tenure ends when the next begins; the last one has no end."""
    rows = [
        (each.version, each.since[11:13], each.until and each.until[11:13])
        for each in history.history(registry)
    ]
    assert [("1", "09", "10"), ("3", "10", "11"), ("1", "11", None)] == rows


@pytest.mark.parametrize(
    ("time", "version"),
    [
        ("2026-11-22T08:59:59+00:00", None),
        ("2026-11-22T09:00:00+00:00", "1"),
        ("2026-11-22T10:30:00+00:00", "3"),
        ("2026-11-22T12:30:00+02:00", "3"),
        ("2027-01-01T00:00:00+00:00", "1"),
    ],
)
def test_the_champion_at_a_time(registry: MemoryRegistry, time: str, version: str | None) -> None:
    """A time with its offset has one champion, or none before the first."""
    found = history.champion_at(registry, time)
    assert version == (found.version if found else None)


@pytest.mark.parametrize("time", ["yesterday", "2026-11-22T09:00:00", ""])
def test_a_time_without_its_offset_is_refused(registry: MemoryRegistry, time: str) -> None:
    """A time that could mean several moments is not answered."""
    with pytest.raises(BadRequest):
        history.champion_at(registry, time)


def test_two_undos_do_not_bring_back_what_the_first_took_out() -> None:
    """An undo takes the champion away; what is left is what was in force before it."""
    assert ("1",) == history.standing(TRAIL)
    assert {"champion": "1", "previous": None} == history.aliases_after(TRAIL)
    assert {"champion": "3", "previous": "1"} == history.aliases_after(TRAIL[:2])


CHANGES = {
    "person": {"person": "Eve"},
    "reason": {"reason": "other"},
    "version": {"version": "2"},
    "time": {"at": "2026-11-22T09:30:00+00:00"},
    "verdict": {"verdict_id": "e" * 64},
    "number": {"number": 7},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_entry_breaks_the_trail(what: str) -> None:
    """Whatever is changed in an entry, the one after it no longer fits."""
    changed = msgspec.structs.replace(TRAIL[0], **CHANGES[what])
    with pytest.raises(IntegrityBroken):
        history.checked((changed, *TRAIL[1:]))


def test_a_removed_entry_breaks_the_trail() -> None:
    """An entry taken out from the middle is missed."""
    with pytest.raises(IntegrityBroken):
        history.checked((TRAIL[0], TRAIL[2]))


def test_a_swapped_order_breaks_the_trail() -> None:
    """Entries stand in the order in which they were made."""
    with pytest.raises(IntegrityBroken):
        history.checked((TRAIL[1], TRAIL[0], TRAIL[2]))


def test_an_undo_to_anywhere_else_breaks_the_trail() -> None:
    """An undo goes back to the version before the champion, and nowhere else."""
    with pytest.raises(IntegrityBroken, match="does not hold together"):
        history.checked(trail_of(("promote", "1"), ("promote", "3"), ("undo", "2")))
    with pytest.raises(IntegrityBroken, match="does not hold together"):
        history.checked(trail_of(("promote", "1"), ("undo", "1")))


def test_a_whole_trail_holds_together() -> None:
    """The trail as it was written passes."""
    assert TRAIL == history.checked(TRAIL)
