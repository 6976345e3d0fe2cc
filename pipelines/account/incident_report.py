"""An incident's dossier as a page: what is bad, its clock, whom it touched, what was done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pipelines.account.incident import Dossier
from pipelines.account.letter import Block, Letter, Section, Table, line, said
from pipelines.typed import plain

ENGLISH = "en"


def facts(found: Dossier, touched: Sequence[bytes], today: dt.date) -> dict[str, Any]:
    """Return the dossier as plain data, the affected decisions by id."""
    return {
        "incident": found.id,
        **plain(found.incident),
        "days_left": found.left(today),
        "affected": [number.hex() for number in touched],
        "actions": [{"id": number} | plain(action) for number, action in found.actions],
    }


def report(found: Dossier, touched: Sequence[bytes], today: dt.date) -> Letter:
    """Return the dossier to be read, as a page or a PDF."""
    incident = found.incident
    rows = {
        "What is bad": f"{incident.target} {incident.name}",
        "Kind": incident.kind,
        "Why": incident.reason,
        "Opened by": incident.person,
        "Known since": incident.known_since,
        "To be reported by": f"{incident.due}, under {incident.policy}",
        "Clock": clock(found, today),
        "Decisions that rest on it": str(len(touched)),
    }
    sections = [Section("The incident", (table("What is known of it", rows),))]
    for number, action in found.actions:
        told = {"By": action.person, "Why": action.reason, "Entry": number}
        told |= {name.replace("_", " "): _text(each) for name, each in action.came_to.items()}
        title = f"{action.at}: {action.did.replace('-', ' ')}"
        sections.append(Section(title, (table(title, told),)))
    ids: tuple[Block, ...] = tuple(said(number.hex()) for number in touched)
    sections.append(Section("Affected decisions", ids))
    return Letter(
        language=ENGLISH,
        title=f"Incident {found.id}",
        sender=("Incident dossier",),
        marks=(f"As of {today}",),
        sections=tuple(sections),
    )


def clock(found: Dossier, today: dt.date) -> str:
    """Return how the reporting deadline stands, in words."""
    left = found.left(today)
    if left is None:
        return "reported"
    return f"{left} days left" if left >= 0 else f"overdue by {-left} days"


def table(caption: str, rows: dict[str, str]) -> Table:
    """Return facts as a table."""
    return Table(
        caption, ("What", "Which"), tuple((line(k), line(v)) for k, v in rows.items() if v)
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in value.items())
    return str(value)
