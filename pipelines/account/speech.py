"""A letter's language: the catalogue's messages, and the words for columns, values and codes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.account.letter import Line, Run, line
from pipelines.account.words import Words
from pipelines.contract import Column, Contract
from pipelines.decisions.records import Reason
from pipelines.params import LetterParams
from pipelines.records import Json


@dataclass(frozen=True, slots=True)
class Speech:
    """A catalogue together with the words for columns."""

    words: Words
    settings: LetterParams
    contract: Contract

    def column(self, name: str, told: str = "") -> Run:
        """Return the words for a column: this language's, else the contract's own."""
        column = self.contract.column(name)
        return self._said(name, told or column.words or column.description or name)

    def value(self, column: Column, value: Json) -> Line:
        """Return what a code means, any other value with its unit."""
        meaning = column.meaning(value)
        if meaning is not None:
            return (self._said(meaning, meaning),)
        text = self.words.value(value)
        if column.unit is None or value is None:
            return line(text)
        return (Run(f"{text} "), self._said(column.unit, column.unit))

    def reason(self, reason: Reason, value: Json, *, code: bool) -> Line:
        """Return a reason with the value it rests on, and the regulation's own words for it."""
        column = self.contract.column(reason.column)
        parts: dict[str, Line] = {
            "words": (self.column(reason.column, reason.words),),
            "value": self.value(column, value),
        }
        if code and reason.reg_b_code:
            parts["code"] = (self._said(reason.reg_b_code, reason.reg_b_code),)
        message = "reasons.code" if "code" in parts else "reasons.one"
        return tuple(filled(self.words.messages[message], parts))

    def _said(self, key: str, text: str) -> Run:
        """Return this language's words for a key, else the contract's own text, marked as such."""
        given = self.settings.translations.get(self.words.language, {})
        if key in given:
            return Run(given[key])
        own = self.settings.contract_language
        return Run(text, None if own == self.words.language else own)


def filled(message: str, parts: Mapping[str, Line]) -> Iterator[Run]:
    """Yield a message whose values are runs of their own."""
    rest = message
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        if before:
            yield Run(before)
        yield from parts[name]
    if rest:
        yield Run(rest)


def joined(runs: Sequence[Run], mark: str) -> Iterator[Run]:
    """Yield different runs with a mark between them."""
    for number, run in enumerate(dict.fromkeys(runs)):
        if number:
            yield Run(mark)
        yield run


def day(words: Words, at: str) -> str:
    """Return the day of a recorded time as it is written in a letter."""
    return words.date(dt.datetime.fromisoformat(at).date())
