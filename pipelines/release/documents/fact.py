"""What documents are made of: facts and tables, each with the record that it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHORT = 12


@dataclass(frozen=True, slots=True)
class Source:
    """A record or file by its kind and SHA-256."""

    kind: str
    id: str

    @property
    def short(self) -> str:
        """The kind with the beginning of the digest, as it stands beside a figure."""
        return f"{self.kind} {self.id[:SHORT]}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known, in words."""

    text: str
    source: Source


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; the first cell leads to `href`, where there is one."""

    cells: tuple[str, ...]
    source: Source
    href: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Several things that are known; `columns` names the cells of each row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


Known = dict[str, Fact | Table]


def told(source: Source, **texts: object) -> Known:
    """Return facts of one source by name, leaving out what is empty."""
    words = {name: str(text).strip() for name, text in texts.items() if text is not None}
    return {name: Fact(text, source) for name, text in words.items() if text}


def under(head: str, facts: Known) -> Known:
    """Return facts with ``head.`` before each name."""
    return {f"{head}.{name}": fact for name, fact in facts.items()}


def listed(texts: Iterable[str]) -> str:
    """Return texts in one line; nothing for none."""
    return ", ".join(texts)
