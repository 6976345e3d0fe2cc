"""Signed notes and checkpoints: C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0, cosignature/v1.

Every text here is what other people's tools read and write, byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger.tree import HASH_SIZE

DASH: Final = "— "
BLANK: Final = "\n\n"
KEY_ID_SIZE: Final = 4
KEY_SIZE: Final = 32
TIME_SIZE: Final = 8
LINES_OF_A_CHECKPOINT: Final = 3
MOST_SIGNATURES: Final = 100
MOST_DIGITS: Final = 20
FIRST_PRINTABLE: Final = 0x20
PRIVATE_PREFIX: Final = "PRIVATE+KEY+"


class Algorithm(IntEnum):
    """The signature types of signed-note that Clew makes and checks."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True)
class Verifier:
    """A public key with its name: the trust root written as a vkey string.

    A key that was replaced holds for checkpoints of a log up to the size `until`.
    """

    name: str
    public: bytes
    algorithm: Algorithm = Algorithm.ED25519
    until: int | None = field(default=None, compare=False)

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Say whether this key may sign a checkpoint, by name and size."""
        fits = self.until is None or checkpoint.size <= self.until
        return self.name == checkpoint.origin and fits

    @cached_property
    def key_id(self) -> bytes:
        """The four bytes that stand before each signature by this key."""
        return key_id(self.name, self.algorithm, self.public)

    def vkey(self) -> str:
        """Return ``name+hex key id+base64(type || key)``."""
        return "+".join(
            [self.name, self.key_id.hex(), encode(bytes([self.algorithm]) + self.public)]
        )

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read a vkey string. Raises BadRequest."""
        try:
            name, hex_id, material = vkey.split("+", 2)
            raw = base64.b64decode(material, validate=True)
            verifier = cls(_key_name(name), raw[1:], Algorithm(raw[0]))
        except (ValueError, IndexError) as error:
            raise BadRequest("not a vkey", expected="name+key id+key") from error
        if len(verifier.public) != KEY_SIZE or hex_id != verifier.key_id.hex():
            raise BadRequest("a vkey whose key does not match its id", where=name)
        return verifier

    def verify(self, text: str, signature: bytes) -> int:
        """Check one signature over a note's text; return its time (0 where it has none).

        Raises IntegrityBroken.
        """
        message, raw, when = text.encode(), signature, 0
        if self.algorithm is Algorithm.COSIGNATURE:
            when, raw = int.from_bytes(signature[:TIME_SIZE]), signature[TIME_SIZE:]
            message = cosigned_message(text, when)
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(raw, message)
        except InvalidSignature as error:
            raise IntegrityBroken("a signature does not match", where=self.name) from error
        return when


