"""The HTTP service: routes, roles and limits around the desk. See `docs/how-to/decide.md`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.decisions.record import as_number
from pipelines.decisions.service import answers, describe, problems
from pipelines.decisions.service.api_keys import (
    LOCAL,
    ApiKey,
    ApiKeys,
    NotAllowed,
    Role,
    needed,
)
from pipelines.decisions.service.desk import Asked, Desk
from pipelines.decisions.service.edge import Edge
from pipelines.decisions.service.limits import (
    NotJson,
    RateLimit,
    TooLarge,
    WrongMedia,
    read_body,
)
from pipelines.decisions.service.settings import ServiceSettings, loopback
from pipelines.decisions.service.stop import resume, stop
from pipelines.errors import BadRequest, ClewError
from pipelines.release.approve import named

DECISIONS: Final = "/v1/decisions"
DECIDE: Final = ("http", DECISIONS, "POST")
LONGEST_KEY: Final = 255
REFUSED: Final = 422


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who stops or resumes deciding, and why."""

    person: str
    reason: str


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with. Without `keys` anybody on this machine may do anything."""

    desk: Desk
    settings: ServiceSettings
    keys: ApiKeys | None
    limit: RateLimit

    def admit(self, request: Request, *roles: Role) -> ApiKey:
        """Return who asks. Raises NotKnown, NotAllowed."""
        keys = needed(self.keys)
        if keys is None:
            _refuse_strangers(request)
            caller = LOCAL
        else:
            caller = keys.caller(header(request, b"authorization"))
        request.state.caller = caller.name
        if not caller.may(*roles):
            raise NotAllowed("this key may not do that", expected=f"the role {' or '.join(roles)}")
        return caller

    async def body(self, request: Request) -> bytes:
        """Return the body of a JSON request. Raises TooLarge, WrongMedia."""
        kind = (header(request, b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise WrongMedia(
                "not a JSON request", where="Content-Type", expected="application/json"
            )
        declared = header(request, b"content-length")
        return await read_body(request.stream(), declared, self.settings.largest_request)


def header(request: Request, name: bytes) -> str | None:
    """Return the first header of this name, which is in lower case as a server hands it on."""
    for each, text in request.scope["headers"]:
        if each == name:
            return str(text, "latin-1")
    return None


def _refuse_strangers(request: Request) -> None:
    """Without keys, take only what a program of this machine sends: no page in a browser."""
    sent = header(request, b"host") or ""
    host = sent.rpartition(":")[0] or sent
    if not loopback(host.strip("[]")) or header(request, b"origin") is not None:
        raise NotAllowed("this service answers programs of this machine only", where="Host")


def applications(body: bytes, most: int) -> tuple[Sequence[bytes], bool]:
    """Return the bytes of each application as received, and whether a list was sent.

    A body that is no list is one application, whatever it is: deciding says what is wrong with it.
    Raises NotJson for a broken list, TooLarge for a long one.
    """
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        return (body,), False
    try:
        found = [bytes(each) for each in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotJson("a list that is not JSON", expected="a list of objects") from None
    if not found:
        raise NotJson("an empty list", expected="at least one application")
    if len(found) > most:
        raise TooLarge("a list too long", expected=f"at most {most} applications")
    return found, True


def _key(request: Request) -> str | None:
    key = header(request, b"idempotency-key")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise BadRequest(
            "not an idempotency key",
            where="Idempotency-Key",
            expected=f"1 to {LONGEST_KEY} characters",
        )
    return key


def _json(value: object, status: int = 200, kind: str = "application/json") -> Response:
    return Response(answers.encode(value), status_code=status, media_type=kind)


@dataclass(frozen=True, slots=True)
class Routes:
    """What each route does."""

    service: Service

    async def decide(self, request: Request) -> Response:
        """Answer one application or a list of them."""
        service, desk = self.service, self.service.desk
        caller = service.admit(request, Role.DECIDE)
        service.limit.take(caller.name)
        key = _key(request)
        sent, many = await self._sent(request, caller)
        if many:
            service.limit.take(caller.name, len(sent) - 1)
        asked = Asked(sent, caller.name, request.state.request_id, key)
        found = [answers.answer(each) for each in await desk.decide(asked)]
        if many:
            return _json(found)
        if found[0].get("status") == REFUSED:
            return _json(found[0], REFUSED, problems.MEDIA_TYPE)
        return _json(found[0])

    async def _sent(self, request: Request, caller: ApiKey) -> tuple[Sequence[bytes], bool]:
        """Return the applications of a request; one that holds none is recorded and refused."""
        try:
            body = await self.service.body(request)
            return applications(body, self.service.settings.most_in_one_request)
        except BadRequest as error:
            rule, request_id = problems.kind_of(error), request.state.request_id
            desk = self.service.desk
            await desk.aside(desk.recorder.refuse, rule, caller.name, request_id)
            raise

    async def look(self, request: Request, decision_id: str) -> Response:
        """Answer a recorded decision."""
        caller = self.service.admit(request, Role.READ, Role.AUDIT)
        self.service.limit.take(caller.name)
        number, desk = as_number(decision_id), self.service.desk
        look = desk.recorder.look
        found = await desk.aside(look, number, caller.name, request.state.request_id)
        return _json(answers.whole(found))

    async def stop(self, request: Request) -> Response:
        """Refer everything."""
        return _json({"stopped": True, "recorded": await self._throw(request, stop)})

    async def resume(self, request: Request) -> Response:
        """Decide again."""
        return _json({"stopped": False, "recorded": await self._throw(request, resume)})

    async def _throw(self, request: Request, act: Callable[..., str]) -> str:
        caller = self.service.admit(request, Role.ADMIN)
        word, desk = _word(await self.service.body(request)), self.service.desk
        person = named(word.person)
        person = person if caller is LOCAL else f"{person}, by the key {caller.name}"
        return await desk.aside(act, desk.switch, desk.recorder.ledger, person, word.reason)

    async def health(self) -> Response:
        """Answer what decides, and what is wrong."""
        found = await self.service.desk.aside(self.service.desk.health)
        return _json(found, 200 if found["decides"] else 503)


@dataclass(frozen=True, slots=True)
class Path:
    """A route's template, for the access log."""

    path: str


