"""Tiles give back every node of the tree, and their paths follow C2SP tlog-tiles."""

from __future__ import annotations

import pytest

from pipelines.errors import IntegrityBroken
from pipelines.ledger import tiles, tree

SIZE = 70_000
LEAVES = [tree.hash_leaf(b"%d" % number) for number in range(SIZE)]


class Kept:
    """Whole tiles kept as they are finished, and leaves; partial tiles are derived."""

    def __init__(self) -> None:
        self.whole: dict[tuple[int, int], bytes] = {}
        self.leaves: list[bytes] = []

    def read(self, level: int, n: int, width: int) -> bytes:
        if width == tiles.WIDTH and (level, n) in self.whole:
            return self.whole[level, n]
        start = n * tiles.WIDTH
        if level == 0:
            return b"".join(self.leaves[start : start + width])
        below = (self.whole[level - 1, i] for i in range(start, start + width))
        return b"".join(tiles.fold(tiles.split_hashes(tile)) for tile in below)


@pytest.fixture(scope="module")
def kept() -> Kept:
    kept, size = Kept(), 0
    peaks: dict[int, bytes] = {}
    for step in [1, 254, 1, 256, 1000, 65_000, SIZE - 66_512]:
        growth = tree.grow(size, peaks, LEAVES[size : size + step])
        for level, n, hashes in tiles.finished_tiles(size, growth, kept.read):
            kept.whole[level, n] = hashes
        kept.leaves += LEAVES[size : size + step]
        size, peaks = growth.size, growth.peaks
    return kept


def test_number_of_whole_tiles(kept: Kept) -> None:
    """A tree of 70,000 has 273 whole tiles at level 0 and one at level 1, as the standard says."""
    levels = [level for level, _ in kept.whole]

    assert (273, 1, 0) == (levels.count(0), levels.count(1), levels.count(2))


def test_widths_of_the_standards_example() -> None:
    """The partial tiles of 70,000 leaves are 112, 17 and 1 wide; of 256 leaves, 1 at level 1."""
    last = [list(tiles.tile_widths(SIZE, level))[-1] for level in range(3)]

    assert [(273, 112), (1, 17), (0, 1)] == last
    assert [(0, 256)] == list(tiles.tile_widths(256))
    assert [(0, 1)] == list(tiles.tile_widths(256, 1))


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 66_000, SIZE])
def test_proofs_from_tiles(kept: Kept, size: int) -> None:
    """Proofs and roots made from tiles verify at any size the tree has had."""
    node = tiles.node_lookup(size, kept.read)
    root = tree.root_of(tree.peaks_at(size, node))

    assert tree.grow(0, {}, LEAVES[:size]).root() == root
    for index in {0, size // 3, size - 1}:
        proof = tree.inclusion_proof(index, size, node)
        tree.verify_inclusion(index, size, LEAVES[index], proof, root)
    old_root = tree.grow(0, {}, LEAVES[: size // 2]).root()
    proof = tree.consistency_proof(size // 2, size, node)
    tree.verify_consistency(size // 2, size, old_root, root, proof)


def test_rows_remembered_at_one_size_serve_every_other(kept: Kept) -> None:
    """One memory of tiles, filled while the tree grows, gives the proofs and roots of each size."""
    read: list[tuple[int, int, int]] = []

    def counted(level: int, n: int, width: int) -> bytes:
        read.append((level, n, width))
        return kept.read(level, n, width)

    rows = tiles.tile_rows(counted, 300)
    for size in (256, 257, 511, 512, 66_000, SIZE, 300):
        node = tiles.node_in(size, rows)
        root = tree.grow(0, {}, LEAVES[:size]).root()
        for index in (0, 255, size - 1):
            proof = tree.inclusion_proof(index, size, node)
            tree.verify_inclusion(index, size, LEAVES[index], proof, root)

    assert len(set(read)) == len(read)


def test_a_short_tile_is_refused(kept: Kept) -> None:
    """A tile with a hash missing raises instead of giving another tree."""
    node = tiles.node_lookup(SIZE, lambda level, n, width: kept.read(level, n, width)[:-32])

    with pytest.raises(IntegrityBroken):
        node(3, 0)


def test_paths() -> None:
    """Paths are three digits an element, all but the last with an x, partial ones with a width."""
    assert "tile/0/x001/x234/067" == tiles.tile_path(0, 1_234_067)
    assert "tile/1/000.p/17" == tiles.tile_path(1, 0, 17)
    assert "tile/entries/x001/000" == tiles.tile_path("entries", 1000)


def test_entry_bundle() -> None:
    """An entry bundle is each entry after its two-byte length."""
    assert b"\x00\x01a\x00\x00\x01\x00" + b"b" * 256 == tiles.pack_entries([b"a", b"", b"b" * 256])
