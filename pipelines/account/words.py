"""The words of letters: one catalogue a language, by message id, and values as people write them.

A catalogue holds no markup, and a value goes into a message as text; whatever shows the message
escapes the whole of it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest, did_you_mean
from pipelines.records import Json
from pipelines.typed import read_yaml

FOLDER: Final = Path(__file__).parent / "catalogue"
LANGUAGES: Final = ("en", "de")
SLOT: Final = re.compile(r"\{(\w+)\}")
MARKS: Final = {"en": (",", "."), "de": (".", ",")}  # between thousands, before a fraction
UNGROUPED: Final = 10_000  # a year is written 1999, not 1,999
LONGEST_DATE: Final = 10
DIGITS: Final = 7  # what single precision holds; beyond stand its artefacts
LEAST_PLACES: Final = 2


@dataclass(frozen=True, slots=True)
class Words:
    """One language's catalogue."""

    language: str
    messages: dict[str, str]

    def say(self, message: str, **values: object) -> str:
        """Return a message with its values, all of them and no other."""
        text = self.messages[message]
        if slots(text) != values.keys():
            raise ValueError(f"{self.language}: {message}: {sorted(slots(text))}")
        return SLOT.sub(lambda found: str(values[found[1]]), text)

    def date(self, day: dt.date) -> str:
        """Return a day as it is written in a letter."""
        month = self.messages["months"].split()[day.month - 1]
        return self.say("date", day=day.day, month=month, year=day.year)

    def value(self, value: Json) -> str:
        """Return a recorded value as a person would write it."""
        if value is None or value == "":
            return self.messages["value.missing"]
        if isinstance(value, bool):
            return self.messages["value.yes" if value else "value.no"]
        if isinstance(value, (int, float)):
            return self.number(value)
        return self._moment(str(value))

    def number(self, value: float, digits: int | None = None) -> str:
        """Return a number with the language's marks, to so many digits after the point."""
        if not math.isfinite(value):
            return str(value)
        text = f"{value:.{digits}f}" if digits is not None else _plain(value)
        whole, point, fraction = text.partition(".")
        thousands, mark = MARKS[self.language]
        if abs(value) >= UNGROUPED:
            whole = f"{int(whole):,}".replace(",", thousands)
        return whole + (mark + fraction if point and fraction != "0" else "")

    def _moment(self, text: str) -> str:
        """Return a date or a moment as such; any other text as it is."""
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return text
        if len(text) == LONGEST_DATE:
            return self.date(moment.date())
        if moment.tzinfo is None or "T" not in text:
            return text
        utc = moment.astimezone(dt.UTC)
        return self.say("moment", date=self.date(utc.date()), time=f"{utc:%H:%M}")


@cache
def words(language: str) -> Words:
    """Return the catalogue of a language. Raises BadRequest with the ones there are."""
    if language not in LANGUAGES:
        raise BadRequest(
            "no catalogue in this language",
            observed=language,
            expected=", ".join(LANGUAGES),
            hint=did_you_mean(language, LANGUAGES),
        )
    return Words(language, read_yaml(FOLDER / f"{language}.yaml", dict[str, str]))


def slots(text: str) -> set[str]:
    """Return the names of a message's values."""
    return set(SLOT.findall(text))


def apart(words: Words, *values: float, least: int = 2) -> list[str]:
    """Return numbers with as many digits as it takes to tell different ones apart."""
    for digits in range(least, 18):
        told = [words.number(each, digits) for each in values]
        if len(set(told)) == len(set(values)):
            return told
    return [words.number(each) for each in values]


def _plain(value: float) -> str:
    """Return a number's digits without an exponent; of a fraction, so many that matter."""
    exact = Decimal(repr(value))
    places = max(LEAST_PLACES, DIGITS - 1 - exact.adjusted())
    if -exact.as_tuple().exponent <= places:  # type: ignore[operator] # finite
        return f"{exact:f}"
    return f"{round(exact, places).normalize():f}"
