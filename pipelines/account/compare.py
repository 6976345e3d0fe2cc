"""A decision set beside the one on record, field by field and bit by bit."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, Literal

from pipelines.records import Record

Likeness = Literal["identical", "within", "differs"]
# Neither the challenger's score nor what a replay is given is compared. The contract is bound by
# the digest of the version's files; its own digest may change with the code that reads it.
LEFT_OUT: Final = frozenset(
    {"shadow", "request_id", "stop", "draw", "holdout_share", "contract_sha256"}
)
HEXES: Final = frozenset({"margin", "threshold", "decline_below", "approve_from", "contribution"})
MOST_ULPS: Final = 16
SIGN: Final = 1 << 63


class Difference(Record, frozen=True):
    """One field that is not the same; `ulps` for numbers, None for anything else. No value."""

    field: str
    ulps: int | None = None


def likeness(found: tuple[Difference, ...], most: int = MOST_ULPS) -> Likeness:
    """Return what differences come to: none, only last bits of numbers, or more."""
    if not found:
        return "identical"
    within = all(each.ulps is not None and each.ulps <= most for each in found)
    return "within" if within else "differs"


def differences(recorded: dict[str, Any], again: dict[str, Any]) -> tuple[Difference, ...]:
    """Return the fields that differ between two decisions as plain JSON data.

    Fields that only one of the two knows, for the code was older, count where they hold something.
    """
    names = (recorded.keys() | again.keys()) - LEFT_OUT
    return tuple(
        each
        for name in sorted(names)
        for each in _compared(name, recorded.get(name), again.get(name), name in HEXES)
    )


def _compared(where: str, one: Any, other: Any, hexes: bool) -> Iterator[Difference]:  # noqa: ANN401
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            both = (one.get(name), other.get(name))
            yield from _compared(f"{where}.{name}", *both, name in HEXES)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, both in enumerate(zip(one, other, strict=True)):
            yield from _compared(f"{where}[{number}]", *both, hexes)
    elif isinstance(one, str) and isinstance(other, str) and hexes:
        if one != other:
            yield Difference(field=where, ulps=ulps(float.fromhex(one), float.fromhex(other)))
    elif isinstance(one, float) and isinstance(other, float):
        if _bits(one) != _bits(other):
            yield Difference(field=where, ulps=ulps(one, other))
    elif type(one) is not type(other) or one != other:
        yield Difference(field=where)


def ulps(one: float, other: float) -> int | None:
    """Return how many doubles further `other` is; None when one of them is no number."""
    if one != one or other != other:  # noqa: PLR0124 - NaN
        return None
    return abs(_ordered(one) - _ordered(other))


def _bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def _ordered(value: float) -> int:
    """Return a double's place among all doubles: both zeros at 0."""
    bits = _bits(value)
    return SIGN - bits if bits & SIGN else bits
