"""Timestamps over checkpoints: asked for over HTTP, and kept beside the log, two files for each."""

from __future__ import annotations

import http.client
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Checkpoint, Note
from pipelines.ledger.proof import Policy, Proof
from pipelines.ledger.timestamp import request, verify
from pipelines.whole_file import write_whole

SECONDS: Final = 30.0
LARGEST: Final = 1 << 16
NONCE_BITS: Final = 64
SUFFIX, NOTE_SUFFIX = ".tsr", ".checkpoint"
# In the bundle of one decision: the proof under the stamped checkpoint, and the stamp.
PROOF, ANSWER = "timestamp.tlog-proof", "timestamp.tsr"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A checkpoint's note, and the authority's answer over it as it was received."""

    note: str
    answer: bytes

    @property
    def size(self) -> int:
        return Checkpoint.parse(Note.parse(self.note).text).size


def ask(url: str, note: str, authority: x509.Certificate) -> Stamp:
    """Have the authority at `url` stamp a checkpoint's note: only its SHA-256 is sent.

    Raises Unavailable when it does not answer, IntegrityBroken when its answer is not its own.
    """
    if not url.startswith(("http://", "https://")):
        raise BadRequest("an authority's address that is not HTTP", observed=url)
    nonce = secrets.randbits(NONCE_BITS)
    headers = {"Content-Type": "application/timestamp-query"}
    asked = urllib.request.Request(url, request(note.encode(), nonce), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as reply:  # noqa: S310
            answer = reply.read(LARGEST)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable("the timestamp authority does not answer", where=url) from error
    verify(answer, note.encode(), authority, nonce)
    return Stamp(note, answer)


def newest(ledger: Ledger) -> str:
    """Return the note of the newest checkpoint, with its cosignatures where it has some."""
    checkpoint, note = ledger.checkpoint()
    return dict(ledger.store.cosigned()).get(checkpoint.size, note)


def folder(ledger: Path) -> Path:
    """Return where the stamps of a log stand, beside it."""
    return ledger / "timestamps"


def keep(place: Path, stamp: Stamp) -> None:
    """Write a stamp into a folder, two files for each size; the answer last."""
    write_whole(place / f"{stamp.size}{NOTE_SUFFIX}", stamp.note.encode())
    write_whole(place / f"{stamp.size}{SUFFIX}", stamp.answer)


def kept(place: Path) -> list[Stamp]:
    """Return the stamps of a folder, the smallest log first."""
    found = [
        Stamp(path.with_suffix(NOTE_SUFFIX).read_text(), path.read_bytes())
        for path in place.glob(f"*{SUFFIX}")
    ]
    return sorted(found, key=lambda each: each.size)


def first_over(place: Path, index: int) -> Stamp:
    """Return the first stamp of a log that holds the entry at `index`. Raises NotThere."""
    for stamp in kept(place):
        if stamp.size > index:
            return stamp
    raise NotThere("no timestamp covers this entry", where=f"index {index}")


def add_to_bundle(ledger: Ledger, index: int, place: Path, bundle: Path) -> bool:
    """Put the first stamp over an entry into its bundle; return whether there is one."""
    try:
        stamp = first_over(place, index)
    except NotThere:
        return False
    (bundle / PROOF).write_text(ledger.proof(index, stamp.note).text())
    (bundle / ANSWER).write_bytes(stamp.answer)
    return True


def check_bundle(bundle: Path, policy: Policy, authority: x509.Certificate) -> tuple[int, datetime]:
    """Return the log's size and the time by which the bundle's entry was in it, as was stamped.

    Raises NotThere without a stamp, IntegrityBroken when anything of it is not right.
    """
    if not (bundle / PROOF).exists():
        raise NotThere("no timestamp in this bundle", where=str(bundle))
    proof = Proof.parse((bundle / PROOF).read_text())
    size = proof.verify((bundle / "entry.json").read_bytes(), policy).size
    return size, verify((bundle / ANSWER).read_bytes(), proof.note.encode(), authority)


def check(stamp: Stamp, policy: Policy, authority: x509.Certificate) -> tuple[int, datetime]:
    """Return the log's size and when it was stamped. Raises IntegrityBroken."""
    size = policy.opened(stamp.note).size
    return size, verify(stamp.answer, stamp.note.encode(), authority)
