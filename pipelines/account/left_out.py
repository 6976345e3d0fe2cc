"""Fields that a disclosed record leaves out, together with whatever would give them away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipelines.contract import Contract
from pipelines.decisions.record import Decision
from pipelines.decisions.records import Decided
from pipelines.errors import BadRequest, did_you_mean

# A decision may stand inside another record: a redecision holds one.
INSIDE: Final = ("", "made.")
WORDS: Final = ("statement", "reason", "person")
SUBJECT: Final = "subject"


@dataclass(frozen=True, slots=True)
class Left:
    """Names to leave out: columns, fields of a record, or `subject` for whom it is about."""

    fields: tuple[str, ...] = ()

    def paths(self, content: dict[str, Any]) -> list[str]:
        """Return the dotted paths to leave out of one record, sorted."""
        return sorted(path for prefix in INSIDE for path in self._inside(content, prefix))

    def _inside(self, content: dict[str, Any], prefix: str) -> Iterator[str]:
        made = content.get("made", {}) if prefix else content
        decided = made.get("decided") if isinstance(made, dict) else None
        if not isinstance(decided, dict):
            yield from (each for each in self.fields if not prefix and each in content)
            return
        values = decided.get("values") or {}
        columns = {each for each in self.fields if each in values}
        if SUBJECT in self.fields:
            columns |= {name for name, value in values.items() if value == decided["subject"]}
            yield f"{prefix}decided.subject"
        yield from (f"{prefix}decided.values.{name}" for name in columns)
        named = {each.get("column") for each in decided.get("reasons", [])}
        if columns & named:
            yield f"{prefix}decided.reasons"
        # The request holds every value, and its digest, unsalted, lets a missing one be guessed.
        if columns:
            yield from (f"{prefix}request", f"{prefix}request_sha256")
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
    return Left(tuple(dict.fromkeys(fields)))