class Application(FastAPI):
    """FastAPI, past whose layers and routing goes the one route that is asked all the time.

    FastAPI describes that route, and would serve it as well, at several times the cost.
    """

    straight: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        straight = (scope["type"], scope.get("path"), scope.get("method")) == DECIDE
        await (self.straight if straight else super().__call__)(scope, receive, send)


def straight_to(decide: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """Return the application that answers with `decide` alone."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Path(DECISIONS)
        request = Request(scope, receive)
        try:
            response = await decide(request)
        except ClewError as error:
            response = await _told(request, error)
        await response(scope, receive, send)

    return Edge(serve)


def create(service: Service) -> Application:
    """Return the application."""
    app = Application(
        title="Clew decisions", version="1", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    routes, described = Routes(service), describe.operations()

    async def page() -> Response:
        return HTMLResponse(describe.page(app.openapi()), headers=describe.PAGE_HEADERS)

    app.post(DECISIONS, **described["decide"])(routes.decide)
    app.get("/v1/decisions/{decision_id}", **described["look"])(routes.look)
    app.post("/v1/stop", **described["stop"])(routes.stop)
    app.post("/v1/resume", **described["resume"])(routes.resume)
    app.get("/v1/health", **described["health"])(routes.health)
    app.get("/docs", include_in_schema=False)(page)
    app.openapi = lambda: describe.document(app, service.desk)  # type: ignore[method-assign]
    app.add_exception_handler(ClewError, _told)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_middleware(Edge)
    app.straight = straight_to(routes.decide)
    return app


def _word(body: bytes) -> Word:
    try:
        return msgspec.json.decode(body, type=Word)
    except (msgspec.DecodeError, UnicodeError):
        raise NotJson("not a stop", expected='{"person": NAME, "reason": WHY}') from None


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, ClewError)  # noqa: S101 - registered for it
    found: dict[str, Any] = problems.document(error, request.state.request_id)
    problems.log(error, request.state.request_id)
    response = _json(found, found["status"], problems.MEDIA_TYPE)
    response.headers.update(problems.headers_of(error))
    return response


async def _not_found(request: Request, error: Exception) -> Response:
    """Answer a path or method that the service does not have; the path is not repeated."""
    status = getattr(error, "status_code", 404)
    found = {
        "type": "urn:clew:problem:no-such-route",
        "title": "No such path or method",
        "status": status,
        "instance": f"urn:clew:request:{request.state.request_id}",
    }
    response = _json(found, status, problems.MEDIA_TYPE)
    response.headers.update(getattr(error, "headers", None) or {})
    return response
