"""A letter's language: the catalogue's messages, and the words for columns, values and codes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.account.letter import Line, Run, line
from pipelines.account.words import Words
from pipelines.contract import Column, Contract
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
        given = self.settings.translations.get(self.words.language, {})
        if name in given:
            return Run(given[name])
        column = self.contract.column(name)
        return self._foreign(told or column.words or column.description or name)

    def value(self, column: Column, value: Json) -> Line:
        """Return a value with its unit."""
        text = self.words.value(value)
        if column.unit is None or value is None:
            return line(text)
        given = self.settings.translations.get(self.words.language, {})
        unit = given.get(column.unit)
        return (Run(f"{text} "), Run(unit) if unit else self._foreign(column.unit))

    def code(self, code: str) -> Line:
        """Return the regulation's own words in brackets, in the language of the contract."""
        before, after = self.words.messages["reasons.code"].split("{words}")[1].split("{code}")
        own = self.settings.contract_language
        other = None if own == self.words.language else own
        return (Run(before), Run(code, other), Run(after))

    def _foreign(self, text: str) -> Run:
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
