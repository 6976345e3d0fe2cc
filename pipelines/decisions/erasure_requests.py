"""Whom to erase, kept where only its owner reads it: everything else names a reference.

A reference is 128 random bits, made once for each request. It goes through forms, logs and other
programs' databases in the person's stead, and tells nothing of them, neither before the erasure
nor after it. Once a request is closed its file says what was done, and no longer about whom.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from pathlib import Path

import msgspec

from pipelines.errors import BadRequest, IntegrityBroken, NotThere
from pipelines.ledger.secret_files import create_secret, read_secret, replace_secret
from pipelines.records import Json
from pipelines.release.approve import named, reasoned

BYTES = 16
LONGEST = 200
REFERENCE = re.compile(r"[0-9a-f]{32}")


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request to erase a person: who asks for it and why; or, once closed, what was done.

    `begun` holds the digest of the plan that is being carried out.
    """

    subject: str = ""
    person: str
    reason: str
    at: str
    begun: str = ""
    done: dict[str, Json] = {}

    def __repr__(self) -> str:
        return "Request(not shown)"


def create(folder: Path, subject: str, person: str, reason: str) -> str:
    """Keep a request and return its reference."""
    if not subject.strip():
        raise BadRequest("nobody is named who is to be erased")
    reference = secrets.token_hex(BYTES)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    made = Request(subject=subject, person=named(person), reason=reasoned(reason)[:LONGEST], at=at)
    create_secret(_path(folder, reference), _text(made))
    return reference


def read(folder: Path, reference: str) -> Request:
    """Return a request. Raises BadRequest for what is no reference, NotThere."""
    path = _path(folder, reference)
    if not path.exists():
        raise NotThere("no such request to erase", observed=reference, hint="clew erase --refer")
    try:
        return msgspec.json.decode(read_secret(path), type=Request)
    except msgspec.DecodeError:
        raise IntegrityBroken("a request to erase is broken", where=reference) from None


def begin(folder: Path, reference: str, plan: str) -> None:
    """Keep that a plan, named by its digest, is being carried out."""
    found = read(folder, reference)
    replace_secret(_path(folder, reference), _text(msgspec.structs.replace(found, begun=plan)))


def close(folder: Path, reference: str, done: dict[str, Json]) -> None:
    """Keep what was done in the person's stead; what named them is overwritten."""
    found = msgspec.structs.replace(read(folder, reference), subject="", done=done)
    replace_secret(_path(folder, reference), _text(found))


def _path(folder: Path, reference: str) -> Path:
    if not REFERENCE.fullmatch(reference):
        raise BadRequest("not a reference", expected="32 hexadecimal digits")
    return folder / f"{reference}.json"


def _text(request: Request) -> str:
    return msgspec.json.encode(request).decode() + "\n"
