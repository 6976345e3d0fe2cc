"""Digests of what is on disk agree with Clew's own and with DVC's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from pipelines.canonical import sha256_file, sha256_tree
from pipelines.lineage import digests


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "a-b").mkdir(parents=True)
    (folder / "a").mkdir()
    for name in ("b.txt", "a/x.txt", "a-b/x.txt", "ä.txt"):
        (folder / name).write_text(name)
    return folder


def test_digests_are_those_of_records(tmp_path: Path) -> None:
    """A folder's and a file's SHA-256 are what `canonical` gives."""
    folder = _folder(tmp_path)
    found, file = digests.take(folder), digests.take(folder / "b.txt")
    assert found is not None
    assert file is not None
    assert (sha256_tree(folder), sha256_file(folder / "b.txt")) == (found.sha256, file.sha256)
    assert sha256_file(folder / "a" / "x.txt") == found.files["a/x.txt"]


def test_md5_is_what_dvc_writes(tmp_path: Path) -> None:
    """A folder's and a file's MD5 are those under which DVC itself keeps them."""
    folder = _folder(tmp_path)
    (tmp_path / "one.txt").write_text("one")
    for words in (["init", "--no-scm", "-q"], ["add", "-q", "data", "one.txt"]):
        subprocess.run([sys.executable, "-m", "dvc", *words], cwd=tmp_path, check=True)
    for path in (folder, tmp_path / "one.txt"):
        kept = yaml.safe_load(path.with_name(f"{path.name}.dvc").read_text())["outs"][0]["md5"]
        found = digests.take(path)
        assert found is not None
        assert kept == found.dvc_md5


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    """What does not exist has no digest."""
    assert None is digests.take(tmp_path / "none")
