"""Proof files and policies are those of the C2SP texts."""

from __future__ import annotations

import pytest

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger import tree
from pipelines.ledger.note import Algorithm, Checkpoint, Signer
from pipelines.ledger.proof import Policy, Proof

ENTRIES = [b"%d" % number for number in range(11)]
GROWTH = tree.grow(0, {}, [tree.hash_leaf(entry) for entry in ENTRIES])
LOG = Signer.generate("example.com/log")
WITNESSES = [Signer.generate(f"w{number}", Algorithm.COSIGNATURE) for number in range(4)]
CHECKPOINT = Checkpoint(LOG.name, GROWTH.size, GROWTH.root())


def proof(index: int, *signers: Signer) -> Proof:
    return Proof(index, tuple(GROWTH.inclusion(index)), CHECKPOINT.signed(*signers))


def policy(quorum: str = "quorum none") -> Policy:
    lines = [f"log {LOG.verifier.vkey()}", "  # a comment", ""]
    lines += [f"witness W{n}\t{each.verifier.vkey()} http://w" for n, each in enumerate(WITNESSES)]
    return Policy.parse("\n".join([*lines, quorum]))


@pytest.mark.parametrize("index", range(len(ENTRIES)))
def test_a_proof_file_proves_its_entry(index: int) -> None:
    """A proof read back from its file verifies its entry and no other."""
    read = Proof.parse(proof(index, LOG).text())

    assert CHECKPOINT == read.verify(ENTRIES[index], policy())
    with pytest.raises(IntegrityBroken):
        read.verify(ENTRIES[index - 1], policy())


def test_extra_data_is_ignored() -> None:
    """A proof file with an extra line reads as the one without."""
    text = proof(3, LOG).text()
    head, rest = text.split("\n", 1)

    assert Proof.parse(text) == Proof.parse(f"{head}\nextra AAAA\n{rest}")


@pytest.mark.parametrize("place", range(0, 600, 5))
def test_no_byte_of_a_proof_can_change(place: int) -> None:
    """A proof file with one letter changed proves nothing."""
    text = proof(5, LOG).text()
    place %= len(text) - 1
    letter = "A" if text[place] != "A" else "B"
    with pytest.raises(IntegrityBroken):
        Proof.parse(text[:place] + letter + text[place + 1 :]).verify(ENTRIES[5], policy())


QUORUM = "group X 2 W0 W1 W2\ngroup both all X W3\nquorum both"


@pytest.mark.parametrize(
    ("signers", "enough"),
    [([], False), ([0, 1], False), ([0, 3], False), ([0, 2, 3], True), ([0, 1, 2, 3], True)],
)
def test_quorum(signers: list[int], enough: bool) -> None:
    """A quorum of two in three and one more counts each witness once."""
    signed = proof(5, LOG, *(WITNESSES[n] for n in signers), *(WITNESSES[n] for n in signers))
    try:
        signed.verify(ENTRIES[5], policy(QUORUM))
        accepted = True
    except IntegrityBroken:
        accepted = False

    assert enough == accepted


def test_a_stranger_is_no_witness() -> None:
    """A cosignature by a key of the same name that the policy does not list counts nothing."""
    stranger = Signer.generate(WITNESSES[3].name, Algorithm.COSIGNATURE)
    with pytest.raises(IntegrityBroken):
        proof(5, LOG, stranger).verify(ENTRIES[5], policy("quorum W3"))


def test_a_receipt_from_another_log() -> None:
    """A good proof from a log that the policy does not list is refused."""
    other = Signer.generate("example.com/other")
    note = Checkpoint(other.name, GROWTH.size, GROWTH.root()).signed(other)
    with pytest.raises(IntegrityBroken):
        Proof(5, tuple(GROWTH.inclusion(5)), note).verify(ENTRIES[5], policy())


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "quorum none\nquorum none",
        "quorum W9",
        "group g any W0 W9\nquorum g",
        "group g 3 W0 W1\nquorum g",
        "group g 0 W0 W1\nquorum g",
        "group g any\nquorum none",
        "group g any W0 W0\nquorum g",
        "group g any W0\ngroup h any W0\nquorum g",
        "group W1 any W0\nquorum none",
        "group none any W0\nquorum none",
        f"witness again {WITNESSES[0].verifier.vkey()}\nquorum none",
        f"log {LOG.verifier.vkey()}\nquorum none",
        "trust everybody\nquorum none",
    ],
    ids=len,
)
def test_policies_that_cannot_be_followed(lines: str) -> None:
    """A policy with no, two or unknown quorums, or ill-formed groups, is refused."""
    with pytest.raises(BadRequest):
        policy(lines)
