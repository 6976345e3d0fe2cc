"""The letter about a decision: what came out, why, on which data, what would have changed it.

A letter that names nobody who answers for the decision is refused.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from pipelines.account.afterwards import Course, follow, now
from pipelines.account.case import Case
from pipelines.account.letter import Letter
from pipelines.account.letter_pdf import pdf
from pipelines.account.letter_text import markdown, page
from pipelines.account.words import words
from pipelines.account.writing import letter, named
from pipelines.decisions.record import Recorder
from pipelines.errors import BadRequest, did_you_mean
from pipelines.params import LetterParams

FORMATS: Final = ("md", "html", "pdf")


def render(told: Letter, kind: str, at: dt.datetime) -> bytes:
    """Return a letter as a file of one of the formats. Raises Unavailable."""
    if kind == "pdf":
        return pdf(told, at)
    return (page(told) if kind == "html" else markdown(told)).encode()


def looked(recorder: Recorder, number: bytes, person: str) -> Course:
    """Return a decision and what came after it to who writes a letter; that look is recorded.

    Raises NotThere, Erased, IntegrityBroken, Unavailable, BadRequest where nobody was decided
    about.
    """
    found = recorder.look(number, person, "letter")
    if found.made.decided.outcome == "refuse" or found.made.decided.subject is None:
        raise BadRequest(
            "nobody was decided about: the application was sent back", where=number.hex()
        )
    return follow(recorder.ledger, found)


def checked(settings: LetterParams, language: str, kind: str) -> None:
    """Refuse what no letter can be written with, before anybody's record is looked at."""
    named(settings)
    words(language or settings.language)
    if kind not in FORMATS:
        expected, hint = ", ".join(FORMATS), did_you_mean(kind, FORMATS)
        raise BadRequest("no such format", observed=kind, expected=expected, hint=hint)


def run(case: Case, settings: LetterParams, language: str, kind: str) -> bytes:
    """Return the letter about a case in a format: md, html or pdf."""
    checked(settings, language, kind)
    at = now().replace(microsecond=0)
    return render(letter(case, settings, language or settings.language, at.date()), kind, at)
