"""One HTTP connection, held to what a request may weigh and how long it may take to come in.

Uvicorn reads a request's head into memory however long it is, and waits for the rest of it without
end. Nobody has shown a key by then, so anybody could fill the memory of the service.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 1 << 16  # bytes
CHUNKED: Final = 8  # a body sent byte by byte, each in a chunk, is that many times as long
SECONDS: Final = 60.0
REFUSED: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Connection(HttpToolsProtocol):
    """Uvicorn's protocol with a bound on what one request sends, and on how long that takes."""

    largest = CHUNKED << 20
    _taken = 0
    _head = True  # what comes in now belongs to a request's head
    _whole = True  # no request has begun that has not ended
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait(no_more=True)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in a piece of a request."""
        self._taken += len(data)
        super().data_received(data)
        if self._whole:
            self._wait(no_more=True)
        elif self._taken > (LARGEST_HEAD if self._head else self.largest):
            self.transport.write(REFUSED if self._head else b"")
            self.transport.close()
        elif self._late is None:
            self._wait()

    def on_message_begin(self) -> None:
        """Count anew; what came in with the request's first bytes is one read of a socket."""
        self._taken, self._head, self._whole = 0, True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request."""
        self._whole = True
        super().on_message_complete()

    def _wait(self, *, no_more: bool = False) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None if no_more else self.loop.call_later(SECONDS, self._give_up)

    def _give_up(self) -> None:
        self.transport.close()


def bounded(largest_body: int) -> type[Connection]:
    """Return the protocol for requests whose body has at most so many bytes."""
    return type("Bounded", (Connection,), {"largest": LARGEST_HEAD + CHUNKED * largest_body})
