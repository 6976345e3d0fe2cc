"""The record's web application: people's pages and programs' JSON over the same functions.

It is a process of its own (`clew pages`), for a replay or a letter takes a core for seconds and
the decision service must not wait for it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from pipelines.account.web import actions, acts, api, search, shown, view
from pipelines.account.web.gate import READERS, Visitor, refuse_other_sites
from pipelines.account.web.session import COOKIE, SECONDS
from pipelines.account.web.site import Site
from pipelines.account.words import LANGUAGES
from pipelines.decisions.record import as_number
from pipelines.decisions.service import problems
from pipelines.decisions.service.api_keys import NotKnown, Role, needed
from pipelines.decisions.service.edge import Edge
from pipelines.errors import BadRequest, ClewError
from pipelines.release.history import history

HOME: Final = "/record/"
LOGIN: Final = "/record/login"
PROGRAMS: Final = "/v1/"
SEE_OTHER: Final = 303
LONGEST_PLACE: Final = 18  # digits; the places of a database have 63 bits
ANYBODY: Final = tuple(Role)
NAMES: Final = {"en": "English", "de": "Deutsch"}


class Pages:
    """What each page does."""

    def __init__(self, site: Site) -> None:
        self.site, self.gate = site, site.gate

    async def login_form(self, request: Request, next: str = HOME) -> Response:  # noqa: A002
        """Show the form; who is in already, or needs no key, goes on at once."""
        try:
            self.gate.person(request, *ANYBODY)
        except NotKnown:
            if needed(self.gate.keys) is None:
                return self._opened(request, "", next)
            return shown.page(request, "login.html", None, next=within(next), refused=False)
        return RedirectResponse(within(next), SEE_OTHER)

    async def login(self, request: Request) -> Response:
        """Open a session by an API key."""
        refuse_other_sites(request)
        self.gate.limit.take(f"login {request.client.host if request.client else ''}")
        fields = await self.gate.form(request)
        chosen = fields.get("next", HOME)
        try:
            return self._opened(request, fields.get("key", "").strip(), chosen)
        except NotKnown:
            return shown.page(request, "login.html", None, 401, next=within(chosen), refused=True)

    def _opened(self, request: Request, key: str, chosen: str) -> Response:
        cookie, _ = self.gate.sessions.open(key)
        response = RedirectResponse(within(chosen), SEE_OTHER)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SECONDS,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session."""
        visitor, _ = await self.gate.sender(request)
        if visitor.session is not None:
            self.gate.sessions.end(visitor.session)
        response = RedirectResponse(LOGIN if needed(self.gate.keys) else HOME, SEE_OTHER)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    async def home(self, request: Request) -> Response:
        """Show the three ways to search."""
        visitor = self.gate.person(request, *ANYBODY)
        return shown.page(
            request, "search.html", visitor, asked=None, listed=None, of="", day=_today()
        )

    async def find(self, request: Request, id: str = "") -> Response:  # noqa: A002
        """Go to the decision of an id."""
        self.gate.person(request, *READERS)
        return RedirectResponse(f"/record/decisions/{as_number(id.strip()).hex()}", SEE_OTHER)

    async def by_time(
        self, request: Request, start: str = "", end: str = "", before: str = ""
    ) -> Response:
        """List the decisions of a stretch of days."""
        visitor = self.gate.person(request, *READERS)
        asked = search.span(start, end, _today())
        if before and not (before.isdecimal() and len(before) <= LONGEST_PLACE):
            raise BadRequest("not a place in the log", where="before")
        place = int(before) if before else None
        listed = await self.site.aside(search.by_time, self.site.ledger, asked, place)
        return shown.page(
            request, "search.html", visitor, asked=asked, listed=listed, of="time", day=_today()
        )

    async def by_subject(self, request: Request) -> Response:
        """List the decisions about a person, whose name stands in the form and nowhere else."""
        visitor, fields = await self.gate.sender(request, *READERS)
        subject = fields.get("subject", "").strip()
        if not subject:
            raise BadRequest("whom the decisions are about is missing", where="subject")
        listed = await self.site.aside(
            search.by_subject,
            *(self.site.ledger, subject, visitor.name, request.state.request_id),
        )
        return shown.page(
            request, "search.html", visitor, asked=None, listed=listed, of="person", day=_today()
        )

    async def decision(self, request: Request, decision_id: str) -> Response:
        """Show one decision; that it was looked at is recorded first."""
        visitor = self.gate.person(request, *READERS)
        found = await self.site.aside(
            view.look, self.site, as_number(decision_id), visitor, request.state.request_id
        )
        return shown.page(request, "decision.html", visitor, found=found, **self._offered(visitor))

    def _offered(self, visitor: Visitor) -> dict[str, Any]:
        """Return which buttons a page offers somebody."""
        return {
            "may_write": visitor.may(*actions.WRITING),
            "may_review": visitor.may(*actions.REVIEWING),
            "languages": {each: NAMES.get(each, each) for each in LANGUAGES},
            "language": self.site.params.letter.language,
        }

    async def models(self, request: Request) -> Response:
        """Show who made which version decide, when, and on whose word."""
        visitor = self.gate.person(request, *ANYBODY)
        tenures = await self.site.aside(lambda: history(self.site.registry()))
        return shown.page(
            request,
            "models.html",
            visitor,
            tenures=tuple(reversed(tenures)),
            model=self.site.params.model_name,
            servers=self.site.servers(),
        )

    async def watch(self, request: Request) -> Response:
        """Show what the watch found."""
        visitor = self.gate.person(request, *ANYBODY)
        reports = await self.site.aside(self.site.reports)
        checks = list(dict.fromkeys(f.check for each in reports for f in each.findings))
        return shown.page(request, "watch.html", visitor, reports=reports, checks=checks)

    async def health(self) -> Response:
        """Answer that the log can be read."""
        size = (await self.site.aside(self.site.ledger.checkpoint))[0].size
        return Response(f'{{"entries": {size}}}', media_type="application/json")


