"""A document as Markdown. Every text is shown as it is: nothing in it is read as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.markdown import plain
from pipelines.release.documents.fact import Fact, Row, Table
from pipelines.release.documents.template import MISSING, Document, Filled, Missing


def write(document: Document) -> str:
    """Return the whole document."""
    lines = [
        f"# {plain(document.title)}: {plain(document.subject)}",
        "",
        plain(document.text),
        "",
        f"**{document.summary}.**",
    ]
    for section in document.sections:
        lines += _section(section)
    rows = [(each.kind, f"`{each.id}`") for each in document.sources]
    cells = [(plain(kind), digest) for kind, digest in rows]
    lines += ["", "## Sources", "", *table(("record", "SHA-256"), cells), ""]
    return "\n".join(lines)


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table of cells that are Markdown already."""
    return [_line(names), "|" + " --- |" * len(names), *map(_line, rows)]


def _section(section: Filled) -> Iterator[str]:
    yield from ("", f"## {plain(section.heading)}")
    if section.text:
        yield from ("", plain(section.text))
    if section.fields:
        rows = [(plain(label), *_field(fact)) for label, fact in section.fields]
        yield from ("", *table(("field", "what is known", "source"), rows))
    for each in section.tables:
        yield from _table(each)


def _field(fact: Fact | Missing) -> tuple[str, str]:
    if isinstance(fact, Missing):
        return f"**{MISSING}**", plain(fact.where) or "no record says so"
    return plain(fact.text), plain(fact.source.short)


def _table(found: Table | Missing) -> Iterator[str]:
    if isinstance(found, Missing):
        yield from (
            "",
            f"### {plain(found.label)}",
            "",
            f"**{MISSING}** {plain(found.where)}".rstrip(),
        )
        return
    rows = [(*_cells(row), plain(row.source.short)) for row in found.rows]
    yield from ("", f"### {plain(found.caption)}", "")
    yield from table((*map(plain, found.columns), "source"), rows)


def _cells(row: Row) -> list[str]:
    cells = [plain(cell) for cell in row.cells]
    return [f"[{cells[0]}]({row.href})", *cells[1:]] if row.href else cells


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
