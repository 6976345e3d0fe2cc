"""Who may come in: people by a session's cookie, programs by their API key; and how often.

Without API keys only this machine is answered, by an address of its own, so that no name which
somebody else's page has pointed here can read anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import Headers

from pipelines.account.web.session import COOKIE, Session, Sessions
from pipelines.decisions.service.api_keys import (
    LOCAL,
    ApiKey,
    ApiKeys,
    NotAllowed,
    Role,
    needed,
)
from pipelines.decisions.service.limits import RateLimit, WrongMedia, read_body
from pipelines.decisions.service.settings import loopback
from pipelines.errors import BadRequest

TOKEN: Final = "token"  # noqa: S105 - the name of a field
MOST_FIELDS: Final = 1000
FORM: Final = "application/x-www-form-urlencoded"
OWN: Final = ("same-origin", "none")
READERS: Final = (Role.READ, Role.AUDIT)
DECIDERS: Final = (Role.DECIDE,)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who came in: whose key it is, and their session's token for forms."""

    caller: ApiKey
    session: Session | None
    token: str

    @property
    def name(self) -> str:
        return self.caller.name

    @property
    def local(self) -> bool:
        """Whether there are no keys, so that nobody is known by name."""
        return self.caller is LOCAL

    def may(self, *roles: Role) -> bool:
        """Say whether one of these roles is theirs."""
        return self.caller.may(*roles)


@dataclass(frozen=True, slots=True)
class Gate:
    """The one place that lets people and programs in."""

    keys: ApiKeys | None
    sessions: Sessions
    limit: RateLimit
    largest: int

    def person(self, request: Request, *roles: Role) -> Visitor:
        """Return who looks at a page. Raises NotKnown, NotAllowed, TooMuch."""
        self._refuse_strangers(request.headers)
        session, caller = self.sessions.read(request.cookies.get(COOKIE))
        visitor = Visitor(caller, session, self.sessions.token(session))
        self._counted(request, visitor, roles)
        request.state.visitor = visitor
        return visitor

    async def sender(self, request: Request, *roles: Role) -> tuple[Visitor, Mapping[str, str]]:
        """Return who sent a form, and its fields. Raises as `person`, and for foreign forms."""
        visitor = self.person(request, *roles)
        refuse_other_sites(request)
        fields = await self.form(request)
        if visitor.session is not None:
            self.sessions.check_token(visitor.session, fields.get(TOKEN, ""))
        return visitor, fields

    async def form(self, request: Request) -> dict[str, str]:
        """Return a form's fields; of one that stands twice, the last. Raises WrongMedia."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise WrongMedia("not a form", where="Content-Type", expected=FORM)
        body = await read_body(
            request.stream(), request.headers.get("content-length"), self.largest
        )
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
            )
        except ValueError:
            raise BadRequest("not a form that can be read", expected=FORM) from None
        return dict(pairs)

    def program(self, request: Request, *roles: Role) -> Visitor:
        """Return which program asks. Raises NotKnown, NotAllowed, TooMuch."""
        self._refuse_strangers(request.headers)
        keys = needed(self.keys)
        if keys is None:
            if "origin" in request.headers:
                raise NotAllowed("without keys no page of a browser is answered", where="Origin")
            caller = LOCAL
        else:
            caller = keys.caller(request.headers.get("authorization"))
        visitor = Visitor(caller, None, "")
        self._counted(request, visitor, roles)
        return visitor

    async def json(self, request: Request) -> bytes:
        """Return the body of a JSON request, empty where there is none. Raises WrongMedia."""
        declared = request.headers.get("content-length")
        body = await read_body(request.stream(), declared, self.largest)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != "application/json":
            raise WrongMedia("not JSON", where="Content-Type", expected="application/json")
        return body

    def _counted(self, request: Request, visitor: Visitor, roles: tuple[Role, ...]) -> None:
        request.state.caller = visitor.name
        self.limit.take(visitor.name)
        if not visitor.may(*roles):
            raise NotAllowed("this key may not do that", expected=f"the role {' or '.join(roles)}")

    def _refuse_strangers(self, headers: Headers) -> None:
        if needed(self.keys) is None and not loopback(host_of(headers)):
            raise NotAllowed("without keys this service answers its own machine only", where="Host")


def host_of(headers: Headers) -> str:
    """Return the host that a request names, without its port."""
    host = headers.get("host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def refuse_other_sites(request: Request) -> None:
    """Raise NotAllowed for a form that a page of another site sent."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if (site is not None and site not in OWN) or (origin is not None and origin != own):
        raise NotAllowed("a form from another site", where="Origin", expected="this site's own")
