"""A connection is held to bounds before anybody has shown who they are."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from pipelines.decisions.service import connection
from pipelines.decisions.service.connection import LARGEST_HEAD, bounded
from tests.registries import free_port

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nhi"
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with its body."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": bytes(body)})


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    config = uvicorn.Config(echo, port=port, http=bounded(1000), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()


def said(port: int, *pieces: bytes) -> bytes:
    """Send pieces on one connection and return what comes until the other side ends it."""
    came = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
            while piece := client.recv(65536):
                came += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # ended with something of ours unread
    return came


@pytest.mark.parametrize(
    "start",
    [HEAD + b"X: ", CHUNKS + b"0\r\nX: ", b"POST /"],
    ids=["header", "trailer", "path"],
)
def test_what_has_no_end_is_not_kept(port: int, start: bytes) -> None:
    """A head, a trailer or a path that goes on and on ends the connection, and nothing else."""
    assert b"200 OK" not in said(port, start, *[b"a" * LARGEST_HEAD] * 4)
    assert b"hi" in said(port, WHOLE.replace(b"Host", b"Connection: close\r\nHost"))


@pytest.mark.parametrize("start", [b"", HEAD, WHOLE[:-1]], ids=["nothing", "head", "body"])
def test_nobody_is_waited_for_without_end(
    port: int, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that does not come in whole in its time is given up."""
    monkeypatch.setattr(connection, "SECONDS", 0.1)
    assert b"200 OK" not in said(port, start)


def test_whole_requests_are_answered_however_they_come(port: int) -> None:
    """One after another, several in one piece, byte by byte, with a long head: each is answered."""
    long = HEAD + b"X: " + b"a" * (LARGEST_HEAD // 2) + b"\r\nContent-Length: 2\r\n\r\nhi"
    chunked = CHUNKS + b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"
    last = WHOLE.replace(b"Host", b"Connection: close\r\nHost")
    single = [last[at : at + 1] for at in range(len(last))]
    assert 6 == said(port, WHOLE, WHOLE + WHOLE, long, chunked, *single).count(b"hi")
