"""The edge of the service: request ids, security headers, the access log, and errors as problems.

The access log holds route templates, never a path or a query as sent: they may hold anything. An
error that nobody expected is logged by its type and place in the code, without its words.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import time
import traceback
from collections.abc import Iterable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("clew.service")
ACCESS = logging.getLogger("clew.access")
SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SECURITY: Final = [
    (name.lower().encode(), text.encode()) for name, text in SECURITY_HEADERS.items()
]
GONE: Final = 499  # as proxies log it
LINE: Final = "%s %s %d %.1f ms request=%s caller=%s"
FAULT: Final = b'{"type":"urn:clew:problem:fault","title":"Internal Server Error","status":500}'


class Edge:
    """An ASGI layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._start, self._count = secrets.token_hex(4), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        request_id = f"{self._start}{next(self._count):08x}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                given = {name for name, _ in headers}
                headers += [each for each in SECURITY if each[0] not in given]
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except ClientDisconnect:  # nobody is there to be answered
            status = GONE
        except Exception as error:  # noqa: BLE001 - its words may hold a person's values
            told = (request_id, type(error).__name__, at(error))
            LOG.error("fault in request %s: %s at %s", *told)  # noqa: TRY400
            if not status:
                await _fault(send_on)
        finally:
            _log(scope, status, request_id, time.perf_counter() - started)


def at(error: BaseException) -> str:
    """Return where an error was raised: files, lines and functions, without any values."""
    frames: Iterable[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{each.name}:{each.lineno}" for each in reversed(list(frames)))


async def _fault(send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": FAULT})


def _log(scope: Scope, status: int, request_id: str, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "-")
    state = scope.get("state", {})
    if not ACCESS.isEnabledFor(logging.INFO):
        return
    caller = state.get("caller", "-")
    told = (scope["method"], route, status, 1000 * seconds, request_id, caller)
    # Made here, for the logger would first search the stack for whoever calls it.
    ACCESS.handle(logging.LogRecord(ACCESS.name, logging.INFO, "", 0, LINE, told, None))
