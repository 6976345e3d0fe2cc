"""A letter as PDF/UA-1: tagged, with its language, title and order of reading, fonts embedded.

Typst sets it. The letter goes in as JSON and is shown as text, so nothing in it can be a command.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import Any, Final

from pipelines.account.letter import Block, Items, Letter, Paragraph
from pipelines.account.words import FOLDER
from pipelines.errors import DataRefused, Unavailable

STANDARD: Final = "ua-1"
PAGE: Final = FOLDER / "letter.typ"


def pdf(letter: Letter, at: dt.datetime) -> bytes:
    """Return the letter as a PDF file, the same bytes for the same letter and time.

    Raises Unavailable where Typst is not installed, DataRefused for signs that no font has.
    """
    try:
        import typst
    except ImportError:
        raise Unavailable(
            "letters as PDF need the package typst",
            expected="what infra/locks/clew.lock pins",
            hint="make setup, or --format html",
        ) from None
    try:
        made: bytes = typst.compile(
            PAGE.read_bytes(),
            format="pdf",
            pdf_standards=[STANDARD],
            sys_inputs={"letter": json.dumps(_data(letter))},
            ignore_system_fonts=True,
            timestamp=at,
        )
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):  # its words repeat the letter's
            raise
        raise DataRefused(
            "the letter has signs that no font of the PDF has",
            hint="--format html, or md: they lose nothing",
        ) from None
    return made


def _data(letter: Letter) -> dict[str, Any]:
    told = asdict(letter)
    told["sections"] = [
        {"heading": each.heading, "blocks": [_block(block) for block in each.blocks]}
        for each in letter.sections
    ]
    return told


def _block(block: Block) -> dict[str, Any]:
    kind = {Paragraph: "paragraph", Items: "items"}.get(type(block), "table")
    found = {"kind": kind} | asdict(block)
    if kind == "table":
        found["rows"] = [[what, value] for what, value in found["rows"]]
    return found
