"""A letter as what it says, apart from how it is shown: sections of paragraphs, lists and a table.

Every piece of text is data. The renderers escape all of it, so nothing that a person or a contract
wrote can become markup.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text, and its language where it is another than the letter's."""

    text: str
    language: str | None = None


Line = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph."""

    line: Line


@dataclass(frozen=True, slots=True)
class Items:
    """A list; `ordered` where the first counts most."""

    lines: tuple[Line, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of two columns: what, and its value."""

    caption: str
    head: tuple[str, str]
    rows: tuple[tuple[Line, Line], ...]


Block = Paragraph | Items | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter. `sender` are its lines above the title, `marks` those below it."""

    language: str
    title: str
    sender: tuple[str, ...]
    marks: tuple[str, ...]
    sections: tuple[Section, ...]


def line(text: str, language: str | None = None) -> Line:
    """Return a line of one run."""
    return (Run(text, language),)


def said(text: str) -> Paragraph:
    """Return a paragraph in the letter's language."""
    return Paragraph(line(text))
