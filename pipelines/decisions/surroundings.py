"""Where decisions are made: packages, interpreter, processor and code of the deciding process.

A decision's origin names the environment that trained its model. The process that decides may be
another one, so it is recorded too: once, in the ledger itself, under an id that decisions name.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pipelines.canonical import sha256_file, sha256_json
from pipelines.ledger.entry import Body, Draft
from pipelines.ledger.keys import ID_SIZE
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import AlreadyRecorded
from pipelines.model.environment import describe
from pipelines.records import Environment, Record

KIND: Final = "environment"
OPERATION: Final = "operation"
HERE: Final = "the deciding process"


class Surroundings(Record, frozen=True):
    """The determinism manifest of a process that decides, and the digest of the code it runs."""

    environment: Environment
    code_sha256: str


def observed(lock: Path) -> Surroundings:
    """Return this process's surroundings; `lock` pins what models need. Raises NotThere."""
    return Surroundings(environment=describe(lock), code_sha256=code_sha256())


def code_sha256() -> str:
    """Return one SHA-256 over the modules of this package, by relative name."""
    root = Path(__file__).parents[1]
    found = sorted(root.rglob("*.py"))
    return sha256_json({path.relative_to(root).as_posix(): sha256_file(path) for path in found})


def number_of(ledger: Ledger, surroundings_id: str) -> bytes:
    """Return the id of the entry that holds these surroundings."""
    return ledger.keys.ref(f"{KIND}\n{surroundings_id}")[:ID_SIZE]


def record(ledger: Ledger, found: Surroundings) -> str:
    """Record surroundings once and return their id. Raises Unavailable."""
    content = msgspec.json.encode(found, order="sorted")
    number = number_of(ledger, found.id)
    if number not in ledger.store.seq_of([number]):
        with suppress(AlreadyRecorded):  # by another process at this moment
            body = Body(HERE, OPERATION, content)
            ledger.record(Draft(KIND, {"e": found.id}, (body,), number))
    return found.id


def read(ledger: Ledger, surroundings_id: str) -> Surroundings:
    """Return recorded surroundings. Raises NotThere."""
    content = ledger.read(number_of(ledger, surroundings_id)).content
    return msgspec.json.decode(content, type=Surroundings)