@dataclass(frozen=True)
class Signer:
    """A private key with its name. The key is in no repr, message or log."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)
    algorithm: Algorithm = Algorithm.ED25519

    @classmethod
    def generate(cls, name: str, algorithm: Algorithm = Algorithm.ED25519) -> Signer:
        """Make a new key under a name."""
        return cls(_key_name(name), Ed25519PrivateKey.generate(), algorithm)

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read a private key string. Raises BadRequest, without the text."""
        try:
            name, hex_id, material = text.strip().removeprefix(PRIVATE_PREFIX).split("+", 2)
            raw = base64.b64decode(material, validate=True)
            signer = cls(
                _key_name(name), Ed25519PrivateKey.from_private_bytes(raw[1:]), Algorithm(raw[0])
            )
        except (ValueError, IndexError):
            raise BadRequest("not a signing key") from None
        if hex_id != signer.verifier.key_id.hex():
            raise BadRequest("a signing key that does not match its id", where=name)
        return signer

    @cached_property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self.private.public_key().public_bytes_raw(), self.algorithm)

    def secret(self) -> str:
        """Return the private key string, ``PRIVATE+KEY+name+id+key``: for the key file only."""
        material = bytes([self.algorithm]) + self.private.private_bytes_raw()
        return PRIVATE_PREFIX + "+".join([self.name, self.verifier.key_id.hex(), encode(material)])

    def sign(self, text: str, now: int | None = None) -> str:
        """Return the signature line for a note's text, newline included."""
        if self.algorithm is Algorithm.COSIGNATURE:
            when = int(time.time()) if now is None else now
            raw = when.to_bytes(TIME_SIZE) + self.private.sign(cosigned_message(text, when))
        else:
            raw = self.private.sign(text.encode())
        return f"{DASH}{self.name} {encode(self.verifier.key_id + raw)}\n"


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """Return SHA-256(name || newline || type || key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[
        :KEY_ID_SIZE
    ]


def cosigned_message(text: str, when: int) -> bytes:
    """Return what a cosignature/v1 signs: header, time (POSIX seconds) and the checkpoint."""
    return f"cosignature/v1\ntime {when}\n{text}".encode()


def _key_name(name: str) -> str:
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise BadRequest("not a key name", expected="text without spaces and plus signs")
    return name


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note: its text and its signatures as (name, key id, signature), unchecked."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Split a note into text and signatures. Raises IntegrityBroken."""
        head, separator, tail = note.rpartition(BLANK)
        lines = tail.removesuffix("\n").split("\n")
        if not separator or not tail.endswith("\n") or len(lines) > MOST_SIGNATURES:
            raise IntegrityBroken("not a signed note")
        if any(ord(letter) < FIRST_PRINTABLE and letter != "\n" for letter in note):
            raise IntegrityBroken("control characters in a signed note")
        return cls(head + "\n", tuple(_signature(line) for line in lines))

    def verified(self, known: Sequence[Verifier]) -> dict[Verifier, int]:
        """Return the known keys that signed, with the time of each signature.

        Signatures by unknown keys are ignored; one by a known key that does not match raises
        IntegrityBroken.
        """
        by_id = {(verifier.name, verifier.key_id): verifier for verifier in known}
        found: dict[Verifier, int] = {}
        for name, number, signature in self.signatures:
            verifier = by_id.get((name, number))
            if verifier is not None:
                found[verifier] = verifier.verify(self.text, signature)
        return found


def _signature(line: str) -> tuple[str, bytes, bytes]:
    words = line.removeprefix(DASH).split(" ")
    if not line.startswith(DASH) or len(words) != 2:  # noqa: PLR2004 - a name and a signature
        raise IntegrityBroken("not a signature line")
    raw = decode(words[1])
    if len(raw) <= KEY_ID_SIZE or not words[0]:
        raise IntegrityBroken("not a signature line")
    return words[0], raw[:KEY_ID_SIZE], raw[KEY_ID_SIZE:]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: whose, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode(self.root)}\n"

    def signed(self, *signers: Signer) -> str:
        """Return the checkpoint as a note signed by each of `signers`."""
        text = self.text
        return text + "\n" + "".join([signer.sign(text) for signer in signers])

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint note. Raises IntegrityBroken."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) != LINES_OF_A_CHECKPOINT or not lines[0]:
            raise IntegrityBroken("not a checkpoint", expected="three lines")
        root = decode(lines[2])
        if len(root) != HASH_SIZE:
            raise IntegrityBroken("a root of the wrong length", expected=f"{HASH_SIZE} bytes")
        return cls(lines[0], decimal(lines[1]), root)


def opened(note: str, *log_keys: Verifier) -> Checkpoint:
    """Return the checkpoint of a note signed by one of the log's keys. Raises IntegrityBroken."""
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    keys = [key for key in log_keys if key.holds(checkpoint)]
    if not parsed.verified(keys):
        raise IntegrityBroken("a checkpoint not signed by its log", where=checkpoint.origin)
    return checkpoint


def encode(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """Read standard base64, in its one canonical spelling. Raises IntegrityBroken."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityBroken("not base64") from error
    if encode(data) != text:
        raise IntegrityBroken("base64 in an uncanonical spelling")
    return data


def decimal(text: str) -> int:
    """Read a decimal number below 10^20 without leading zeros. Raises IntegrityBroken."""
    digits = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    if not digits or text != str(int(text)):
        raise IntegrityBroken("not a decimal number")
    return int(text)
