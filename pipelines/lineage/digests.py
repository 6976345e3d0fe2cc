"""What is on disk, by digest: one pass over each file gives Clew's SHA-256 and DVC's MD5."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pipelines.canonical import BLOCK, sha256_json


@dataclass(frozen=True, slots=True)
class Digest:
    """A file or folder by content: `sha256` as in `canonical`, `dvc_md5` as in `dvc.lock`."""

    sha256: str
    dvc_md5: str
    files: dict[str, str]
    size: int


def take(path: Path) -> Digest | None:
    """Return the digests of a file or folder; None when it is not there."""
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        sha256, md5, size = _file(path)
        return Digest(sha256, md5, {path.name: sha256}, size)
    return None


def _file(path: Path) -> tuple[str, str, int]:
    ours, theirs = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            ours.update(block)
            theirs.update(block)
            size += len(block)
    return ours.hexdigest(), theirs.hexdigest(), size


def _folder(folder: Path) -> Digest:
    found = {
        path.relative_to(folder).as_posix(): _file(path)
        for path in folder.rglob("*")
        if path.is_file()
    }
    files = {name: found[name][0] for name in sorted(found)}
    size = sum(size for _, _, size in found.values())
    return Digest(
        sha256_json(files),
        _dvc_folder({name: md5 for name, (_, md5, _) in found.items()}),
        files,
        size,
    )


def _dvc_folder(md5_by_name: dict[str, str]) -> str:
    """Return DVC 3's address of a folder: the MD5 of its sorted listing, marked ``.dir``."""
    listing = [{"md5": md5_by_name[name], "relpath": name} for name in sorted(md5_by_name)]
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
