"""JSON values to typed values, as `data/cast.py` types the same text; numbers keep their text.

A number goes through no float before its column's type is known, so no digit is lost.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable

from pipelines.contract import Kind
from pipelines.data import rules
from pipelines.errors import BadRequest
from pipelines.model.plan import Value

INTEGER = re.compile(rules.INTEGER)
DATE = re.compile(rules.DATE)
TIMESTAMP = re.compile(rules.TIMESTAMP)
ZONED = re.compile(rf".{{10}}[T ].*{rules.ZONE}")
MIDNIGHT = re.compile(r"[T ]00:00(:00(\.0*)?)?\Z")
LONGEST = 400  # digits of a number; the longest double that is written out has 309 and a point
INT64 = 2**63
DAY = len("2026-01-01")


class token(str):  # noqa: N801 - it is called by the JSON parser like int and float
    """A JSON number as it was written."""

    __slots__ = ()


class constant(str):  # noqa: N801 - the same
    """NaN or an infinity, which JSON does not have and Python's parser reads."""

    __slots__ = ()


class Pairs(list[tuple[str, object]]):
    """A JSON object as it was written: a key may stand twice."""


class Unfit(BadRequest):
    """A value is not of its column's type: `rule` says how; the value is in no message."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(f"a value is unfit: {rule}")


def as_text(given: object) -> str | None:
    """Return what a value is as text, as reading a file would; None where nothing is there."""
    if given is None or (isinstance(given, str) and not given):
        return None
    if isinstance(given, bool):
        return "true" if given else "false"
    return given if isinstance(given, str) else ""


def integer(given: object) -> int:
    """Return a whole number of 64 bits; ``1.0`` is 1."""
    text = _number_text(given)
    try:
        found = int(text)
    except ValueError:
        if not INTEGER.fullmatch(text):
            raise Unfit("wrong-type") from None
        found = int(text.partition(".")[0])
    if not -INT64 <= found < INT64:
        raise Unfit("wrong-type")
    return found


def number(given: object) -> float:
    """Return the nearest double; what is beyond doubles is refused."""
    found = float(_number_text(given))
    if not math.isfinite(found):
        raise Unfit("not-finite")
    return found


def text(given: object) -> str:
    """Return text; a number is none."""
    if not isinstance(given, str) or isinstance(given, (token, constant)):
        raise Unfit("wrong-type")
    return given


def boolean(given: object) -> bool:
    """Return true or false; 1 and 0 are read as such."""
    if isinstance(given, bool):
        return given
    if isinstance(given, token) and given in {"0", "1"}:
        return given == "1"
    raise Unfit("wrong-type")


def date(given: object) -> dt.date:
    """Return a date; midnight may follow it."""
    bare = MIDNIGHT.sub("", text(given))
    if not DATE.fullmatch(bare):
        raise Unfit("wrong-type")
    try:
        return dt.date.fromisoformat(bare)
    except ValueError:
        raise Unfit("wrong-type") from None


def timestamp(given: object) -> dt.datetime:
    """Return a moment in UTC; without a zone it is read as UTC."""
    found = text(given)
    if not TIMESTAMP.fullmatch(found):
        raise Unfit("wrong-type")
    try:
        moment = dt.datetime.fromisoformat(found)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return zoned.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Unfit("wrong-type") from None


def _number_text(given: object) -> str:
    if given.__class__ is token and len(given) <= LONGEST:
        return given
    raise Unfit("not-finite" if isinstance(given, constant) else "wrong-type")


PARSERS: dict[Kind, Callable[[object], Value]] = {
    "integer": integer,
    "number": number,
    "string": text,
    "boolean": boolean,
    "date": date,
    "timestamp": timestamp,
}
