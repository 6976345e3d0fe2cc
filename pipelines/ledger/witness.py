"""A witness: it cosigns a log's checkpoint only when the log continues the one it saw last.

Run it on another host, under another account than the log. It speaks C2SP tlog-witness
(``add-checkpoint``) and signs cosignature/v1.
"""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest, ClewError, IntegrityBroken, Unavailable
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import (
    Checkpoint,
    Note,
    Signer,
    Verifier,
    decimal,
    decode,
    encode,
    opened,
)
from pipelines.ledger.secret_files import locked
from pipelines.ledger.tree import EMPTY_ROOT, verify_consistency
from pipelines.whole_file import write_whole

MOST_PROOF_LINES: Final = 63
LARGEST_REQUEST: Final = 64 * 1024
PATH: Final = "/add-checkpoint"
SECONDS: Final = 10.0
OK, BAD, FORBIDDEN, UNKNOWN, CONFLICT, INCONSISTENT = 200, 400, 403, 404, 409, 422


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and body."""

    status: int
    body: str = ""


class Witness:
    """The witness's memory, a file of the last checkpoint for each log, and its key."""

    def __init__(self, signer: Signer, logs: Sequence[Verifier], memory: Path) -> None:
        self._signer = signer
        self._logs = tuple(logs)
        self._memory = memory
        self._lock = threading.Lock()

    def add_checkpoint(self, request: str) -> Answer:
        """Answer one ``add-checkpoint`` request; the new checkpoint is durable before it."""
        try:
            old, proof, note = read_request(request)
            checkpoint = Checkpoint.parse(Note.parse(note).text)
        except IntegrityBroken:
            return Answer(BAD, "not an add-checkpoint request\n")
        keys = [key for key in self._logs if key.name == checkpoint.origin]
        if not keys:
            return Answer(UNKNOWN, "unknown log\n")
        try:
            opened(note, *keys)
        except IntegrityBroken:
            return Answer(FORBIDDEN, "not signed by the log\n")
        if old > checkpoint.size:
            return Answer(BAD, "the old size is larger than the checkpoint\n")
        with self._lock, locked(self._memory):
            return self._advance(old, proof, checkpoint, note)

    def last(self, origin: str) -> Checkpoint:
        """Return the last checkpoint cosigned for a log; the empty tree when there is none."""
        notes = self._remembered()
        if origin not in notes:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        return Checkpoint.parse(Note.parse(notes[origin]).text)

    def _advance(self, old: int, proof: list[bytes], new: Checkpoint, note: str) -> Answer:
        last = self.last(new.origin)
        if old != last.size:
            return Answer(CONFLICT, f"{last.size}\n")
        try:
            verify_consistency(last.size, new.size, last.root, new.root, proof)
        except IntegrityBroken as error:
            return Answer(INCONSISTENT, f"{error.what}\n")
        self._remember(new.origin, note)
        return Answer(OK, self._signer.sign(new.text))

    def _remembered(self) -> dict[str, str]:
        try:
            notes = json.loads(self._memory.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            notes = None
        if not isinstance(notes, dict):
            raise IntegrityBroken("the witness's memory is broken", where=str(self._memory))
        return {str(origin): str(note) for origin, note in notes.items()}

    def _remember(self, origin: str, note: str) -> None:
        write_whole(self._memory, json.dumps({**self._remembered(), origin: note}).encode())


def read_request(text: str) -> tuple[int, list[bytes], str]:
    """Return old size, consistency proof and checkpoint note. Raises IntegrityBroken."""
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or not lines[0].startswith("old ") or len(lines) > MOST_PROOF_LINES + 1:
        raise IntegrityBroken("not an add-checkpoint request")
    return decimal(lines[0].removeprefix("old ")), [decode(line) for line in lines[1:]], note


def write_request(old: int, proof: Sequence[bytes], note: str) -> str:
    """Return the body of an ``add-checkpoint`` request."""
    return f"old {old}\n" + "".join(encode(each) + "\n" for each in proof) + "\n" + note


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """Return an HTTP server for a witness; call its `serve_forever`."""

    class Handler(BaseHTTPRequestHandler):
        """Passes requests on."""

        protocol_version = "HTTP/1.1"
        timeout = SECONDS  # for whoever says little by little, or nothing

        def do_POST(self) -> None:
            try:
                length = decimal(self.headers.get("Content-Length") or "")
            except IntegrityBroken:
                self.close_connection = True
                self._answer(Answer(BAD, "a request says how long it is\n"))
                return
            if not self.path.endswith(PATH) or length > LARGEST_REQUEST:
                self.close_connection = True
                self._answer(Answer(UNKNOWN))
                return
            request = self.rfile.read(length).decode(errors="replace")
            try:
                self._answer(witness.add_checkpoint(request))
            except (ClewError, OSError):
                self._answer(Answer(503, "the witness cannot remember\n"))

        def _answer(self, answer: Answer) -> None:
            kind = "text/x.tlog.size" if answer.status == CONFLICT else "text/plain; charset=utf-8"
            body = answer.body.encode()
            with suppress(OSError):  # who asked may be gone
                self.send_response(answer.status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Write no access log."""

    return ThreadingHTTPServer((host, port), Handler)


def post(url: str, request: str) -> Answer:
    """Send a request to a witness's submission prefix. Raises Unavailable."""
    if not url.startswith(("http://", "https://")):
        raise BadRequest("a witness's address that is not HTTP", observed=url)
    asked = urllib.request.Request(url.rstrip("/") + PATH, request.encode(), method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as reply:  # noqa: S310
            return Answer(reply.status, reply.read(LARGEST_REQUEST).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(LARGEST_REQUEST).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable("the witness does not answer", where=url) from error


def ask(ledger: Ledger, url: str, key: Verifier) -> str:
    """Have a witness cosign the log's newest checkpoint; keep and return the cosigned note.

    Raises IntegrityBroken when the witness saw a log that this one does not continue, and
    Unavailable when it does not answer.
    """
    checkpoint, note = ledger.checkpoint()
    answer = post(url, write_request(0, [], note))
    if answer.status == CONFLICT:
        seen = decimal(answer.body.strip())
        if seen > checkpoint.size:
            raise IntegrityBroken(
                "the witness has seen a longer log", observed=checkpoint.size, expected=seen
            )
        proof = ledger.consistency(seen, checkpoint.size)
        answer = post(url, write_request(seen, proof, note))
    if answer.status == INCONSISTENT:
        raise IntegrityBroken("the witness has seen another log", where=url)
    if answer.status != OK:
        raise Unavailable("the witness refuses", where=url, observed=answer.status)
    return _kept(ledger, checkpoint, note, answer.body, key)


def _kept(ledger: Ledger, checkpoint: Checkpoint, note: str, lines: str, key: Verifier) -> str:
    good = [
        line
        for line in lines.splitlines(keepends=True)
        if key in Note.parse(f"{checkpoint.text}\n{line}").verified([key])
    ]
    if not good:
        raise IntegrityBroken("the witness's answer is not signed by its key", where=key.name)
    held = dict(ledger.store.cosigned()).get(checkpoint.size, note)
    cosigned = held + "".join(line for line in good if line not in held)
    ledger.store.add_cosigned(checkpoint.size, cosigned)
    return cosigned
