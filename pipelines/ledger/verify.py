"""Verify a decision's bundle, or a whole log, offline: one file, standard library and cryptography.

    python verify.py BUNDLE --policy FILE
    python verify.py LOG --policy FILE [--known CHECKPOINT]... [--keys KEYSTORE]

BUNDLE is a folder with entry.json, proof.tlog-proof and, where disclosed, record.bin. LOG is an
SQLite file or a folder of C2SP tiles. FILE is a C2SP tlog-policy: the log keys and witnesses that
you trust, from a source other than the bundle. A known checkpoint is one that you, or a witness,
kept: the log must continue it, which shows a log that was rolled back or written anew.

It shares no code with the program that wrote the log. Exit codes: 0 fine, 1 tampered, 2 entries
after the last checkpoint, 3 erased and a tombstone says so, 4 unreadable without a tombstone,
5 cannot verify.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sqlite3
import sys
from binascii import hexlify
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FINE, TAMPERED, UNSEALED, ERASED, UNREADABLE, CANNOT = range(6)
TILE, LARGEST, LOG, WITNESS, FREE_PLACES, SHAPES = 256, 1 << 30, 1, 4, 4, 8
KEY_ID, NONCE = 16, 12
Head = tuple[str, int, bytes]
Place = tuple[int, int]
Part = tuple[int, int, bytes]
Row = tuple[int, bytes, bytes, bytes]
Shape = tuple[int, bytes, slice, slice]
FREE = re.compile(
    rb'(?<="ct":\[")[0-9a-f]{64}(?="\])|(?<="id":")[0-9a-f]{32}(?=")'
    rb'|(?<="pc":\[")[0-9a-f]{64}(?="\])|(?<="ts":[1-9])[0-9]+'
)
BROKEN = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError)


class Finding(Exception):
    """The end of a verification: an exit code and what was found."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def require(fact: bool, text: str, code: int = TAMPERED) -> None:
    """End the verification unless `fact` holds."""
    if not fact:
        raise Finding(code, text)


def read(path: Path) -> bytes:
    """Return the bytes of a plain file: a pipe or a device might have no end."""
    plain = path.is_file() and path.stat().st_size <= LARGEST
    require(plain or not path.exists(), f"{path.name} is no file that can be read", CANNOT)
    return path.read_bytes()


# Hashes and proofs: RFC 9162, section 2.1.


def sha256(data: bytes) -> bytes:
    """Return a SHA-256."""
    return hashlib.sha256(data).digest()


def fold_row(row: list[bytes]) -> list[bytes]:
    """Return the next row of a tree over an even number of hashes."""
    hashed, each = hashlib.sha256, iter(row)
    return [hashed(b"\1" + left + right).digest() for left, right in zip(each, each, strict=True)]


