"""Text as Markdown that shows it as it is: nothing in it is read as markup."""

from __future__ import annotations

import html
import re
from typing import Final

# What Markdown could read as markup: anywhere, as an address, at the start of a line. No more: a
# document is also read as it stands, on a terminal.
SPECIAL: Final = re.compile(
    r"([\\`*_\[\]|~$])|(:)(?=//)|(?<=www)(\.)|^([#+\-=])(?=[#\-=\s]|$)|^(\d+)([.)])(?=\s|$)",
    re.IGNORECASE,
)
# All white space but what keeps words together.
SPACE: Final = re.compile(r"[^\S\xa0\u202f]+")


def plain(text: str) -> str:
    """Return Markdown that shows `text` on one line and means nothing else."""
    marked = SPECIAL.sub(_escaped, SPACE.sub(" ", text).strip(" "))
    # Entities, not backslashes: some readers know no escaped angle bracket.
    return html.escape(marked, quote=False)


def _escaped(found: re.Match[str]) -> str:
    return f"{found[5] or ''}\\{found[found.lastindex or 0]}"
