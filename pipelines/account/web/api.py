"""The same answers for programs: JSON under ``/v1``, with an API key instead of a login."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from pipelines.account.web import actions
from pipelines.account.web.acts import letter_of
from pipelines.account.web.forms import text
from pipelines.account.web.site import Site
from pipelines.decisions.record import as_number
from pipelines.decisions.service.describe import PROBLEM
from pipelines.decisions.service.limits import NotJson
from pipelines.typed import plain

T = TypeVar("T", bound=msgspec.Struct)
DECISION: Final = "/v1/decisions/{decision_id}"
CODES: Final = (400, 401, 403, 404, 410, 413, 429, 503)


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's statement against a decision. `person` is needed only where there are no keys."""

    statement: str
    person: str = ""


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A review: approve, decline or refer, and why."""

    outcome: str
    reason: str
    person: str = ""


class Changed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other values by column; null leaves a field out."""

    changes: dict[str, str | int | float | bool | None]


class Api:
    """What each route does."""

    def __init__(self, site: Site) -> None:
        self.site, self.gate = site, site.gate

    async def trace(self, request: Request, decision_id: str) -> Response:
        """Answer the thread of a decision."""
        visitor, number = self.gate.program(request, *actions.READING), as_number(decision_id)
        words = (number, visitor, request.state.request_id)
        return answer(await self.site.aside(actions.traced, self.site, *words))

    async def replay(self, request: Request, decision_id: str) -> Response:
        """Answer the receipt of a replay, with what proves that it is in the log."""
        visitor, number = self.gate.program(request, *actions.READING), as_number(decision_id)
        found = await self.site.aside(actions.replayed, self.site, number, visitor)
        sealed = {"id": found.id, "entry": found.entry.decode(), "proof": found.proof}
        return answer({**plain(found.receipt), "sealed": sealed})

    async def what_if(self, request: Request, decision_id: str) -> Response:
        """Answer what the decision's own model says of a changed application."""
        visitor, number = self.gate.program(request, *actions.READING), as_number(decision_id)
        sent = asked(await self.gate.json(request), Changed).changes
        changes = {name: None if each is None else text(each) for name, each in sent.items()}
        words = (number, visitor, changes)
        return answer(await self.site.aside(actions.asked_what_if, self.site, *words))

    async def counterfactual(self, request: Request, decision_id: str) -> Response:
        """Answer the nearest changes that would have flipped the decision."""
        visitor, number = self.gate.program(request, *actions.READING), as_number(decision_id)
        return answer(await self.site.aside(actions.nearest, self.site, number, visitor))

    async def letter(
        self,
        request: Request,
        decision_id: str,
        format: str = "md",  # noqa: A002 - the name of the parameter
        language: str = "",
    ) -> Response:
        """Answer the letter about a decision."""
        visitor, number = self.gate.program(request, *actions.WRITING), as_number(decision_id)
        words = (number, visitor, format, language)
        made = await self.site.aside(actions.letter, self.site, *words)
        return letter_of(made, format, number.hex())

    async def contest(self, request: Request, decision_id: str) -> Response:
        """Take down a person's statement."""
        visitor, number = self.gate.program(request, *actions.WRITING), as_number(decision_id)
        sent = asked(await self.gate.json(request), Statement)
        words = (number, visitor, sent.statement, sent.person)
        made, said = await self.site.aside(actions.contest, self.site, *words)
        return answer({"contest": made, "decision": said.decision_id, "due": str(said.due)})

    async def override(self, request: Request, decision_id: str) -> Response:
        """Record a review."""
        visitor, number = self.gate.program(request, *actions.REVIEWING), as_number(decision_id)
        sent = asked(await self.gate.json(request), Review)
        words = (number, visitor, sent.outcome, sent.person, sent.reason)
        made, said = await self.site.aside(actions.override, self.site, *words)
        told = {"override": made, "decision": said.decision_id, "outcome": said.outcome}
        return answer({**told, "answered": said.contests})


def answer(found: object) -> Response:
    """Return anything as JSON."""
    return Response(orjson.dumps(plain(found)), media_type="application/json")


def asked(body: bytes, kind: type[T]) -> T:
    """Read what was sent. Raises NotJson, which names the fields and no value."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError):
        names = ", ".join(kind.__struct_fields__)
        raise NotJson("not what is asked for here", expected=f"an object with {names}") from None


def routes(site: Site) -> APIRouter:
    """Return the routes for programs, each described."""
    router, api = APIRouter(), Api(site)
    router.get(f"{DECISION}/trace", **said("Follow the thread of a decision"))(api.trace)
    router.post(f"{DECISION}/replay", **said("Decide again in the original environment"))(
        api.replay
    )
    router.post(f"{DECISION}/what-if", **said("Ask about a changed application", Changed))(
        api.what_if
    )
    router.post(f"{DECISION}/counterfactual", **said("Find the nearest changes that flip it"))(
        api.counterfactual
    )
    router.get(f"{DECISION}/letter", **said("Write the letter: md, html or pdf"))(api.letter)
    router.post(f"{DECISION}/contest", **said("Take down a statement", Statement))(api.contest)
    router.post(f"{DECISION}/override", **said("Record a person's review", Review))(api.override)
    return router


def said(summary: str, body: type[msgspec.Struct] | None = None) -> dict[str, Any]:
    """Return what the description says of one route."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[int, Any] = {
        code: {"description": "Problem", "content": problem} for code in CODES
    }
    told: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        content = {
            "application/json": {"schema": msgspec.json.schema(body)["$defs"][body.__name__]}
        }
        told["openapi_extra"] = {"requestBody": {"required": True, "content": content}}
    return told


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document."""
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    return made