def root_by_path(index: int, size: int, leaf: bytes, path: Iterable[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (2.1.3.2)."""
    place, last, seen = index, size - 1, leaf
    require(0 <= index < size, "the proof's index is outside the tree")
    for sibling in path:
        require(last > 0 and len(sibling) == len(seen), "the inclusion proof has a wrong length")
        if place & 1 or place == last:
            seen = sha256(b"\1" + sibling + seen)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            seen = sha256(b"\1" + seen + sibling)
        place, last = place >> 1, last >> 1
    require(last == 0, "the inclusion proof is too short")
    return seen


class Tree:
    """A tree that grows by leaf hashes; it keeps roots at some sizes and digests of whole tiles.

    A tile's digest is its root and the SHA-256 of its hashes, so that a log of any size fits.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        self.wanted = set(sizes)
        self.levels: list[list[bytes]] = [[]]
        self.size = 0
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.roots = {0: sha256(b"")}

    def extend(self, leaves: list[bytes]) -> None:
        """Add leaf hashes, stopping at tile edges and at the sizes whose roots are wanted."""
        at = 0
        while at < len(leaves):
            edge = self.size + TILE - len(self.levels[0])
            stop = min([edge, *(size for size in self.wanted if size > self.size)])
            row = leaves[at : at + stop - self.size]
            self.levels[0] += row
            self.size += len(row)
            at += len(row)
            if self.size == edge:
                self._finish(0)
            if self.size in self.wanted:
                self.roots[self.size] = self.root()

    def _finish(self, level: int) -> None:
        row = self.levels[level]
        digest = sha256(b"".join(row))
        while len(row) > 1:
            row = fold_row(row)
        self.tiles[level, (self.size >> 8 * (level + 1)) - 1] = row[0] + digest
        self.levels[level] = []
        if level + 1 == len(self.levels):
            self.levels.append([])
        self.levels[level + 1].append(row[0])
        if len(self.levels[level + 1]) == TILE:
            self._finish(level + 1)

    def root(self) -> bytes:
        right = None
        for row in self.levels:
            todo = list(row)
            for _ in range(8):
                if len(todo) & 1:
                    last = todo.pop()
                    right = last if right is None else sha256(b"\1" + last + right)
                todo = fold_row(todo)
        return sha256(b"") if right is None else right


# Notes, keys, policy: C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy.


class Key:
    """A trusted public key, from its vkey string."""

    def __init__(self, vkey: str, kind: int) -> None:
        self.name, number, material = vkey.split("+", 2)
        raw = base64.b64decode(material, validate=True)
        self.kind, self.public = raw[0], raw[1:]
        self.id = sha256(self.name.encode() + b"\n" + raw)[:4]
        self.label = f"{self.name}+{number}"
        require(self.id.hex() == number and self.kind == kind, "a broken vkey", CANNOT)

    def check(self, text: str, signature: bytes) -> None:
        message = text.encode()
        if self.kind == WITNESS:  # cosignature/v1
            when, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = f"cosignature/v1\ntime {when}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise Finding(TAMPERED, f"the signature of {self.name} does not match") from None


class Policy:
    """The verifier's trust: log keys, witnesses, groups, quorum."""

    def __init__(self, text: str) -> None:
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum: list[str] = []
        self.until: dict[str, int] = {}
        for line in text.split("\n"):
            words = [word for word in line.replace("\t", " ").split(" ") if word]
            if words and words[0] == "#until":
                self.until[words[1]] = int(words[2])
            elif words and not words[0].startswith("#"):
                self._line(words)
        require(len(self.quorum) == 1, "the policy needs one quorum", CANNOT)

    def _line(self, words: list[str]) -> None:
        kind, name = words[0], words[1]
        if kind == "log":
            self.logs.append(Key(name, LOG))
        elif kind == "witness":
            self.witnesses[name] = Key(words[2], WITNESS)
        elif kind == "group":
            count = {"any": 1, "all": len(words) - 3}.get(words[2]) or int(words[2])
            known = {*self.witnesses, *self.groups}
            fits = 1 <= count <= len(words) - 3 and known.issuperset(words[3:])
            require(fits, "the policy has a broken group", CANNOT)
            self.groups[name] = (count, words[3:])
        else:
            known = {"none", *self.witnesses, *self.groups}
            require(kind == "quorum" and name in known, "the policy has a broken line", CANNOT)
            self.quorum.append(name)

    def open(self, note: str, *, witnessed: bool = True) -> Head:
        """Return origin, size and root of a checkpoint that this policy accepts."""
        text, _, tail = note.rpartition("\n\n")
        lines, text = text.split("\n"), text + "\n"
        require(len(lines) == 3 and tail.endswith("\n"), "not a checkpoint")  # noqa: PLR2004
        keys = [key for key in self.logs if key.name == lines[0]]
        require(bool(keys), f"the policy does not know the log {lines[0]!r}", CANNOT)
        signed = self._signed(text, tail, [*keys, *self.witnesses.values()])
        require(lines[1].isdecimal() and str(int(lines[1])) == lines[1], "a broken size")
        size = int(lines[1])
        keys = [key for key in keys if key in signed]
        require(bool(keys), "no trusted key of the log signed it")
        good = any(size <= self.until.get(key.label, size) for key in keys)
        require(good, f"size {size} was signed by a key that had ended")
        if witnessed:
            names = {name for name, key in self.witnesses.items() if key in signed}
            require(self._enough(self.quorum[0], names), "too few witnesses signed it", CANNOT)
        return lines[0], size, unbase64(lines[2])

    def witnessed(self, note: str) -> bool:
        """Say whether enough witnesses signed a checkpoint that this policy accepts."""
        try:
            return bool(self.open(note))
        except Finding as finding:
            if finding.code != CANNOT:
                raise
        return False

    def _signed(self, text: str, tail: str, keys: list[Key]) -> set[Key]:
        signed = set()
        for line in tail.removesuffix("\n").split("\n"):
            dash, name, signature = [*line.split(" "), "", ""][:3]
            raw = base64.b64decode(signature, validate=True)
            require(dash == "—" and len(raw) > 4, "not a signature line")  # noqa: PLR2004
            for key in keys:
                if (key.name, key.id) == (name, raw[:4]):
                    key.check(text, raw[4:])
                    signed.add(key)
        return signed

    def _enough(self, name: str, signed: set[str]) -> bool:
        if name == "none" or name in signed:
            return True
        least, members = self.groups.get(name, (1, []))
        return sum(self._enough(each, signed) for each in members) >= least


def unbase64(text: str) -> bytes:
    """Read a base64 SHA-256."""
    data = base64.b64decode(text, validate=True)
    canonical = base64.b64encode(data).decode() == text
    require(len(data) == hashlib.sha256().digest_size and canonical, "not a hash")
    return data


def prove(entry: bytes, proof: str, policy: Policy) -> tuple[int, Head]:
    """Check a C2SP tlog-proof of an entry; return its place and the checkpoint."""
    head, _, note = proof.partition("\n\n")
    lines = [line for line in head.split("\n") if not line.startswith("extra ")]
    good = lines[0] == "c2sp.org/tlog-proof@v1" and lines[1:2] and lines[1].startswith("index ")
    require(bool(good), "not a tlog-proof")
    origin, size, root = policy.open(note)
    index = lines[1].removeprefix("index ")
    require(index.isdecimal() and str(int(index)) == index, "a broken index")
    path = [unbase64(line) for line in lines[2:]]
    seen = root_by_path(int(index), size, sha256(b"\0" + entry), path)
    require(seen == root, "the entry is not the one that the log holds at this place")
    return int(index), (origin, size, root)


def check_bundle(folder: Path, policy: Policy) -> str:
    """Verify one bundle; return what was found."""
    entry = read(folder / "entry.json")
    index, head = prove(entry, read(folder / "proof.tlog-proof").decode(), policy)
    fields = read_entry(entry)
    parts = {f"record.{n}.bin" if n else "record.bin": each for n, each in enumerate(fields["pc"])}
    records = list(folder.glob("record*"))
    for record in records:
        good = sha256(read(record)).hex() == parts.get(record.name)
        require(good, f"{record.name} was changed, or is no part of the entry")
    place = f"entry {index} of {head[0]}, in a log of {head[1]}"
    if (folder / "erased.json").exists():
        check_erasure(folder, index, head[0], policy)
        raise Finding(ERASED, f"{place}: erased, and a tombstone says so")
    return f"{place}: intact, {len(records)} of {len(parts)} parts disclosed"


def check_erasure(folder: Path, index: int, origin: str, policy: Policy) -> None:
    """Check that a tombstone in the same log counts this entry's erased parts."""
    tombstone = read(folder / "tombstone.json")
    _, head = prove(tombstone, read(folder / "tombstone.tlog-proof").decode(), policy)
    fields, parts = read_entry(tombstone), json.loads(read(folder / "erased.json"))
    require(head[0] == origin, "the tombstone is in another log", UNREADABLE)
    require(bool(parts), "the bundle names no erased part", UNREADABLE)
    for part in parts:
        salt, path = bytes.fromhex(part["salt"]), bytes.fromhex(part["path"])
        good = counted(fields, index, part["n"], part["place"], salt, path)
        require(good, "the tombstone does not count this record", UNREADABLE)


def counted(fields: dict[str, Any], seq: int, n: int, place: int, salt: bytes, path: bytes) -> bool:
    """Say whether a tombstone counts part `n` of entry `seq`."""
    if fields.get("t") != "erasure" or len(path) % 32 or min(seq, n) < 0:
        return False
    leaf = sha256(b"\0" + seq.to_bytes(8, "big") + n.to_bytes(2, "big") + salt)
    hashes = [path[i : i + 32] for i in range(0, len(path), 32)]
    try:
        return bool(root_by_path(place, fields["k"], leaf, hashes).hex() == fields["r"])
    except Finding:
        return False


def check_known(policy: Policy, known: Iterable[str], size: int) -> dict[str, Head]:
    """Open checkpoints kept elsewhere; none may be ahead of the log."""
    heads = {note: policy.open(note, witnessed=False) for note in known}
    for _, other, _ in heads.values():
        require(other <= size, f"the log was rolled back: {size}, and {other} was seen before")
    return heads


def check_roots(tree: Tree, head: Head, others: Iterable[Head], held: int) -> None:
    """Compare the roots at the checkpoints with the tree over the log's own entries."""
    require(held >= head[1], f"entries are missing: {held} of {head[1]}")
    for origin, size, root in [head, *others]:
        require(origin == head[0], "a checkpoint of another log")
        require(tree.roots[size] == root, f"the log is not the one signed at size {size}")


def check_tiles(folder: Path, policy: Policy, known: list[str]) -> str:
    """Verify a folder of tiles and entry bundles; return what was found."""
    head = policy.open(read(folder / "checkpoint").decode())
    others = list(check_known(policy, known, head[1]).values())
    tree = Tree({head[1], *(size for _, size, _ in others)})
    for n in range(-(-head[1] // TILE)):
        width = min(TILE, head[1] - n * TILE)
        entries = unpack(read(folder / tile_path("entries", n, width)), width)
        tree.extend([sha256(b"\0" + entry) for entry in entries])
    check_roots(tree, head, others, tree.size)
    for level, row in enumerate(tree.levels):
        whole = {n: digest for (at, n), digest in tree.tiles.items() if at == level}
        for n, digest in whole.items():
            hashes = read(folder / tile_path(level, n, TILE))
            require(sha256(hashes) == digest[32:], f"tile {n} at level {level} was changed")
        if row:
            hashes = read(folder / tile_path(level, len(whole), len(row)))
            require(hashes == b"".join(row), f"the last tile at level {level} was changed")
    return f"log {head[0]}: {head[1]} entries, intact"


def unpack(bundle: bytes, width: int) -> list[bytes]:
    """Split an entry bundle."""
    entries, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        entries.append(bundle[at + 2 : end])
        at = end
    require(len(entries) == width and at == len(bundle), "a broken entry bundle")
    return entries


def tile_path(level: int | str, n: int, width: int) -> str:
    """Return a tile's path: three digits an element, all but the last after an x."""
    digits = f"{n:03d}".zfill(-(-len(str(n)) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join(["x" + part for part in parts[:-1]] + parts[-1:])
    return f"tile/{level}/{path}" + ("" if width == TILE else f".p/{width}")


def read_only(path: Path) -> sqlite3.Connection:
    """Open one moment of an SQLite file that must exist, and that may be written meanwhile."""
    db = sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None)
    db.execute("BEGIN")
    return db


def parts_before(stop: int, count: int, rows: Iterator[Any], ahead: list[Part]) -> list[list[Part]]:
    """Return the parts of entries before `stop`, place and digest each, and those read ahead."""
    hashed, parts, left = hashlib.sha256, ahead, True
    while left and (not parts or parts[-1][0] < stop):
        more = [  # a part is let go before the next is read; one of another form is none
            (seq, n, hexlify(hashed(key_id + nonce + ct).digest()))
            for seq, n, key_id, nonce, ct in islice(rows, count)
            if len(key_id) == KEY_ID and len(nonce) == NONCE
        ]
        parts, left = parts + more, bool(more)
    at = bisect_left(parts, (stop,))
    return [parts[:at], parts[at:]]


def read_entry(entry: bytes) -> dict[str, Any]:
    """Return an entry's fields. It must be written in its one form, so it has one reading."""
    fields: dict[str, Any] = json.loads(entry)
    form: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    written = json.dumps(fields, sort_keys=True, **form)
    require(written.encode() == entry, "an entry that is not in its one form")
    return fields


def shape_of(entry: bytes) -> list[Shape]:
    """Return what an entry that is JSON shares with those that differ in four places alone."""
    # In the bytes of one object without escapes, what looks like a name with its value is one.
    places = [slice(*found.span()) for found in FREE.finditer(entry)]
    if b"\\" in entry or entry.count(b"{") > 1 or len(places) != FREE_PLACES:
        return []
    return [(len(entry), FREE.sub(b"%b", entry.replace(b"%", b"%%")), places[2], places[3])]


def unlike(shape: Shape, rows: list[Row]) -> list[Row]:
    """Return the rows whose entry is not of this shape with the row's own id and digest."""
    size, text, pc, ts = shape
    return [
        row
        for row in rows
        for _, entry, number, digest in [row]
        if len(entry) != size
        or entry != text % (digest, number, entry[pc], entry[ts])
        or not (entry[pc].isalnum() and entry[ts].isdigit())
    ]


def check_entries(columns: Sequence[Any], parts: list[Part], known: list[Shape]) -> set[Place]:
    """Check places, entries and ids with their parts; return the places of missing parts."""
    seqs, entries, ids = columns
    at, ns, digests = zip(*parts, strict=True) if parts else ((), (), ())
    in_step = at == seqs and ns == (0,) * len(ns)
    if not in_step:
        places = [(seqs[0], -1), *zip(at, ns, strict=True)]
        require(places == sorted(set(places)), f"parts of no entry near {seqs[0]}")
        alone = {seq: digest for seq, n, digest in parts if n == 0}
        digests = tuple([alone.get(seq, b"") for seq in seqs])
    rows = list(zip(seqs, entries, map(hexlify, ids), digests, strict=True))
    for shape in known:
        rows = unlike(shape, rows)
    return set() if in_step and not rows else read_entries(rows, parts, known)


def read_entries(rows: list[Row], parts: list[Part], known: list[Shape]) -> set[Place]:
    """Check by its JSON each entry that has the shape of none known or read before it."""
    held, read, missing = {part[:2]: part[2] for part in parts}, set(), set()
    while rows:
        (seq, entry, number, _), *rows = rows
        fields = read_entry(entry)
        require(fields["id"] == number.decode(), f"entry {seq} stands under another id")
        for n, digest in enumerate(fields["ct"]):
            found = held.pop((seq, n), None)
            require(found in (None, digest.encode()), f"part {n} of entry {seq} was changed")
            missing |= {(seq, n)} if found is None else set()
        read.add(seq)
        for shape in shape_of(entry):
            rows, known[:] = unlike(shape, rows), [shape, *known[: SHAPES - 1]]
    stray = [place for place in held if place[1] or place[0] in read]
    require(not stray, f"parts of no entry: {stray[:3]}")
    return missing


class Database:
    """A log in an SQLite file."""

    def __init__(self, path: Path) -> None:
        self.db = read_only(path)

    def check(self, policy: Policy, known: list[str], keys: Path | None) -> str:
        """Verify everything in it; return what was found."""
        notes = list(self.db.execute("SELECT size, note FROM checkpoint ORDER BY size"))
        require(len(notes) == 1, f"{len(notes)} checkpoints instead of one")
        head = policy.open(notes[0][1], witnessed=False)
        cosigned = list(self.db.execute("SELECT size, note FROM cosigned ORDER BY size"))
        heads = check_known(policy, [*known, *(note for _, note in cosigned)], head[1])
        sizes = [(size, heads[note][1]) for size, note in cosigned] + [(notes[0][0], head[1])]
        require(all(size == signed for size, signed in sizes), "a checkpoint's size was changed")
        wanted = {head[1], *(size for _, size, _ in heads.values())}
        try:
            # As they were written: in the order of their entries, and twice as quick to read.
            tree, held, missing = self.grow(wanted, head[1], "rowid")
        except Finding:
            tree, held, missing = self.grow(wanted, head[1], "seq, n")
        check_roots(tree, head, heads.values(), held)
        twice = "SELECT 1 FROM entry NOT INDEXED GROUP BY id HAVING count(*) > 1"
        require(self.db.execute(twice).fetchone() is None, "two entries have one id")
        require(self.tiles() == tree.tiles, "tiles are not those of the entries")
        erased = self.check_erased()
        if keys is not None:
            missing |= self.without_key(keys)
        lost = missing - erased
        require(not lost, f"{len(lost)} records unreadable without a tombstone", UNREADABLE)
        require(held == head[1], f"{held - head[1]} entries after the checkpoint", UNSEALED)
        shown = f"log {head[0]}: {held} entries, intact; {len(erased)} parts erased by tombstone"
        if policy.quorum == ["none"]:
            return shown
        seen = [heads[note][1] for _, note in cosigned if policy.witnessed(note)]
        seen += [head[1]] if policy.witnessed(notes[0][1]) else []
        require(bool(seen), "too few witnesses signed any checkpoint of it", CANNOT)
        return f"{shown}; witnessed up to {max(seen)}"

    def grow(self, wanted: Iterable[int], size: int, order: str) -> tuple[Tree, int, set[Place]]:
        """Return the tree of the entries before `size`, how many are held, and missing parts."""
        tree, held, missing, hashed = Tree(wanted), 0, set(), hashlib.sha256
        shapes, ahead = list[Shape](), list[Part]()
        parts = self.db.execute(f"SELECT seq, n, key_id, nonce, ct FROM part ORDER BY {order}")  # noqa: S608
        cursor = self.db.execute("SELECT seq, id, entry, leaf FROM entry ORDER BY seq")
        while rows := cursor.fetchmany(TILE):
            seqs, ids, entries, leaves = zip(*rows, strict=True)
            stop = held + len(rows)
            require(seqs == tuple(range(held, stop)), f"an entry is missing near {held}")
            made = tuple([hashed(b"\0" + entry).digest() for entry in entries])
            require(made == leaves, f"an entry or its leaf hash was changed near {held}")
            near, ahead = parts_before(stop, len(rows), parts, ahead)
            missing |= check_entries((seqs, entries, ids), near, shapes)
            tree.extend(list(leaves[: max(0, size - held)]))
            held = stop
        require(not (ahead or parts.fetchone()), "a part of no entry")
        return tree, held, {place for place in missing if place[0] < size}

    def tiles(self) -> dict[tuple[int, int], bytes]:
        """Return the stored tiles in the form that `Tree` keeps them in."""
        rows = self.db.execute("SELECT level, n, root, hashes FROM tile")
        return {(level, n): root + sha256(hashes) for level, n, root, hashes in rows}

    def check_erased(self) -> set[Place]:
        """Check the openings of erased parts; return the places that tombstones count."""
        done = set()
        erased = "SELECT seq, n, tombstone, place, salt, path FROM erased"
        for seq, n, number, *opening in self.db.execute(erased):
            rows = list(self.db.execute("SELECT entry FROM entry WHERE id = ?", (number,)))
            good = len(rows) == 1 and counted(read_entry(rows[0][0]), seq, n, *opening)
            require(good, f"no tombstone counts part {n} of entry {seq}", UNREADABLE)
            done.add((seq, n))
        return done

    def without_key(self, keys: Path) -> set[Place]:
        """Return the parts whose data key is not in the key store."""
        held = {row[0] for row in read_only(keys).execute("SELECT key_id FROM dek")}
        parts = self.db.execute("SELECT seq, n, key_id FROM part")
        return {(seq, n) for seq, n, key_id in parts if key_id not in held}


def verify(
    what: Path, policy_file: Path, known: Iterable[Path] = (), keys: Path | None = None
) -> tuple[int, str]:
    """Verify a bundle or a log; return the exit code and what was found."""
    try:
        policy = read_policy(policy_file)
        return FINE, check(what, policy, [read(path).decode() for path in known], keys)
    except Finding as finding:
        return finding.code, str(finding)
    except (OSError, sqlite3.Error) as error:
        return CANNOT, f"cannot verify: {type(error).__name__}: {error}"
    except BROKEN as error:
        return TAMPERED, f"broken beyond reading: {type(error).__name__}"


def read_policy(path: Path) -> Policy:
    """Read the trust file; one that cannot be followed never counts as tampering."""
    try:
        return Policy(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError) as error:
        raise Finding(CANNOT, f"the policy cannot be read: {type(error).__name__}") from error


def check(what: Path, policy: Policy, known: list[str], keys: Path | None) -> str:
    """Verify what stands at a path, by its kind."""
    if (what / "entry.json").exists():
        return check_bundle(what, policy)
    if (what / "checkpoint").exists():
        return check_tiles(what, policy, known)
    return Database(what).check(policy, known, keys)


def main(words: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("what", type=Path, help="a bundle folder, an SQLite file or a tile folder")
    parser.add_argument("--policy", type=Path, required=True, help="a C2SP tlog-policy")
    parser.add_argument("--known", type=Path, action="append", default=[], help="a checkpoint kept")
    parser.add_argument("--keys", type=Path, help="the key store: finds parts without a key")
    try:
        chosen = parser.parse_args(words)
    except SystemExit as end:
        sys.exit(CANNOT if end.code else FINE)
    code, text = verify(chosen.what, chosen.policy, chosen.known, chosen.keys)
    names = ["fine", "TAMPERED", "UNSEALED TAIL", "erased", "UNREADABLE", "CANNOT VERIFY"]
    print(f"{names[code]}: {text}")
    return code


if __name__ == "__main__":
    sys.exit(main())
