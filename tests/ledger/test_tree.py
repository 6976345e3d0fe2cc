"""The tree agrees with RFC 9162's own recursive definition, with vectors and with pymerkle."""

from __future__ import annotations

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger import tree
from tests.ledger import vectors


def entries(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def grown(count: int) -> tree.Growth:
    return tree.grow(0, {}, [tree.hash_leaf(entry) for entry in entries(count)])


def outcome(check: object, *arguments: object) -> bool:
    """Return whether the check refused."""
    try:
        check(*arguments)  # type: ignore[operator]
    except IntegrityBroken:
        return True
    return False


@pytest.mark.parametrize("vector", vectors.inclusion(), ids=lambda v: v["desc"])
def test_inclusion_vectors(vector: vectors.Vector) -> None:
    """Each inclusion vector is accepted or refused as it says."""
    refused = outcome(
        tree.verify_inclusion,
        vector["leafIdx"],
        vector["treeSize"],
        vectors.unb64(vector["leafHash"]),
        [vectors.unb64(line) for line in vector["proof"]],
        vectors.unb64(vector["root"]),
    )

    assert vector["wantErr"] == refused


@pytest.mark.parametrize("vector", vectors.consistency(), ids=lambda v: v["desc"])
def test_consistency_vectors(vector: vectors.Vector) -> None:
    """Each consistency vector is accepted or refused as it says."""
    refused = outcome(
        tree.verify_consistency,
        vector["size1"],
        vector["size2"],
        vectors.unb64(vector["root1"]),
        vectors.unb64(vector["root2"]),
        [vectors.unb64(line) for line in vector["proof"]],
    )

    assert vector["wantErr"] == refused


def test_vectors_are_many() -> None:
    """There are at least as many vectors as in the public set: 98 and 98."""
    assert (True, True) == (len(vectors.inclusion()) >= 98, len(vectors.consistency()) >= 98)


@pytest.mark.parametrize("size", range(70))
def test_root_is_the_recursive_one(size: int) -> None:
    """Growing leaf by leaf gives the root of the recursive definition."""
    assert vectors.mth(entries(size)) == grown(size).root()


@given(first=st.integers(0, 200), second=st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_growth_in_two_steps(first: int, second: int) -> None:
    """Growing in two steps equals growing in one, and proves each new leaf."""
    leaves = [tree.hash_leaf(entry) for entry in entries(first + second)]
    start = tree.grow(0, {}, leaves[:first])
    grown_twice = tree.grow(start.size, start.peaks, leaves[first:])
    root = grown_twice.root()

    assert tree.grow(0, {}, leaves).peaks == grown_twice.peaks
    for index in range(first, first + second):
        proof = grown_twice.inclusion(index)
        tree.verify_inclusion(index, first + second, leaves[index], proof, root)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 33, 64, 65])
def test_proofs_are_the_recursive_ones(size: int) -> None:
    """Inclusion and consistency proofs equal PATH and SUBPROOF of RFC 9162 for every place."""
    whole = grown(size)

    def node(height: int, index: int) -> bytes:
        return whole.nodes[height, index]

    for place in range(size):
        assert vectors.path(place, entries(size)) == tree.inclusion_proof(place, size, node)
    for old in range(1, size):
        expected = vectors.subproof(old, entries(size), True)
        assert expected == tree.consistency_proof(old, size, node)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 33, 100])
def test_pymerkle_agrees(size: int) -> None:
    """A tree by other people has the same root and the same inclusion proofs."""
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries(size):
        other.append(entry)
    whole = grown(size)

    assert other.get_state(size) == whole.root()
    for place in range(size):
        assert other.prove_inclusion(place + 1, size).path[1:] == whole.inclusion(place)


def test_peaks_from_nodes() -> None:
    """The peaks found by look-up are the peaks of growth."""
    whole = grown(77)

    assert whole.peaks == tree.peaks_at(77, lambda height, index: whole.nodes[height, index])


def test_no_proof_outside_the_tree() -> None:
    """A proof for a leaf or a size that does not exist is a bad request."""
    with pytest.raises(BadRequest):
        tree.inclusion_proof(3, 3, grown(3).nodes.get)  # type: ignore[arg-type]
    with pytest.raises(BadRequest):
        tree.consistency_proof(4, 3, grown(3).nodes.get)  # type: ignore[arg-type]
