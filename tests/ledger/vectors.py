"""Makes proof vectors, good and tampered, in the JSON shape of transparency-dev/merkle's testdata.

The tree is computed here by the recursive definition of RFC 9162, section 2.1, and shares no code
with the package under test.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

Vector = dict[str, Any]

LEAVES = [bytes(range(0x10 * i, 0x10 * i + i)) for i in range(8)]
INCLUSION_PROBES = [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5)]
CONSISTENCY_PROBES = [(1, 1), (1, 8), (6, 8), (2, 5), (6, 7)]
NOISE = hashlib.sha256(b"noise").digest()
SHORT = b"too short"


def mth(leaves: list[bytes]) -> bytes:
    """Return the Merkle tree hash of entries by RFC 9162, section 2.1.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = largest_power_below(len(leaves))
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Return PATH(m, D_n) by RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """Return SUBPROOF(m, D_n, b) by RFC 9162, section 2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def flipped(proof: list[bytes], place: int) -> list[bytes]:
    changed = list(proof)
    changed[place] = bytes([changed[place][0] ^ 0x10]) + changed[place][1:]
    return changed


def inclusion() -> list[Vector]:
    """Return inclusion vectors: every probe as it is and tampered, and degenerate ones."""
    vectors = [vector for probe in INCLUSION_PROBES for vector in _inclusion(*probe)]
    for index, size in [(0, 0), (0, 1), (1, 0), (2, 1)]:
        for desc, leaf, root in [
            ("empty root", b"", hashlib.sha256(b"").digest()),
            ("empty root and random leaf", NOISE, hashlib.sha256(b"").digest()),
            ("random leaf", NOISE, b""),
        ]:
            vectors.append(_inclusion_vector(desc, index, size, leaf, root, []))
    return vectors


def _inclusion(index: int, size: int) -> Iterator[Vector]:
    leaf, root = mth(LEAVES[index : index + 1]), mth(LEAVES[:size])
    good = path(index, LEAVES[:size])

    def vector(desc: str, ok: bool = False, **changed: Any) -> Vector:
        parts = {"index": index, "size": size, "leaf": leaf, "root": root, "proof": good, **changed}
        return _inclusion_vector(desc, ok=ok, **parts)

    yield vector("happy path", ok=True)
    yield vector("leafIdx sub 1", index=index - 1)
    yield vector("leafIdx plus 1", index=index + 1)
    yield vector("leafIdx XOR 2", index=index ^ 2)
    yield vector("treeSize mul 2", size=size * 2 if not _same_path(index, size) else size * 4)
    yield vector("treeSize div 2", size=size // 2)
    yield vector("wrong leaf", leaf=SHORT)
    yield vector("empty leaf", leaf=b"")
    yield vector("swapped leaf and noise", leaf=NOISE)
    yield vector("empty root", root=b"")
    yield vector("random root", root=NOISE)
    yield vector("trailing garbage", proof=[*good, b""])
    yield vector("trailing root", proof=[*good, root])
    yield vector("preceding garbage", proof=[b"", *good])
    yield vector("preceding root", proof=[root, *good])
    for place in range(len(good)):
        yield vector(f"modified proof[{place}] bit 4", proof=flipped(good, place))
    if good:
        yield vector("inserted component", proof=[good[0], NOISE, *good[1:]])
        yield vector("removed component", proof=good[1:])


def _same_path(index: int, size: int) -> bool:
    """Say whether doubling the size leaves the path's length as it was: no tampering then."""
    doubled = (LEAVES * 2)[: size * 2]
    return len(path(index, doubled)) == len(path(index, LEAVES[:size]))


def _inclusion_vector(
    desc: str, index: int, size: int, leaf: bytes, root: bytes, proof: list[bytes], ok: bool = False
) -> Vector:
    return {
        "leafIdx": index,
        "treeSize": size,
        "root": b64(root),
        "leafHash": b64(leaf),
        "proof": [b64(each) for each in proof],
        "desc": desc,
        "wantErr": not ok,
    }


def consistency() -> list[Vector]:
    """Return consistency vectors: every probe as it is and tampered, and degenerate ones."""
    vectors = [vector for probe in CONSISTENCY_PROBES for vector in _consistency(*probe)]
    empty, one = mth([]), mth(LEAVES[:1])
    for desc, size1, size2, root1, root2, proof, ok in [
        ("equal zero", 0, 0, empty, empty, [], True),
        ("empty to one", 0, 1, empty, one, [], True),
        ("empty to one, with a proof", 0, 1, empty, one, [one], False),
        ("empty tree with another root", 0, 1, NOISE, one, [], False),
        ("equal zero, roots differ", 0, 0, empty, NOISE, [], False),
        ("equal one, roots differ", 1, 1, one, NOISE, [], False),
        ("equal one, with a proof", 1, 1, one, one, [one], False),
        ("size1 greater than size2", 2, 1, one, one, [], False),
        ("size1 greater than an empty tree", 1, 0, one, empty, [], False),
        ("no proof", 1, 2, one, mth(LEAVES[:2]), [], False),
    ]:
        vectors.append(_consistency_vector(desc, size1, size2, root1, root2, proof, ok))
    return vectors


def _consistency(size1: int, size2: int) -> Iterator[Vector]:
    root1, root2 = mth(LEAVES[:size1]), mth(LEAVES[:size2])
    good = subproof(size1, LEAVES[:size2], True) if size1 < size2 else []

    def vector(desc: str, ok: bool = False, **changed: Any) -> Vector:
        parts = {"size1": size1, "size2": size2, "root1": root1, "root2": root2, "proof": good}
        return _consistency_vector(desc, ok=ok, **{**parts, **changed})

    yield vector("happy path", ok=True)
    yield vector("wrong root1", root1=SHORT)
    yield vector("wrong root2", root2=SHORT)
    yield vector("random root1", root1=NOISE)
    yield vector("trailing garbage", proof=[*good, b""])
    yield vector("trailing root1", proof=[*good, root1])
    yield vector("trailing root2", proof=[*good, root2])
    yield vector("preceding garbage", proof=[b"", *good])
    yield vector("preceding root1", proof=[root1, *good])
    yield vector("preceding root2", proof=[root2, *good])
    yield vector("size2 div 2", size2=size2 // 2)
    if size1 == size2:
        return
    yield vector("size1 sub 1", size1=size1 - 1)
    yield vector("size1 plus 1", size1=size1 + 1)
    yield vector("size1 XOR 2", size1=size1 ^ 2)
    yield vector("swapped roots", root1=root2, root2=root1)
    yield vector("empty proof", proof=[])
    yield vector("truncated proof", proof=good[:-1])
    for place in range(len(good)):
        yield vector(f"modified proof[{place}] bit 4", proof=flipped(good, place))


def _consistency_vector(
    desc: str, size1: int, size2: int, root1: bytes, root2: bytes, proof: list[bytes], ok: bool
) -> Vector:
    return {
        "size1": size1,
        "size2": size2,
        "root1": b64(root1),
        "root2": b64(root2),
        "proof": [b64(each) for each in proof],
        "desc": desc,
        "wantErr": not ok,
    }


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text)
