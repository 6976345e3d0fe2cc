"""Tiles of a Merkle tree (C2SP tlog-tiles): 256 hashes wide, 8 tree levels high.

Tile ``(level, n)`` holds nodes ``(8 * level, 256 * n)`` onwards. Only whole tiles are kept; a
partial one is always the roots of whole tiles below it, or leaves.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from pipelines.errors import IntegrityBroken
from pipelines.ledger.tree import HASH_SIZE, Growth, Lookup

HEIGHT: Final = 8
PATH_DIGITS: Final = 1000
WIDTH: Final = 1 << HEIGHT

ReadTile = Callable[[int, int, int], bytes]
ReadRows = Callable[[int, int, int], Sequence[bytes]]


def split_hashes(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile. Raises IntegrityBroken for a broken length."""
    if len(tile) % HASH_SIZE:
        raise IntegrityBroken("a tile of broken length", observed=f"{len(tile)} bytes")
    return [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree over `hashes` (their number a power of two)."""
    return fold_joined(b"".join(hashes))


def fold_joined(row: bytes) -> bytes:
    """Return the same over hashes that are joined, as a tile holds them."""
    while len(row) > HASH_SIZE:
        row = _row_above(row)
    return row


def _row_above(row: bytes) -> bytes:
    """Return the parents of joined hashes; a last one without a sibling has none."""
    hashed, size = hashlib.sha256, 2 * HASH_SIZE
    pairs = range(0, len(row) - len(row) % size, size)
    return b"".join([hashed(b"\x01" + row[at : at + size]).digest() for at in pairs])


def tile_rows(read: ReadTile, remembered: int = 64) -> ReadRows:
    """Return a function that gives a tile's hashes and the rows of perfect nodes above them.

    `read(level, n, width)` gives the first `width` hashes of a tile, joined; they never change,
    so that many tiles are remembered.
    """

    @lru_cache(maxsize=remembered)
    def rows(level: int, n: int, width: int) -> list[bytes]:
        found = [read(level, n, width)]
        if len(found[0]) != width * HASH_SIZE:
            raise IntegrityBroken("a tile lacks hashes", where=tile_path(level, n, width))
        while len(found[-1]) > HASH_SIZE:
            found.append(_row_above(found[-1]))
        return found

    return rows


def node_lookup(size: int, read: ReadTile) -> Lookup:
    """Return a function that looks up perfect nodes of the tree of `size` leaves in its tiles."""
    return node_in(size, tile_rows(read))


def node_in(size: int, rows: ReadRows) -> Lookup:
    """Return the same over rows that may be remembered from another size of the tree."""

    def node(height: int, index: int) -> bytes:
        level, inner = divmod(height, HEIGHT)
        n, place = divmod(index << inner, WIDTH)
        width = min(WIDTH, (size >> HEIGHT * level) - n * WIDTH)
        start = (place >> inner) * HASH_SIZE
        return rows(level, n, width)[inner][start : start + HASH_SIZE]

    return node


def finished_tiles(before: int, growth: Growth, read: ReadTile) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, n, hashes) of each tile that became whole when the tree grew from `before`.

    Hashes older than the growth are asked of `read`.
    """
    level = 0
    while growth.size >> HEIGHT * (level + 1):
        first, last = before >> HEIGHT * (level + 1), growth.size >> HEIGHT * (level + 1)
        known = before >> HEIGHT * level
        for n in range(first, last):
            old = read(level, n, known - n * WIDTH) if known > n * WIDTH else b""
            start = max(known, n * WIDTH)
            new = (growth.nodes[HEIGHT * level, i] for i in range(start, (n + 1) * WIDTH))
            yield level, n, old + b"".join(new)
        level += 1


def tile_path(level: int | str, n: int, width: int = WIDTH) -> str:
    """Return the path of a tile, or of an entry bundle where `level` is ``entries``."""
    parts = [f"{n % PATH_DIGITS:03d}"]
    while n >= PATH_DIGITS:
        n //= PATH_DIGITS
        parts.insert(0, f"x{n % PATH_DIGITS:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def tile_widths(size: int, level: int = 0) -> Iterator[tuple[int, int]]:
    """Yield (n, width) of every tile of one level in the tree of `size` leaves."""
    hashes = size >> HEIGHT * level
    for n in range(-(-hashes // WIDTH)):
        yield n, min(WIDTH, hashes - n * WIDTH)


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each entry after its length as two big-endian bytes."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)
