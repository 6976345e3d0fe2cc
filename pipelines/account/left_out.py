"""Fields that a disclosed record leaves out, together with whatever would give them away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipelines.contract import Column, Contract
from pipelines.decisions.record import Decision
from pipelines.decisions.records import Decided
from pipelines.errors import BadRequest, did_you_mean

# A decision may stand inside another record: a redecision holds one.
INSIDE: Final = ("", "made.")
WORDS: Final = ("statement", "reason", "person")
SUBJECT: Final = "subject"
OWN_SUBJECT: Final = "decided.subject"
VALUES: Final = frozenset({"decided", "decided.values"})
REQUEST: Final = ("request", "request_sha256")


@dataclass(frozen=True, slots=True)
class Left:
    """What to leave out: fields of a record, columns, `subject` for whom it is about.

    `columns` are those whose values are left out: those named, or all where the values as a whole
    are.
    """

    fields: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()

    def paths(self, content: dict[str, Any]) -> list[str]:
        """Return the dotted paths to leave out of one record, sorted."""
        return sorted({path for prefix in INSIDE for path in self._inside(content, prefix)})

    def _inside(self, content: dict[str, Any], prefix: str) -> Iterator[str]:
        made = content.get("made", {}) if prefix else content
        decided = made.get("decided") if isinstance(made, dict) else None
        if not isinstance(decided, dict):
            yield from (each for each in self.fields if not prefix and each in content)
            return
        values = decided.get("values") or {}
        subject = bool({SUBJECT, OWN_SUBJECT} & set(self.fields))
        columns = {column.name for column in self.columns}
        if subject:
            columns |= {name for name, value in values.items() if value == decided["subject"]}
            yield f"{prefix}{OWN_SUBJECT}"
        if not VALUES & set(self.fields):
            yield from (f"{prefix}decided.values.{name}" for name in columns & values.keys())
        for name in ("reasons", "problems"):
            told = decided.get(name, [])
            if columns & {each.get("column", each.get("field")) for each in told}:
                yield f"{prefix}decided.{name}"
        # The request holds every value, also those that nobody read or that sent it back; and its
        # digest, unsalted, lets a missing one be guessed.
        if subject or columns or set(REQUEST) & set(self.fields):
            yield from (f"{prefix}{name}" for name in REQUEST)
        yield from self._others(made, decided, prefix)

    def _others(self, made: dict[str, Any], decided: dict[str, Any], prefix: str) -> Iterator[str]:
        for each in self.fields:
            if each in made and each != SUBJECT:
                yield f"{prefix}{each}"
            if each.startswith("decided.") and each.removeprefix("decided.") in decided:
                yield f"{prefix}{each}"


def left(fields: tuple[str, ...], contract: Contract) -> Left:
    """Return what to leave out, once every name is known. Raises BadRequest with the closest."""
    known = {column.name for column in contract.columns} | {SUBJECT, *WORDS}
    known |= {each.name for each in msgspec.structs.fields(Decision)}
    known |= {f"decided.{each.name}" for each in msgspec.structs.fields(Decided)}
    for each in fields:
        if each not in known:
            hint = did_you_mean(each, known)
            raise BadRequest("no such field to leave out", observed=each, hint=hint)
    whole = VALUES & set(fields)
    columns = [column for column in contract.columns if whole or column.name in fields]
    return Left(tuple(dict.fromkeys(fields)), tuple(columns))
