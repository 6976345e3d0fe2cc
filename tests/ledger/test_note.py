"""Notes, keys and checkpoints are those of the C2SP texts."""

from __future__ import annotations

import pytest

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger.note import Algorithm, Checkpoint, Note, Signer, Verifier, opened

# The example of the signed-note standard.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2"
    "ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
CHECKPOINT = Checkpoint("example.com/log", 42, bytes(range(32)))


def test_the_standards_own_note() -> None:
    """The note printed in the standard verifies under the key printed beside it."""
    verifier = Verifier.parse(VKEY)

    assert {verifier: 0} == Note.parse(NOTE).verified([verifier])
    assert VKEY == verifier.vkey()


@pytest.mark.parametrize("place", range(0, len(NOTE), 7))
def test_no_byte_of_a_note_can_change(place: int) -> None:
    """A note with one letter changed is broken, or no longer signed by the key."""
    letter = "x" if NOTE[place] != "x" else "y"
    changed = NOTE[:place] + letter + NOTE[place + 1 :]
    try:
        signed = Note.parse(changed).verified([Verifier.parse(VKEY)])
    except IntegrityBroken:
        signed = {}

    assert {} == signed


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_keys_round_trip(algorithm: Algorithm) -> None:
    """A key read back from its string signs what the vkey read back verifies."""
    signer = Signer.parse(Signer.generate("example.com/log", algorithm).secret())
    verifier = Verifier.parse(signer.verifier.vkey())
    note = Note.parse(CHECKPOINT.text + "\n" + signer.sign(CHECKPOINT.text, now=7))
    when = 7 if algorithm is Algorithm.COSIGNATURE else 0

    assert {verifier: when} == note.verified([verifier])


def test_a_cosignature_binds_its_time() -> None:
    """A cosignature whose time is changed does not verify."""
    signer = Signer.generate("w", Algorithm.COSIGNATURE)
    name, number, raw = Note.parse("a\n\n" + signer.sign("a\n", now=7)).signatures[0]
    moved = Note("a\n", ((name, number, (8).to_bytes(8) + raw[8:]),))

    with pytest.raises(IntegrityBroken):
        moved.verified([signer.verifier])


def test_nothing_secret_in_repr() -> None:
    """A signer's repr and a refusal's message hold nothing of the key."""
    signer = Signer.generate("example.com/log")
    material = signer.secret().split("+", 4)[4]
    with pytest.raises(BadRequest) as refused:
        Signer.parse(signer.secret()[:-4] + "!!!!")

    assert (False, False) == (material in repr(signer), material[:-8] in str(refused.value))
    assert "private" not in repr(signer)


def test_checkpoint_round_trip() -> None:
    """A signed checkpoint opens under its log's key, and under two keys while one is replaced."""
    old, new = Signer.generate("example.com/log"), Signer.generate("example.com/log")
    note = CHECKPOINT.signed(old, new)

    assert CHECKPOINT == opened(note, old.verifier)
    assert CHECKPOINT == opened(note, new.verifier)


def test_a_checkpoint_needs_its_logs_key() -> None:
    """A valid signature under another name than the origin does not open a checkpoint."""
    other = Signer.generate("example.com/other")

    with pytest.raises(IntegrityBroken):
        opened(CHECKPOINT.signed(other), other.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\nAAAA\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n1\n",
        "o\n1\n" + "A" * 43 + "=\nextension\n",
        "o\n1\n" + "A" * 42 + "B=\n",
        "o\n²\n" + "A" * 43 + "=\n",
    ],
)
def test_broken_checkpoints(text: str) -> None:
    """A root of the wrong length, odd numbers, an empty origin and extra lines are refused."""
    with pytest.raises(IntegrityBroken):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "a\n\n",
        "a\n\n— n\n",
        "a\n\n— n AAAA\n",
        "a\n\nn AAAAAAA=\n",
        "a\t\n\n— n AAAAAAA=\n",
    ],
)
def test_broken_notes(note: str) -> None:
    """What is not a note is refused."""
    with pytest.raises(IntegrityBroken):
        Note.parse(note)


@pytest.mark.parametrize("vkey", ["", "a+b", VKEY[:-2], VKEY.replace("530d", "530e"), "a b" + VKEY])
def test_broken_vkeys(vkey: str) -> None:
    """A vkey that is cut, has another id or a name with a space is a bad request."""
    with pytest.raises(BadRequest):
        Verifier.parse(vkey)
