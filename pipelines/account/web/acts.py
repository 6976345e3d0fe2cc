"""The buttons of a decision's page: replay, letter, contest, review."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from pipelines.account.web import actions, shown
from pipelines.account.web.site import Site
from pipelines.decisions.record import as_number

SEE_OTHER = 303


class Acts:
    """What each button does."""

    def __init__(self, site: Site) -> None:
        self.site, self.gate = site, site.gate

    async def replay(self, request: Request, decision_id: str) -> Response:
        """Decide again in the original environment, and go to the receipt."""
        visitor, _ = await self.gate.sender(request, *actions.READING)
        number = as_number(decision_id)
        found = await self.site.aside(actions.replayed, self.site, number, visitor)
        return RedirectResponse(f"/record/decisions/{number.hex()}/replays/{found.id}", SEE_OTHER)

    async def receipt(self, request: Request, decision_id: str, receipt_id: str) -> Response:
        """Show a recorded replay."""
        visitor = self.gate.person(request, *actions.READING)
        numbers = (as_number(decision_id), as_number(receipt_id))
        words = (*numbers, visitor, request.state.request_id)
        found = await self.site.aside(actions.receipt, self.site, *words)
        return shown.page(request, "replay.html", visitor, receipt=found, id=receipt_id)

    async def what_if(self, request: Request, decision_id: str) -> Response:
        """Ask the decision's own model about a changed application."""
        visitor, sent = await self.gate.sender(request, *actions.READING)
        number = as_number(decision_id)
        told = await self.site.aside(actions.filled_in, self.site, number, visitor, sent)
        return shown.page(
            request,
            "what_if.html",
            visitor,
            found=told.found,
            fields=told.fields,
            changed=told.changed,
        )

    async def counterfactual(self, request: Request, decision_id: str) -> Response:
        """Show the nearest changes that would have flipped the decision."""
        visitor, _ = await self.gate.sender(request, *actions.READING)
        number = as_number(decision_id)
        found, columns = await self.site.aside(actions.nearest_told, self.site, number, visitor)
        return shown.page(request, "counterfactual.html", visitor, found=found, columns=columns)

    async def letter(self, request: Request, decision_id: str) -> Response:
        """Give the letter: as a page of its own, or as a file."""
        visitor, fields = await self.gate.sender(request, *actions.WRITING)
        kind, language = fields.get("format", "html"), fields.get("language", "")
        number = as_number(decision_id)
        made = await self.site.aside(actions.letter, self.site, number, visitor, kind, language)
        return letter_of(made, kind, number.hex())

    async def contest(self, request: Request, decision_id: str) -> Response:
        """Take down a person's statement."""
        visitor, fields = await self.gate.sender(request, *actions.WRITING)
        number = as_number(decision_id)
        words = (fields.get("statement", ""), fields.get("person", ""))
        await self.site.aside(actions.contest, self.site, number, visitor, *words)
        return _back(decision_id)

    async def override(self, request: Request, decision_id: str) -> Response:
        """Record a review."""
        visitor, fields = await self.gate.sender(request, *actions.REVIEWING)
        number = as_number(decision_id)
        words = (fields.get(each, "") for each in ("outcome", "person", "reason"))
        await self.site.aside(actions.override, self.site, number, visitor, *words)
        return _back(decision_id)


def letter_of(made: bytes, kind: str, name: str) -> Response:
    """Return a letter as an answer; what a browser cannot show safely it keeps as a file."""
    headers = dict(shown.LETTER_HEADERS)
    if kind != "html":
        headers["Content-Disposition"] = f'attachment; filename="letter-{name[:12]}.{kind}"'
    return Response(made, media_type=actions.MEDIA[kind], headers=headers)


def _back(decision_id: str) -> Response:
    number = as_number(decision_id).hex()
    return RedirectResponse(f"/record/decisions/{number}#contests", SEE_OTHER)


def routes(site: Site) -> APIRouter:
    """Return the routes of the buttons."""
    router, acts = APIRouter(include_in_schema=False), Acts(site)
    router.get("/record/decisions/{decision_id}/replays/{receipt_id}")(acts.receipt)
    for name, act in (
        ("replay", acts.replay),
        ("what-if", acts.what_if),
        ("counterfactual", acts.counterfactual),
        ("letter", acts.letter),
        ("contest", acts.contest),
        ("override", acts.override),
    ):
        router.post(f"/record/decisions/{{decision_id}}/{name}")(act)
    return router
