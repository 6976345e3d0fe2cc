"""Templates: which facts a document holds, where, under which heading; and filling one in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pipelines.errors import NotThere, did_you_mean
from pipelines.release.documents.fact import Fact, Known, Source, Table
from pipelines.typed import read_yaml

FOLDER: Final = Path(__file__).parent / "templates"
PEOPLE: Final = "documentation."
MISSING: Final = "MISSING"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One section: `fields` and `tables` by the label that people read, each a fact's name.

    `text` is said whatever is known. A section with `when` is left out while that is not known.
    """

    heading: str
    text: str = ""
    fields: dict[str, str] = {}
    tables: dict[str, str] = {}
    when: str = ""


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of document."""

    title: str
    text: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that nothing is known for, and where it could be said."""

    label: str
    where: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A section with what is known: labelled facts and tables, in order."""

    heading: str
    text: str
    fields: tuple[tuple[str, Fact | Missing], ...]
    tables: tuple[Table | Missing, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A template with what is known in its places."""

    title: str
    subject: str
    text: str
    sections: tuple[Filled, ...]

    @property
    def places(self) -> tuple[Fact | Table | Missing, ...]:
        """Every place of the document that something is to be known for."""
        return tuple(
            place
            for section in self.sections
            for place in (*(each for _, each in section.fields), *section.tables)
        )

    @property
    def missing(self) -> tuple[Missing, ...]:
        return tuple(each for each in self.places if isinstance(each, Missing))

    @property
    def summary(self) -> str:
        """How many places are filled: ``k of n fields filled``."""
        filled = len(self.places) - len(self.missing)
        return f"{filled} of {len(self.places)} fields filled"

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every record that something comes from, once, by kind."""
        found = {source for place in self.places for source in _sources(place)}
        return tuple(sorted(found, key=lambda each: (each.kind, each.id)))


def read(name: str) -> Template:
    """Return the template of a kind of document. Raises NotThere with the ones there are."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = names()
        raise NotThere(
            "no such kind of document",
            observed=name,
            expected=", ".join(known),
            hint=did_you_mean(name, known),
        )
    return read_yaml(path, Template)


def names() -> tuple[str, ...]:
    """Return the kinds of documents."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def fill(template: Template, known: Known, subject: str) -> Document:
    """Put what is known into its places; everything else is MISSING."""
    return Document(
        title=template.title,
        subject=subject,
        text=template.text,
        sections=tuple(
            _section(s, known) for s in template.sections if not s.when or s.when in known
        ),
    )


def _section(section: Section, known: Known) -> Filled:
    return Filled(
        heading=section.heading,
        text=section.text,
        fields=tuple((label, _fact(label, name, known)) for label, name in section.fields.items()),
        tables=tuple(_table(label, name, known) for label, name in section.tables.items()),
    )


def _fact(label: str, name: str, known: Known) -> Fact | Missing:
    found = known.get(name)
    return found if isinstance(found, Fact) else _missing(label, name)


def _table(label: str, name: str, known: Known) -> Table | Missing:
    found = known.get(name)
    return found if isinstance(found, Table) else _missing(label, name)


def _missing(label: str, name: str) -> Missing:
    return Missing(label, f"params.yaml: {name}" if name.startswith(PEOPLE) else "")


def _sources(place: Fact | Table | Missing) -> Iterator[Source]:
    if isinstance(place, Fact):
        yield place.source
    elif isinstance(place, Table):
        yield from (row.source for row in place.rows)
