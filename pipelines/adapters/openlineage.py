"""Where OpenLineage events go: one line each in a file, over HTTP, or into memory for tests."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import BadRequest

if TYPE_CHECKING:
    from openlineage.client.transport.http import HttpTransport

PRIVATE = 0o600
SECONDS = 3.0
TRIES_AGAIN = {"total": 1, "connect": 1, "read": 0, "backoff_factor": 0.1}
UNSENT = "unsent.jsonl"
AT_ONCE = 100
GIVEN_UP = frozenset({400, 409, 413, 422})

log = logging.getLogger("clew.lineage")


class MemoryLineage:
    """Keeps events in a list."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, object]] = []

    def emit(self, event: Mapping[str, object]) -> None:
        """Keep one event."""
        self.events.append(event)


class FileLineage:
    """Appends events to a file, one line each, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def emit(self, event: Mapping[str, object]) -> None:
        """Append one event as one whole line. Raises OSError when it cannot be written."""
        self.append(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())

    def append(self, line: bytes) -> None:
        """Append `line` under an exclusive lock; a line that a crash cut off is ended first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.fchmod(handle, PRIVATE)
            size = os.fstat(handle).st_size
            cut_off = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            _write_all(handle, (b"\n" if cut_off else b"") + line + b"\n", size)
        finally:
            os.close(handle)


class HttpLineage:
    """Sends events to an OpenLineage server, after writing each into the local file.

    The local file is the record that the thread is read from, and it alone decides whether a step
    may start. An event that the server does not take is spooled beside the file, and goes out
    before the next one that it does take.
    """

    def __init__(self, url: str, local: FileLineage) -> None:
        self.url, self.local = url, local
        self.unsent = local.path.with_name(UNSENT)

    def emit(self, event: Mapping[str, object]) -> None:
        """Write one event locally, then send it. Raises OSError when it cannot be written."""
        self.local.emit(event)
        FileLineage(self.unsent).emit(event)
        self._send_spooled()

    def _send_spooled(self) -> None:
        """Send what is spooled, oldest first, and keep from the first that is not taken."""
        with self.unsent.open("r+b") as spool:
            fcntl.flock(spool, fcntl.LOCK_EX)
            waiting = [line for line in spool.read().split(b"\n") if line]
            sent = self._send_all(waiting)
            if sent:
                spool.seek(0)
                spool.truncate()
                spool.write(b"".join(line + b"\n" for line in waiting[sent:]))
        if sent < len(waiting):
            log.warning("lineage: %d events wait in %s", len(waiting) - sent, self.unsent)

    def _send_all(self, lines: list[bytes]) -> int:
        """Return how many of `lines` the server took before the first it did not take."""
        import requests
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        try:
            transport = HttpTransport(HttpConfig(self.url, timeout=SECONDS, retry=TRIES_AGAIN))
        except ValueError as error:
            raise BadRequest(
                "not an address to send lineage to",
                where="OPENLINEAGE_URL",
                expected="http://host:port",
            ) from error
        done = 0
        try:
            for line in lines[:AT_ONCE]:
                _post(transport, json.loads(line))
                done += 1
        except requests.RequestException as error:
            log.warning("lineage: the server took no event: %s", type(error).__name__)
        finally:
            transport.close()
        return done


def _post(transport: HttpTransport, event: Any) -> None:  # noqa: ANN401 - the client types a class
    """Send one event. An event that the server calls wrong is given up: it stays in the file.

    Raises requests.RequestException when it may be taken another time.
    """
    import requests

    try:
        transport.emit(event)
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status not in GIVEN_UP:
            raise
        log.warning("lineage: the server refused an event with status %d", status)


def _write_all(handle: int, data: bytes, size: int) -> None:
    """Write all of `data`, or nothing: what a full disk cut off is taken back."""
    try:
        written = 0
        while written < len(data):
            written += os.write(handle, data[written:])
    except OSError:
        os.ftruncate(handle, size)
        raise
