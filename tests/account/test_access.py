"""What a person is shown of all that is recorded about them."""

from __future__ import annotations

import html
import re
from itertools import count

import pytest

from pipelines.account import contest
from pipelines.account.access import access, versions
from pipelines.account.letter import Letter
from pipelines.account.letter_text import page
from pipelines.account.words import LANGUAGES
from pipelines.decisions import rights
from pipelines.decisions.record import Origin
from pipelines.errors import NotThere
from pipelines.params import LetterParams
from pipelines.ports import Registry
from tests.account.test_contest import STATEMENT
from tests.account.worlds import DAY, PACK, World

PEOPLE = (f"asking-{number}" for number in count())
LENDER = LetterParams(
    organisation="The Lender",
    address="1 Street",
    contact="desk@lender.example",
    translations={"de": {"income": "das Einkommen"}},
)


def text(told: Letter) -> str:
    """Return a page as text, with a bar for each run of tags."""
    return html.unescape(re.sub(r"\s*(<[^>]+>\s*)+", "|", page(told)))


def shown(world: World, person: str, language: str = "en") -> str:
    """Return the page about a person as text."""
    found = rights.export(world.ledger, person, "Ada")
    told = access(found, versions(world.bench.opened, world.state), LENDER, language, DAY.date())
    return text(told)


def test_a_person_reads_what_was_decided_from_which_data_and_what_came_after(
    shared: World,
) -> None:
    """The result, the values in the contract's words, a statement, a review, and who looked."""
    person = next(PEOPLE)
    number = shared.decide(person, income=12345.5 / 100, origin="north")
    contest.contest(shared.ledger, number, STATEMENT, "Ada", PACK, DAY)
    contest.override(shared.ledger, number, "approve", "Grace", "because of this")
    shared.recorder.look(number, "auditor", "a request")
    told = shown(shared, person)
    for expected in (
        "The Lender",
        "5 entries",
        number.hex(),
        "|the income|123.455|",
        "An automated system",
        STATEMENT,
        "Grace recorded this. The reason given: because of this",
        "From then on your application was approved.",
        "It was done by: auditor",
        "desk@lender.example",
    ):
        assert expected in told


def test_what_the_model_did_not_read_stands_apart(shared: World) -> None:
    """A protected attribute is never listed among what raised or lowered the score."""
    person = next(PEOPLE)
    shared.decide(person, origin="north")
    read, unread = shown(shared, person).split("What was recorded and not read by the system")
    assert ("|the income|" in read, "north" in read) == (True, False)
    assert ("|the income|" in unread, "north" in unread) == (False, True)


def test_what_was_sent_back_names_fields_and_rules(shared: World) -> None:
    """A refused application is listed with what was wrong, and no score is spoken of."""
    person = next(PEOPLE)
    shared.decide(person, income="much")
    told = shown(shared, person)
    assert "sent back and not decided" in told
    assert "income: wrong-type" in told
    assert "score" not in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_access_does_not_wait_for_the_registry(shared: World, language: str) -> None:
    """Without the version's files columns go by their names; nothing is left out."""

    def gone() -> Registry:
        raise NotThere("no registry")

    person = next(PEOPLE)
    shared.decide(person, income=31.25, origin="north")
    found = rights.export(shared.ledger, person, "Ada")
    elsewhere = shared.bench.place.folder / f"empty-{language}"
    state = type(shared.state)(elsewhere)
    told = text(access(found, versions(gone, state), LENDER, language, DAY.date()))
    assert ("|income|31" in told, "north" in told) == (True, True)


def test_a_page_escapes_what_it_shows() -> None:
    """A value that looks like markup is shown as text, of an unknown kind of entry too."""

    def unknown(_: Origin) -> None:
        return None

    content = {"job": "<script>alert(1)</script>"}
    records = [{"id": "1", "kind": "<b>", "at": "2026-11-22", "content": content}]
    told = page(access({"records": records}, unknown, LENDER, "en", DAY.date()))
    assert "<script>" not in told
    assert "&lt;script&gt;" in told
    assert "&lt;b&gt;" in told
