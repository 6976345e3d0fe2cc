"""The crosswalk: from each control to the evidence in the record, the command and the test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from pipelines.canonical import sha256_file
from pipelines.release.documents.fact import Known, Row, Source, Table, listed
from pipelines.release.documents.template import MISSING
from pipelines.typed import read_yaml

FILE: Final = Path(__file__).with_name("crosswalk.yaml")


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One control: facts of a version that are evidence for it, what gives it, what keeps it."""

    control: str
    evidence: tuple[str, ...]
    command: str
    test: str


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A law, rule or standard, and its controls."""

    text: str
    controls: tuple[Control, ...]


def texts() -> tuple[Text, ...]:
    """Return every text with its controls."""
    return read_yaml(FILE, tuple[Text, ...])


def of_version(known: Known) -> Known:
    """Return the crosswalk with the ids of a version's own evidence; what is not there says so."""
    source = Source("crosswalk", sha256_file(FILE))
    rows = tuple(
        Row((f"{text.text}: {each.control}", _evidence(each, known), each.command), source)
        for text in texts()
        for each in text.controls
    )
    names = ("control", "evidence", "command")
    return {"crosswalk": Table("Crosswalk from control to evidence", names, rows)}


def _evidence(control: Control, known: Known) -> str:
    return listed(f"{name} ({_ids(name, known)})" for name in control.evidence)


def _ids(name: str, known: Known) -> str:
    """Return the records that a fact comes from, each once."""
    found = known.get(name)
    if found is None:
        return MISSING
    rows = found.rows if isinstance(found, Table) else (found,)
    return listed(dict.fromkeys(each.source.short for each in rows)) or MISSING


def page() -> str:
    """Return what the system produces for each control, as a page of Markdown."""
    lines = [
        "# Crosswalk: from control to evidence",
        "",
        "What the system produces for each control, the command that gives it and the test that",
        "keeps it. `clew document technical-documentation VERSION` has the same table with the ids",
        "of that version's records, and MISSING where there is none. There is no score: a control",
        "is met by what stands in the record, and whether that is enough is for people to say.",
        "Not legal advice; texts and dates move.",
    ]
    for text in texts():
        lines += ["", f"## {text.text}", "", "| control | evidence | command | kept by |"]
        lines += ["| --- | --- | --- | --- |", *map(_line, text.controls)]
    return "\n".join([*lines, ""])


def _line(each: Control) -> str:
    commands = listed(f"`{one.strip()}`" for one in each.command.split(";"))
    facts = listed(f"`{name}`" for name in each.evidence)
    return f"| {each.control} | {facts} | {commands} | [{each.test}](../../{each.test}) |"
