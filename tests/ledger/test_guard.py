"""The fork guard keeps the last checkpoint, and survives a torn write."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import IntegrityBroken, Unavailable
from pipelines.ledger.guard import SLOT, FileGuard


def kept(path: Path, *notes: str) -> FileGuard:
    guard, last = FileGuard(path), None
    for note in notes:
        guard.swap(last, note)
        last = note
    return guard


def test_it_remembers(tmp_path: Path) -> None:
    """The last checkpoint is there in another process, and none is None."""
    assert None is FileGuard(tmp_path / "guard").last()
    kept(tmp_path / "guard", "one", "two", "three")

    assert "three" == FileGuard(tmp_path / "guard").last()


def test_a_swap_is_refused_when_another_came_first(tmp_path: Path) -> None:
    """Of two writers that saw the same checkpoint, the second is refused."""
    first = kept(tmp_path / "guard", "one")
    second = FileGuard(tmp_path / "guard")
    assert "one" == second.last()
    first.swap("one", "two")
    with pytest.raises(IntegrityBroken):
        second.swap("one", "other")

    assert "two" == second.last()


@pytest.mark.parametrize("torn", [0, 40, 2000, SLOT - 1])
def test_a_torn_write_leaves_the_one_before(tmp_path: Path, torn: int) -> None:
    """When the newest slot is damaged anywhere in its note, the one before is read."""
    path = tmp_path / "guard"
    kept(path, "one" * 700, "two" * 700)
    content = bytearray(path.read_bytes())
    content[torn] ^= 1
    path.write_bytes(content)
    expected = "two" if torn >= 2150 else "one"

    assert expected * 700 == FileGuard(path).last()


def test_a_broken_guard_is_no_empty_guard(tmp_path: Path) -> None:
    """A guard whose both slots are damaged stops the log instead of starting anew."""
    (tmp_path / "guard").write_bytes(b"x" * 2 * SLOT)
    with pytest.raises(IntegrityBroken):
        FileGuard(tmp_path / "guard").last()
    with pytest.raises(Unavailable):
        FileGuard(tmp_path)


def test_a_checkpoint_too_large(tmp_path: Path) -> None:
    """A note that does not fit a slot is refused, not cut."""
    with pytest.raises(IntegrityBroken):
        kept(tmp_path / "guard", "x" * SLOT)
