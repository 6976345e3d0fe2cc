"""Files that are there whole or not at all."""

import stat
from pathlib import Path

import pytest

from pipelines.whole_file import write_whole


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [each.name for each in folder.iterdir()]


def test_a_file_is_written_and_replaced_with_its_folder(tmp_path: Path) -> None:
    """The folder is made, the second text takes the place of the first, and nothing else stays."""
    path = tmp_path / "folder" / "file"
    write_whole(path, b"first, and longer")
    write_whole(path, b"second")
    assert (b"second", ["file"]) == (path.read_bytes(), names(path.parent))


def test_one_who_reads_on_keeps_the_former_file(tmp_path: Path) -> None:
    """A file is replaced and never written over: what was opened before stays whole."""
    path = tmp_path / "file"
    write_whole(path, b"first")
    with path.open("rb") as open_before:
        write_whole(path, b"second")
        assert b"first" == open_before.read()


def test_a_write_that_fails_leaves_the_former_file_alone(tmp_path: Path) -> None:
    """What cannot be put in place raises, changes nothing and leaves no draft behind."""
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"text")
    assert ["taken"] == names(tmp_path)


def test_a_private_file_is_never_open_to_others(tmp_path: Path) -> None:
    """The mode that is asked for is the draft's from the first byte."""
    path = tmp_path / "secret"
    write_whole(path, b"text", 0o600)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
