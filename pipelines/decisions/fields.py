"""One column as an application is checked against it: typed, missing, or strange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.canonical import CONTROL, SEEN
from pipelines.contract import Column
from pipelines.data.rules import number_sentinels, required, text_sentinels
from pipelines.decisions.records import NOBODY, STAFF
from pipelines.decisions.typing_json import PARSERS, Unfit, as_text, token
from pipelines.model.plan import Value

MOST = 2.0**53


@dataclass(frozen=True, slots=True)
class Field:
    """One column as an application is checked against it.

    Sentinels are `texts`, compared as written, and `numbers`, compared once typed; `fractions` are
    those of a column of whole numbers that are none.
    """

    column: Column
    parse: Callable[[object], Value]
    number: bool
    needed: bool
    read: bool
    texts: frozenset[str]
    numbers: frozenset[Value]
    fractions: frozenset[float]
    known: frozenset[Value] | None
    low: float
    high: float


def typed(field: Field, given: object) -> Value:
    """Return a field's value as training types it; sentinels and empty text are missing.

    Raises Unfit with the rule that is broken.
    """
    value: Value = None
    missing = given is None or given == ""
    if not missing and field.texts:
        missing = as_text(given) in field.texts
    if not missing and field.fractions and isinstance(given, token):
        missing = float(given) in field.fractions
    if not missing:
        value = field.parse(given)
        if value in field.numbers:
            value = None
    if value is None and field.needed:
        raise Unfit("missing")
    if field.column.role == "subject" and not nameable(str(value)):
        raise Unfit("not-a-name")
    return value


def nameable(subject: str) -> bool:
    """Say whether records about a subject can be asked for by name, and are nobody else's."""
    reserved = subject == NOBODY or subject.startswith(STAFF)
    blank = not subject or not (SEEN.match(subject) and SEEN.match(subject[-1]))
    return not (blank or reserved or CONTROL.search(subject))


def strange(field: Field, value: Value) -> str | None:
    """Return the rule by which a value is outside what is documented, or None."""
    if value is None:
        return None
    if field.number and not field.low <= value <= field.high:  # type: ignore[operator]
        return "outside-range"
    if field.known is not None and value not in field.known:
        return "unseen"
    return None


def field_of(column: Column, read: frozenset[str], texts: frozenset[str] | None) -> Field:
    """Return a column's field for a model that reads `read`; `texts` are its known texts."""
    found = [float(value) for value in column.sentinels if not isinstance(value, (str, bool))]
    whole = column.kind == "integer"
    return Field(
        column=column,
        parse=PARSERS[column.kind],
        number=column.kind in {"integer", "number"},
        needed=column.role == "subject" or (column.name in read and required(column)),
        read=column.name in read,
        texts=frozenset(text_sentinels(column)),
        numbers=frozenset(number_sentinels(column)),
        fractions=frozenset(each for each in found if whole and not each.is_integer()),
        known=_known(column) if column.allowed is not None else texts,
        low=-MOST if column.minimum is None else column.minimum,
        high=MOST if column.maximum is None else column.maximum,
    )


def _known(column: Column) -> frozenset[Value]:
    texts = [
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in column.allowed or ()
    ]
    number = column.kind in {"integer", "number"}
    return frozenset(PARSERS[column.kind](token(text) if number else text) for text in texts)