def within(path: str) -> str:
    """Return a path of the record's own to go on to; anything else becomes its first page."""
    safe = path.startswith("/record/") and path.isascii() and path.isprintable()
    return path if safe and "\\" not in path and "//" not in path else HOME


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def create(site: Site) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Clew record", version="1", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.include_router(pages_of(Pages(site)))
    app.include_router(acts.routes(site))
    app.include_router(api.routes(site))
    app.openapi = lambda: api.document(app)  # type: ignore[method-assign]
    app.add_exception_handler(ClewError, _told)
    app.add_exception_handler(HTTPException, _no_page)
    app.add_middleware(Edge)
    return app


def pages_of(pages: Pages) -> APIRouter:
    """Return the routes of people's pages; programs have their own, and a description of them."""
    router = APIRouter(include_in_schema=False)

    async def to_home() -> Response:
        return RedirectResponse(HOME, SEE_OTHER)

    async def style() -> Response:
        return shown.still("style.css")

    async def icon() -> Response:
        return shown.still("icon.svg")

    for path, get in (
        ("/", to_home),
        ("/record", to_home),
        (HOME, pages.home),
        (LOGIN, pages.login_form),
        ("/record/style.css", style),
        ("/record/icon.svg", icon),
        ("/record/health", pages.health),
        ("/record/find", pages.find),
        ("/record/decisions", pages.by_time),
        ("/record/decisions/{decision_id}", pages.decision),
        ("/record/models", pages.models),
        ("/record/watch", pages.watch),
    ):
        router.get(path)(get)
    for path, post in (
        (LOGIN, pages.login),
        ("/record/logout", pages.logout),
        ("/record/subject", pages.by_subject),
    ):
        router.post(path)(post)
    return router


async def _told(request: Request, error: Exception) -> Response:
    """Answer an error as a page. Who is not known is sent to log in, by this site's own page.

    A browser that comes from another site holds back a strict cookie; one that this page sends on
    does not.
    """
    assert isinstance(error, ClewError)  # noqa: S101 - registered for it
    problems.log(error, request.state.request_id)
    if request.url.path.startswith(PROGRAMS):
        return shown.problem(request, error)
    if isinstance(error, NotKnown):
        path = request.url.path if request.method == "GET" else HOME
        to = f"{LOGIN}?next={quote(within(path))}"
        return shown.page(request, "moved.html", None, 401, to=to)
    return shown.error_page(request, error)


async def _no_page(request: Request, error: Exception) -> Response:
    """Answer a path or method that there is not; the path is not repeated."""
    status = getattr(error, "status_code", 404)
    told = {"title": "No such page", "erased": False, "what": "there is no such page", "hint": ""}
    return shown.page(request, "error.html", None, status, **told)
