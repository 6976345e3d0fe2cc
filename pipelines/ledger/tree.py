"""The Merkle tree of RFC 9162, section 2: hashes, growth, proofs and their verification.

A node is named by its height and index: node ``(h, i)`` is the root of the perfect subtree over
leaves ``[i * 2**h, (i + 1) * 2**h)``. Proofs are made from any function that looks such a node
up, so they can come from memory, from tiles or from a database alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.errors import BadRequest, IntegrityBroken

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

NodeId = tuple[int, int]
Lookup = Callable[[int, int], bytes]


def hash_leaf(entry: bytes) -> bytes:
    """Return the leaf hash of an entry: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an interior node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Growth:
    """A tree after leaves were added: its size, its peaks and every perfect node that was made.

    `peaks` maps the height of each perfect subtree on the right edge to its hash; `nodes` also
    holds the peaks before the growth, which is all that proofs of the new leaves need.
    """

    size: int
    peaks: dict[int, bytes]
    nodes: dict[NodeId, bytes]

    def root(self) -> bytes:
        """Return the root hash of the grown tree."""
        return root_of(self.peaks)

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion proof of a leaf that this growth added."""
        return inclusion_proof(index, self.size, self._node)

    def _node(self, height: int, index: int) -> bytes:
        return self.nodes[height, index]


def grow(size: int, peaks: dict[int, bytes], leaves: Sequence[bytes]) -> Growth:
    """Add leaf hashes to a tree known by its size and peaks; the arguments stay as they are."""
    nodes: dict[NodeId, bytes] = {
        (height, (size >> height) - 1): peak for height, peak in peaks.items()
    }
    now, sha256 = dict(peaks), hashlib.sha256
    for place, node in enumerate(leaves, start=size):
        height, index = 0, place
        nodes[0, index] = node
        while index & 1:
            node = sha256(b"\x01" + now.pop(height) + node).digest()  # noqa: PLW2901 - its parent
            height, index = height + 1, index >> 1
            nodes[height, index] = node
        now[height] = node
    return Growth(size + len(leaves), now, nodes)


def root_of(peaks: dict[int, bytes]) -> bytes:
    """Return the root over the peaks of a tree, the smallest peak last."""
    if not peaks:
        return EMPTY_ROOT
    heights = sorted(peaks)
    root = peaks[heights[0]]
    for height in heights[1:]:
        root = hash_node(peaks[height], root)
    return root


def peaks_at(size: int, node: Lookup) -> dict[int, bytes]:
    """Return the peaks of the tree of `size` leaves: one for each bit that is set."""
    return {
        height: node(height, (size >> height) - 1)
        for height in range(size.bit_length())
        if size >> height & 1
    }


def range_hash(start: int, stop: int, node: Lookup) -> bytes:
    """Return MTH(D[start:stop]) where the range is a subtree of an RFC 9162 tree."""
    width = stop - start
    if width & (width - 1) == 0:
        height = width.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(width)
    return hash_node(range_hash(start, middle, node), range_hash(middle, stop, node))


def inclusion_proof(index: int, size: int, node: Lookup) -> list[bytes]:
    """Return the proof that leaf `index` is in the tree of `size` leaves, leaf's sibling first."""
    if not 0 <= index < size:
        raise BadRequest("no such leaf", observed=index, expected=f"0 to {size - 1}")
    return _path(index, 0, size, node)


def _path(index: int, start: int, stop: int, node: Lookup) -> list[bytes]:
    if stop - start == 1:
        return []
    middle = start + _split(stop - start)
    if index < middle:
        return [*_path(index, start, middle, node), range_hash(middle, stop, node)]
    return [*_path(index, middle, stop, node), range_hash(start, middle, node)]


def consistency_proof(old: int, new: int, node: Lookup) -> list[bytes]:
    """Return the proof that the first `old` leaves of the tree of `new` leaves are its past."""
    if not 0 <= old <= new:
        raise BadRequest("sizes in the wrong order", observed=f"{old} to {new}")
    if old in (0, new):
        return []
    return _subproof(old, 0, new, node, whole=True)


def _subproof(old: int, start: int, stop: int, node: Lookup, *, whole: bool) -> list[bytes]:
    if old == stop:
        return [] if whole else [range_hash(start, stop, node)]
    middle = start + _split(stop - start)
    if old <= middle:
        rest = _subproof(old, start, middle, node, whole=whole)
        return [*rest, range_hash(middle, stop, node)]
    rest = _subproof(old, middle, stop, node, whole=False)
    return [*rest, range_hash(start, middle, node)]


def _split(width: int) -> int:
    """Return the largest power of two smaller than `width`."""
    return 1 << (width - 1).bit_length() - 1


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check an inclusion proof (RFC 9162, 2.1.3.2). Raises IntegrityBroken."""
    _require_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise IntegrityBroken("leaf outside the tree", observed=index, expected=f"below {size}")
    place, last, seen = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityBroken("inclusion proof too long")
        if place & 1 or place == last:
            seen = hash_node(sibling, seen)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            seen = hash_node(seen, sibling)
        place, last = place >> 1, last >> 1
    if last or seen != root:
        raise IntegrityBroken("inclusion proof does not lead to the root")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check a consistency proof (RFC 9162, 2.1.4.2). Raises IntegrityBroken.

    From the empty tree every tree is consistent and the proof is empty, as the witness protocol
    has it; the empty tree's root is still checked.
    """
    _require_hashes([old_root, new_root, *proof])
    if not 0 <= old <= new:
        raise IntegrityBroken("the log became smaller", observed=new, expected=f"at least {old}")
    if old in (0, new):
        _verify_trivial(old, new, old_root, new_root, proof)
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise IntegrityBroken("consistency proof too short")
    seen = _fold_consistency(old - 1, new - 1, path)
    if seen != (old_root, new_root):
        raise IntegrityBroken("consistency proof does not lead to the roots")


def _verify_trivial(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    if proof:
        raise IntegrityBroken("consistency proof too long")
    if old == new and old_root != new_root:
        raise IntegrityBroken("two roots for one size", observed=f"size {new}")
    if old == 0 and old_root != EMPTY_ROOT:
        raise IntegrityBroken("wrong root for the empty tree")


def _fold_consistency(place: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise IntegrityBroken("consistency proof too long")
        if place & 1 or place == last:
            before, after = hash_node(sibling, before), hash_node(sibling, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = hash_node(after, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise IntegrityBroken("consistency proof too short")
    return before, after


def _require_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise IntegrityBroken("a hash of the wrong length", expected=f"{HASH_SIZE} bytes")
