"""A document as one HTML page: accessible, self-contained, with no request to anywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.release.documents.fact import Fact, Table
from pipelines.release.documents.template import FOLDER, MISSING, Document

if TYPE_CHECKING:
    from jinja2 import Environment, Template


def write(document: Document) -> str:
    """Return the whole page; every text is escaped."""
    return _template().render(document=document, MISSING=MISSING)


def escaping(folder: Path) -> Environment:
    """Return the templates of a folder: texts are escaped, and a name that is not there fails."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template() -> Template:
    made = escaping(FOLDER)
    made.tests["fact"] = lambda found: isinstance(found, Fact)
    made.tests["table"] = lambda found: isinstance(found, Table)
    return made.get_template("document.html")
