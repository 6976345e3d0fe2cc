"""Turn what was found into HTML: templates that escape everything, headers that allow nothing."""

from __future__ import annotations

import datetime as dt
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment
from markupsafe import Markup

from pipelines.account.web import picture, view
from pipelines.account.web.gate import TOKEN, Visitor
from pipelines.decisions.service import problems
from pipelines.errors import ClewError, Erased, Unavailable
from pipelines.release.documents.page import escaping

FOLDER: Final = Path(__file__).parent / "templates"
# `Referrer-Policy` as strict as can be while a browser still says where a form comes from.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
}
STILL: Final = {"style.css": "text/css", "icon.svg": "image/svg+xml"}
# A letter is a page of its own, with its own look and without a way out.
LETTER_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox;"
    " frame-ancestors 'none'; base-uri 'none'",
}


@cache
def templates() -> Environment:
    """Return the templates, read once."""
    made = escaping(FOLDER)
    made.filters |= {"time": time, "short": short, "number": number}
    made.globals |= {
        "outcomes": view.OUTCOMES,
        "because": view.BECAUSE,
        "thread_picture": lambda knots: Markup(picture.svg(knots)),  # noqa: S704 - it escapes
        "told": view.told,
        "later": view.LATER,
        "scorers": view.SCORERS,
        "problem": view.problem,
    }
    return made


def page(
    request: Request, name: str, visitor: Visitor | None, status: int = 200, **shown: object
) -> HTMLResponse:
    """Return a page. `visitor` is None where nobody is known yet."""
    known = visitor or getattr(request.state, "visitor", None)
    html = (
        templates()
        .get_template(name)
        .render(
            visitor=known,
            token=lambda: _hidden(known),
            path=request.url.path,
            request_id=request.state.request_id,
            **shown,
        )
    )
    return HTMLResponse(html, status, headers=HEADERS)


def _hidden(visitor: Visitor | None) -> Markup:
    """Return the field that shows that a form comes out of this session's own pages."""
    text = visitor.token if visitor else ""
    return Markup('<input type="hidden" name="{}" value="{}">').format(TOKEN, text)


def still(name: str) -> Response:
    """Return a file of the site's own look. No word of a person is in it: a browser may keep it."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return Response(text, media_type=STILL[name], headers={"Cache-Control": "max-age=3600"})


def error_page(request: Request, error: ClewError) -> Response:
    """Return an error as a page: what was refused and what to do, never a value."""
    status = problems.status_of(error)
    secret = status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Unavailable)
    response = page(
        request,
        "error.html",
        None,
        int(status),
        title="Erased" if isinstance(error, Erased) else status.phrase,
        erased=isinstance(error, Erased),
        what="something is not as it must be; the service's log says where"
        if secret
        else error.what,
        hint="" if secret or isinstance(error, Unavailable) else str(error.expected or ""),
    )
    response.headers.update(problems.headers_of(error))
    return response


def problem(request: Request, error: ClewError) -> Response:
    """Return an error as problem details, for a program."""
    found = problems.document(error, request.state.request_id)
    body = problems.encode(found)
    response = Response(body, found["status"], media_type=problems.MEDIA_TYPE)
    response.headers.update(problems.headers_of(error))
    return response


def time(value: dt.datetime | int | str) -> str:
    """Return a time in UTC, to the second."""
    if isinstance(value, int):
        value = dt.datetime.fromtimestamp(value / 1000, dt.UTC)
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def short(text: str) -> str:
    """Return the start of a digest."""
    return text if len(text) <= 16 else f"{text[:12]}…"  # noqa: PLR2004


def number(value: float | str | None) -> str:
    """Return a number to three places; `float.hex` is read too."""
    if value is None:
        return "none"
    return f"{float.fromhex(value) if isinstance(value, str) else value:.3f}"
