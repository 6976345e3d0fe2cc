"""The trust file (C2SP tlog-policy): which keys of the log hold until when, which witnesses sign.

A key that was replaced holds for checkpoints up to a size of the log: sizes only grow, and clocks
are the operator's word. The size stands in a comment, so that other tools read the file too:

    log example.com/decisions+0c6ae2b7+AW…
    #until example.com/decisions+0c6ae2b7 4711
    witness w1 witness.example/w1+3e0b91f2+BC…
    quorum w1
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest
from pipelines.ledger.note import Algorithm, Verifier, decimal
from pipelines.ledger.secret_files import writing
from pipelines.whole_file import write_whole

LOG, WITNESS, QUORUM, UNTIL = "log", "witness", "quorum", "#until"
NOBODY: Final = "none"


def former_file(signer_file: Path) -> Path:
    """Return where the log's own former keys stand: with its keys, out of reach of its database."""
    return signer_file.with_name(f"{signer_file.name}.former")


def read(path: Path) -> str:
    """Return a trust file's text; without a file, none."""
    return path.read_text() if path.exists() else ""


def words(text: str) -> Iterator[list[str]]:
    """Yield the words of each line that is not empty."""
    for line in text.splitlines():
        if found := line.split():
            yield found


def log_keys(text: str) -> tuple[Verifier, ...]:
    """Return the keys of logs in a trust file, each with the size up to which it holds."""
    ends = {line[1]: decimal(line[2]) for line in words(text) if line[0] == UNTIL}
    keys = (Verifier.parse(line[1]) for line in words(text) if line[0] == LOG)
    return tuple(replace(key, until=ends.get(label(key))) for key in keys)


def witnesses(text: str) -> dict[str, Verifier]:
    """Return the witnesses of a trust file by their names in it."""
    lines = (line for line in words(text) if line[0] == WITNESS)
    return {line[1]: Verifier.parse(line[2]) for line in lines}


def label(key: Verifier) -> str:
    """Return what names a key in a trust file: its name and its id."""
    return f"{key.name}+{key.key_id.hex()}"


def with_key(text: str, key: Verifier) -> str:
    """Return the text with one more key of the log; one that is there already changes nothing."""
    if any(each == key for each in log_keys(text)):
        return text
    return f"{LOG} {key.vkey()}\n{text}"


def ended(text: str, newest: Verifier, size: int) -> str:
    """Return the text with an end at `size` for every key of `newest`'s log that has none yet."""
    open_ended = [
        each for each in log_keys(text) if each.name == newest.name and each.until is None
    ]
    lines = [f"{UNTIL} {label(each)} {size}\n" for each in open_ended if each != newest]
    return "".join([*lines, text])


def with_witness(text: str, name: str, key: Verifier) -> str:
    """Return the text that asks for the cosignature of this witness, and of this one alone.

    Raises BadRequest for a key that does not cosign, or another key under a name in use.
    """
    if key.algorithm is not Algorithm.COSIGNATURE:
        raise BadRequest("not a witness's key", hint="clew witness keygen")
    known = witnesses(text).get(name)
    if known not in (None, key):
        raise BadRequest("another witness has this name", where=name)
    kept = [line for line in text.splitlines() if line.split()[:1] != [QUORUM]]
    fresh = [] if known else [f"{WITNESS} {name} {key.vkey()}"]
    return "\n".join([*kept, *fresh, f"{QUORUM} {name}", ""])


def write(path: Path, text: str) -> None:
    """Replace a trust file, whole or not at all. Raises Unavailable when the disk fails."""
    with writing(path):
        write_whole(path, text.encode())
