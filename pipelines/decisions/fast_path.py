"""The fast path of admission: what is plainly as documented is parsed and checked in C.

It gives the very values that checking field by field gives (`admit.py`), or none at all. Whatever
is wrong, strange, a sentinel, or written so that the two could read it differently is left to the
other path, which finds out what it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pipelines.decisions.fields import Field, strange, typed
from pipelines.decisions.typing_json import INT64, LONGEST, Unfit
from pipelines.model.plan import Value

# A zero with a sign, written as an integer: msgspec's doubles lose the sign.
NEGATIVE_ZERO: Final = re.compile(rb"-0(?![0-9.])")
# A number longer than LONGEST covers a row of every so-manyth byte.
STRIDE: Final = 25
LONG_NUMBER: Final = re.compile(rb"[-+.0-9eE]{%d}" % (LONGEST // STRIDE))


@dataclass(frozen=True, slots=True)
class FastPath:
    """A contract's fields compiled for msgspec.

    `texts` are typed from their text here, `numbers` are compared here with their sentinels and
    known values, because msgspec cannot; every other check is its own.
    """

    names: tuple[str, ...]
    decoder: msgspec.json.Decoder[Any]
    texts: tuple[tuple[str, Field], ...]
    numbers: tuple[tuple[str, frozenset[float], frozenset[Value] | None], ...]

    def values(self, data: bytes) -> dict[str, Value] | None:
        """Return an application's typed values by column; None where it needs a closer look."""
        if _doubtful(data):
            return None
        try:
            found = msgspec.structs.astuple(self.decoder.decode(data))
        except (msgspec.DecodeError, UnicodeError):
            return None
        absent = found.count(UNSET)
        # Of a field that stands twice msgspec keeps the last. There are as many commas as pairs
        # less one, or more where texts hold some: then the other path counts.
        if data.count(b",") != len(found) - absent - 1:
            return None
        if absent:
            found = tuple([None if each is UNSET else each for each in found])
        values: dict[str, Value] = dict(zip(self.names, found, strict=False))
        return values if self._usual(values) and self._typed(values) else None

    def _usual(self, values: Mapping[str, Value]) -> bool:
        for name, sentinels, known in self.numbers:
            value = values[name]
            if value is None:
                continue
            if value in sentinels or (known is not None and value not in known):
                return False
        return True

    def _typed(self, values: dict[str, Value]) -> bool:
        try:
            for name, field in self.texts:
                values[name] = value = typed(field, values[name])
                if strange(field, value):
                    return False
        except Unfit:
            return False
        return True


def _doubtful(data: bytes) -> bool:
    """Say whether a number may be written in a way that msgspec reads otherwise."""
    if b"-" in data and NEGATIVE_ZERO.search(data):
        return True
    return len(data) > LONGEST and LONG_NUMBER.search(data[::STRIDE]) is not None


def compile_fast_path(fields: Mapping[str, Field], version_field: str, version: str) -> FastPath:
    """Return the fast path of these fields; `version_field` may name the contract's `version`."""
    columns = [(name, _type(field), field.needed) for name, field in fields.items()]
    columns.append((version_field, Literal[version], False))
    # A column may be called what Python has a use for, so its attribute is called by its place.
    attributes: list[Any] = [
        (f"f{at}", kind) if needed else (f"f{at}", kind | None | UnsetType, UNSET)
        for at, (_, kind, needed) in enumerate(columns)
    ]
    struct = msgspec.defstruct(
        "Application",
        attributes,
        rename={f"f{at}": name for at, (name, *_) in enumerate(columns)},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )
    numbers = {name: (set(_sentinels(field)), _left(field)) for name, field in fields.items()}
    return FastPath(
        names=tuple(fields),
        decoder=msgspec.json.Decoder(struct),
        texts=tuple((name, field) for name, field in fields.items() if _by_text(field)),
        numbers=tuple(
            (name, frozenset(sentinels), known)
            for name, (sentinels, known) in numbers.items()
            if fields[name].number and (sentinels or known is not None)
        ),
    )


def _type(field: Field) -> Any:  # noqa: ANN401 - a type
    """Return the widest type of a field's values that are as documented, as they are written."""
    if field.column.kind == "boolean":
        return bool
    if field.column.kind == "number":
        return Annotated[float, Meta(ge=field.low, le=field.high)]
    if field.column.kind == "integer":
        known = _literals(field)
        low, high = math.ceil(max(-INT64, field.low)), math.floor(min(INT64 - 1, field.high))
        return Literal[known] if known else Annotated[int, Meta(ge=low, le=high)]
    return Annotated[str, Meta(min_length=1)]


def _literals(field: Field) -> tuple[Value, ...]:
    known = [value for value in field.known or () if isinstance(value, int)]
    return tuple(sorted(value for value in known if field.low <= value <= field.high))


def _left(field: Field) -> frozenset[Value] | None:
    """Return a number's known values where msgspec does not compare with them itself."""
    return None if field.column.kind == "integer" and _literals(field) else field.known


def _by_text(field: Field) -> bool:
    """Say whether a field's text is more than a text."""
    plain = field.column.kind == "string" and not field.texts and field.known is None
    named = field.column.role == "subject" and not field.number
    return named or not (plain or field.number)


def _sentinels(field: Field) -> Iterator[float]:
    """Yield what stands for a missing number, and every number that may be so written."""
    for value in field.numbers:
        if field.low <= value <= field.high:  # type: ignore[operator]
            yield value  # type: ignore[misc]
    for text in field.texts:
        for read in (int, float):
            with suppress(ValueError):
                yield read(text)
