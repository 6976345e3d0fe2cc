"""What one can do about a decision, for the pages and for programs alike.

Each of these records, before or while it is done, that it was done and by whom.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pipelines.account import contest as contesting
from pipelines.account import explain, replay
from pipelines.account.afterwards import Contest, Override
from pipelines.account.case import case_of
from pipelines.account.counterfactual import Counterfactuals, counterfactuals
from pipelines.account.replay import Receipt, Replayed
from pipelines.account.trace import Thread, trace
from pipelines.account.web.forms import Field
from pipelines.account.web.gate import Visitor
from pipelines.account.web.site import Site
from pipelines.account.web.view import reading
from pipelines.account.what_if import WhatIf, what_if
from pipelines.account.would_change import would_change
from pipelines.contract import Column
from pipelines.decisions.service.api_keys import Role
from pipelines.errors import BadRequest, NotThere
from pipelines.ledger.entry import read_entry

# What each action needs besides the page itself; a review decides about a person.
READING: Final = (Role.READ, Role.AUDIT)
WRITING: Final = (Role.READ,)
REVIEWING: Final = (Role.DECIDE,)
MEDIA: Final = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "md": "text/markdown; charset=utf-8",
}


def person_of(visitor: Visitor, named: str) -> str:
    """Return under which name something stays on record: the key's, where there are keys.

    A name that anybody could type would undo that nobody reviews a decision of their own.
    """
    if not visitor.local:
        return visitor.name
    if not named.strip():
        raise BadRequest("who does this is missing", where="person", expected="your name")
    return named.strip()


def traced(site: Site, number: bytes, visitor: Visitor, request_id: str) -> Thread:
    """Return the thread of a decision; that somebody looked is recorded first."""
    site.recorder.look(number, visitor.name, request_id)
    return trace(site.ledger, site.registry, number, site.state, site.servers())


def replayed(site: Site, number: bytes, visitor: Visitor) -> Replayed:
    """Decide again in the original environment; the receipt is recorded."""
    return replay.replay(site.ledger, site.where, number, visitor.name)


def receipt(site: Site, number: bytes, entry: bytes, visitor: Visitor, request_id: str) -> Receipt:
    """Return a recorded replay of a decision; the look is recorded first. Raises NotThere."""
    site.recorder.look(number, visitor.name, request_id)
    row = site.ledger.row(site.ledger.find(entry))
    if read_entry(row.entry)["t"] == replay.REPLAY:
        content = site.ledger.read(entry).content
        try:
            found = msgspec.json.decode(content, type=Receipt)
        except msgspec.ValidationError:  # a receipt of many names no decision
            found = None
        if found is not None and found.decision_id == number.hex():
            return found
    raise NotThere("no replay of this decision under this id", where=entry.hex())


def asked_what_if(
    site: Site, number: bytes, visitor: Visitor, changes: Mapping[str, str | None]
) -> WhatIf:
    """Return what the decision's own model says of a changed application; the look is recorded."""
    return what_if(site.ledger, site.where, number, changes, visitor.name)


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a what-if form, the form as it was sent, and the one it came from."""

    found: WhatIf
    fields: Sequence[Field]
    former: Sequence[Field]

    @property
    def changed(self) -> list[tuple[Field, Field]]:
        """Return the fields that were changed: as received, and as sent."""
        return [pair for pair in zip(self.former, self.fields, strict=True) if pair[0] != pair[1]]


def filled_in(site: Site, number: bytes, visitor: Visitor, sent: Mapping[str, str]) -> Answered:
    """Return the answer to a sent what-if form."""
    read = reading(site, site.recorder.read(number))
    changes = read.changes(sent)
    found = asked_what_if(site, number, visitor, changes)
    return Answered(found, read.fields(changes), read.fields())


def nearest(site: Site, number: bytes, visitor: Visitor) -> Counterfactuals:
    """Return the nearest changes that would have flipped a decision; the look is recorded."""
    return counterfactuals(site.ledger, site.where, number, visitor.name)


def nearest_told(
    site: Site, number: bytes, visitor: Visitor
) -> tuple[Counterfactuals, Mapping[str, Column]]:
    """Return the nearest changes, and the columns whose words they are told in."""
    found = nearest(site, number, visitor)
    contract = reading(site, site.recorder.read(number)).contract
    return found, {each.name: each for each in contract.columns}


def letter(site: Site, number: bytes, visitor: Visitor, kind: str, language: str) -> bytes:
    """Return the letter about a decision; that it was written is recorded first."""
    settings = site.params.letter
    explain.checked(settings, language, kind)
    course = explain.looked(site.recorder, number, visitor.name)
    case = case_of(course, site.ledger, site.registry, site.state, site.policies)
    told = dataclasses.replace(case, changes=would_change(site.where, course))
    return explain.run(told, settings, language, kind)


def contest(
    site: Site, number: bytes, visitor: Visitor, statement: str, person: str
) -> tuple[str, Contest]:
    """Record a person's statement against a decision."""
    pack = site.policies(site.params.policy)
    taken = person_of(visitor, person)
    return contesting.contest(site.ledger, number, statement, taken, pack)


def override(
    site: Site, number: bytes, visitor: Visitor, outcome: str, person: str, reason: str
) -> tuple[str, Override]:
    """Record a person's review of a decision."""
    by = person_of(visitor, person)
    return contesting.override(site.ledger, number, outcome, by, reason)
