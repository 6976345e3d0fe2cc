"""Offline proofs that an entry is in a log: C2SP tlog-proof v1, and the trust file, tlog-policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.ledger.note import Checkpoint, Note, Verifier, decimal, decode, encode, opened
from pipelines.ledger.tree import hash_leaf, verify_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"
NONE: Final = "none"
MOST_HASHES: Final = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf stands at `index` of the log whose signed checkpoint is `note`."""

    index: int
    hashes: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """Return the ``.tlog-proof`` file."""
        hashes = "".join(encode(each) + "\n" for each in self.hashes)
        return f"{HEADER}\nindex {self.index}\n{hashes}\n{self.note}"

    @classmethod
    def parse(cls, text: str) -> Proof:
        """Read a ``.tlog-proof`` file; its extra data is ignored. Raises IntegrityBroken."""
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines[0] != HEADER:
            raise IntegrityBroken("not a tlog-proof", expected=HEADER)
        body = lines[2:] if lines[1:2] and lines[1].startswith("extra ") else lines[1:]
        if not body or not body[0].startswith("index ") or len(body) > MOST_HASHES + 1:
            raise IntegrityBroken("not a tlog-proof", expected="an index line")
        hashes = tuple(decode(line) for line in body[1:])
        return cls(decimal(body[0].removeprefix("index ")), hashes, note)

    def verify(self, entry: bytes, policy: Policy) -> Checkpoint:
        """Check entry, path, log signature and witnesses. Raises IntegrityBroken."""
        checkpoint = policy.opened(self.note)
        verify_inclusion(
            self.index, checkpoint.size, hash_leaf(entry), self.hashes, checkpoint.root
        )
        return checkpoint


@dataclass(frozen=True, slots=True)
class Group:
    """Members of which at least `least` must have witnessed."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier trusts: logs, witnesses by name, groups of them, and the quorum."""

    logs: tuple[Verifier, ...]
    witnesses: Mapping[str, Verifier]
    groups: Mapping[str, Group]
    quorum: str

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read a policy file. Raises BadRequest with the line's number."""
        reader = _Reader()
        for number, line in enumerate(text.split("\n"), start=1):
            words = [word for word in line.replace("\t", " ").split(" ") if word]
            if words and not words[0].startswith("#"):
                reader.read(words, f"line {number}")
        return reader.policy()

    def opened(self, note: str) -> Checkpoint:
        """Return the checkpoint of a note that this policy accepts. Raises IntegrityBroken."""
        checkpoint = opened(note, *self.logs)
        signed = Note.parse(note).verified(list(self.witnesses.values()))
        names = {name for name, key in self.witnesses.items() if key in signed}
        if not self._witnessed(self.quorum, names):
            raise IntegrityBroken(
                "too few witnesses", observed=len(names), expected=f"the quorum '{self.quorum}'"
            )
        return checkpoint

    def _witnessed(self, name: str, signed: set[str]) -> bool:
        if name == NONE or name in signed:
            return True
        group = self.groups.get(name)
        if group is None:
            return False
        return sum(self._witnessed(each, signed) for each in group.members) >= group.least


class _Reader:
    """Collects the lines of a policy file and refuses what does not fit."""

    def __init__(self) -> None:
        self.logs: list[Verifier] = []
        self.witnesses: dict[str, Verifier] = {}
        self.groups: dict[str, Group] = {}
        self.used: set[str] = set()
        self.quorum = ""

    def read(self, words: Sequence[str], where: str) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(self._fresh_key(vkey, self.logs, where))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                known = list(self.witnesses.values())
                self.witnesses[self._fresh_name(name, where)] = self._fresh_key(vkey, known, where)
            case ["group", name, least, *members] if members:
                self._group(self._fresh_name(name, where), least, members, where)
            case ["quorum", name] if not self.quorum and (name == NONE or self._defined(name)):
                self.quorum = name
            case _:
                raise BadRequest("a policy line that cannot be followed", where=where)

    def policy(self) -> Policy:
        if not self.quorum:
            raise BadRequest("a policy without a quorum", hint="add a line: quorum none")
        return Policy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _defined(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def _fresh_name(self, name: str, where: str) -> str:
        if name == NONE or self._defined(name):
            raise BadRequest("a name taken already", where=where)
        return name

    def _fresh_key(self, vkey: str, known: Sequence[Verifier], where: str) -> Verifier:
        key = Verifier.parse(vkey)
        if any(key.public == other.public for other in known):
            raise BadRequest("a key named twice", where=where)
        return key

    def _group(self, name: str, least: str, members: list[str], where: str) -> None:
        known = {"any": 1, "all": len(members)}
        needed = known.get(least) or (int(least) if least.isascii() and least.isdecimal() else 0)
        fresh = len(set(members)) == len(members) and not self.used & set(members)
        if not fresh or not 1 <= needed <= len(members) or not all(map(self._defined, members)):
            raise BadRequest("a group that cannot be formed", where=where)
        self.used |= set(members)
        self.groups[name] = Group(needed, tuple(members))
