"""As much of DER (X.690) as a timestamp needs: read elements, and write a few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipelines.errors import IntegrityBroken

INTEGER, OCTETS, NULL, OID, SEQUENCE, SET = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31
BOOLEAN, TIME = 0x01, 0x18
LONG: Final = 0x80
MOST_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its content, and all of its bytes."""

    tag: int
    content: bytes
    raw: bytes

    def parts(self) -> list[Element]:
        """Return the elements that this one is made of."""
        found, rest = [], self.content
        while rest:
            one, rest = _first(rest)
            found.append(one)
        return found

    def must(self, tag: int) -> Element:
        """Return this element. Raises IntegrityBroken when it has another tag."""
        if self.tag != tag:
            raise IntegrityBroken("not the DER that is due", observed=self.tag, expected=tag)
        return self


def read(data: bytes) -> Element:
    """Read the one element that `data` is. Raises IntegrityBroken."""
    one, rest = _first(data)
    if rest:
        raise IntegrityBroken("bytes after the end of DER", observed=len(rest))
    return one


def write(tag: int, *parts: bytes) -> bytes:
    """Return an element of these parts."""
    content = b"".join(parts)
    size = len(content)
    if size < LONG:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, LONG | len(length)]) + length + content


def integer(value: int) -> bytes:
    """Return a whole number that is not negative."""
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _first(data: bytes) -> tuple[Element, bytes]:
    """Return the first element and what follows it; lengths must be the shortest that do."""
    if len(data) < 2 or data[0] & 0x1F == 0x1F:  # noqa: PLR2004 - a tag of one byte, a length
        raise IntegrityBroken("not DER, or cut off")
    size, start = data[1], 2
    if size >= LONG:
        count = size & ~LONG
        length = data[2 : 2 + count]
        size, start = int.from_bytes(length), 2 + count
        shortest = size >= LONG and length[:1] != b"\0"
        if not 0 < count <= MOST_LENGTH_BYTES or len(length) != count or not shortest:
            raise IntegrityBroken("not DER, or cut off")
    end = start + size
    if len(data) < end:
        raise IntegrityBroken("not DER, or cut off", observed=len(data), expected=end)
    return Element(data[0], data[start:end], data[:end]), data[end:]
