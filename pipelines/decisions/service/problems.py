"""Problem details (RFC 9457): an error as a client reads it, by field and rule, never a value."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import orjson

from pipelines.decisions.record import KeyReused
from pipelines.decisions.service.api_keys import NotAllowed, NotKnown
from pipelines.decisions.service.limits import TooLarge, TooMuch, WrongMedia
from pipelines.decisions.service.stop import NotStopped
from pipelines.errors import BadRequest, ClewError, DataRefused, Erased, NotThere, Unavailable

LOG = logging.getLogger("clew.service")
MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
# The most special first.
STATUS: Final[tuple[tuple[type[ClewError], HTTPStatus], ...]] = (
    (NotKnown, HTTPStatus.UNAUTHORIZED),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (TooMuch, HTTPStatus.TOO_MANY_REQUESTS),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (WrongMedia, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (KeyReused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DataRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotStopped, HTTPStatus.CONFLICT),
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (NotThere, HTTPStatus.NOT_FOUND),
    (Erased, HTTPStatus.GONE),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: ClewError) -> HTTPStatus:
    """Return the HTTP status of an error; whatever is not known here is a fault of the service."""
    found = (status for kind, status in STATUS if isinstance(error, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def log(error: ClewError, request_id: str) -> None:
    """Log why the service could not answer: clients are told its kind alone."""
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.error("request %s: %s (%s)", request_id, error.what, error.where or "-")


def headers_of(error: ClewError) -> dict[str, str]:
    """Return the headers that an error needs."""
    status = status_of(error)
    if isinstance(error, TooMuch):
        return {"Retry-After": str(max(1, round(error.seconds)))}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_SECONDS)}
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    return {}


def document(error: ClewError, request_id: str) -> dict[str, Any]:
    """Return the problem as an object.

    Inside the service's own faults a message may name files; clients get its kind only.
    """
    status = status_of(error)
    shown: dict[str, Any] = {
        "type": f"urn:clew:problem:{kind_of(error)}",
        "title": status.phrase,
        "status": int(status),
        "instance": f"urn:clew:request:{request_id}",
    }
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        shown["detail"] = error.what
        named = {"field": error.where, "rule": error.expected, "hint": error.hint}
        shown |= {name: str(text) for name, text in named.items() if text}
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        shown["detail"] = "no decision can be recorded now, so none is given: ask again"
    else:
        shown["detail"] = "a fault of the service; its log names the request"
    return shown


def encode(problem: dict[str, Any]) -> bytes:
    """Return the bytes of a problem."""
    return orjson.dumps(problem)


def kind_of(error: ClewError) -> str:
    """Return an error's kind in words with hyphens."""
    name = type(error).__name__
    return "".join(f"-{each.lower()}" if each.isupper() else each for each in name).lstrip("-")
