"""Canonical bytes and SHA-256 digests: what every record id, file id and folder id is made of."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import BadRequest, NotThere

BLOCK = 1 << 20
# Control signs: a terminal carries them out, a log breaks its line at them, no name needs them.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Something to be seen; a byte order mark is blank to some and none to others.
SEEN = re.compile(r"[^\s\x00-\x1f\x7f-\xa0\ufeff]")


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON bytes with sorted keys, no white space and UTF-8 text.

    Takes what JSON can hold: str, int, float, bool, None, and lists and string-keyed mappings of
    these. Floats are written with Python's shortest round-trip form. NaN and infinities raise
    BadRequest, for they have no JSON form and must not turn into null unseen.
    """
    _refuse_non_finite(value, "$")
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def _refuse_non_finite(value: object, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRequest("a number without a JSON form", where=path, expected="a finite number")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise BadRequest("a key that is not text", where=path, expected="text keys")
            _refuse_non_finite(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            _refuse_non_finite(item, f"{path}[{number}]")


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: object) -> str:
    """Return the SHA-256 of the canonical form of `value`."""
    return sha256_bytes(canonical_json(value))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks. Raises NotThere."""
    if not path.is_file():
        raise NotThere("no such file", where=str(path))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_tree(folder: Path) -> str:
    """Return one SHA-256 for a folder: over its files' relative names and digests, sorted."""
    if not folder.is_dir():
        raise NotThere("no such folder", where=str(folder))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return sha256_json({path.relative_to(folder).as_posix(): sha256_file(path) for path in files})
