"""Check an audit bundle offline: standard library, and the verify.py that stands beside it.

    python check.py BUNDLE --policy FILE [--known CHECKPOINT] [--opened FOLDER] [--extract FILE]

FILE is the trust file (C2SP tlog-policy), from a source other than the bundle. Checked are: the
log, every entry of it; each file against the manifest, and the manifest against the entry that the
log holds of this audit; the files of each version, withheld ones too, against the digest it was
registered by; each disclosed record against its entry; that no decision of the period is missing,
but for those that a tombstone counts. A record with fields left out names a salted digest
of each: FOLDER, the receipt of such a record, shows that nothing else was changed or left out.
Exit codes: those of verify.py.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import verify  # type: ignore[import-not-found, unused-ignore]
else:
    from pipelines.ledger import verify

SALT_SIZE = 32
LABEL_SIZE = 2
BESIDE = ("version.json", "approvals.json")  # of a version, and none of its registered files
MODEL = "model.skops"
OWN = ("log", "check.py", "verify.py", "policy", "README.txt", "manifest.json", "__pycache__")


def sha256(data: bytes) -> str:
    """Return a SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(salt: bytes, path: str, value: object) -> str:
    """Return the salted digest that stands for a field that was left out."""
    own = hmac.digest(salt, f"left out\n{path}".encode(), "sha256")
    told = json.dumps([path, value], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(own + told.encode())


def take(content: dict[str, Any], path: str) -> tuple[bool, Any]:
    """Take a field out of nested objects; say whether it was there, and what it was."""
    *above, name = path.split(".")
    for each in above:
        inner = content.get(each)
        if not isinstance(inner, dict):
            return False, None
        content = inner
    return (True, content.pop(name)) if name in content else (False, None)


def unframe(frame: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return a record's salt and its content."""
    start = SALT_SIZE + LABEL_SIZE
    end = start + int.from_bytes(frame[SALT_SIZE:start], "big")
    content = json.loads(frame[end:])
    verify.require(isinstance(content, dict), "a record is no object")
    return frame[:SALT_SIZE], content


def left_out(salt: bytes, content: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """Take fields out of a record's content; return what is disclosed of it, with their digests."""
    shut = {}
    for path in paths:
        there, value = take(content, path)
        if there:
            shut[path] = digest_of(salt, path, value)
    return {"content": content, "shut": shut}


class Bundle:
    """One bundle and the entries of its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = verify.read(folder / "manifest.json")
        self.manifest: dict[str, Any] = json.loads(self.raw)
        self.withheld: dict[str, str] = self.manifest.get("withheld", {})
        self.wanted: dict[int, dict[str, Any]] = {}
        self.tombstones: dict[str, dict[str, Any]] = {}
        self.audited = False
        self.scan()

    def scan(self) -> None:
        """Read every entry once: those of the period, tombstones, and the one of this audit."""
        low, high = self.manifest["from_ms"], self.manifest["to_ms"]
        digest, kinds = sha256(self.raw), set(self.manifest["kinds"])
        for index, entry in enumerate(entries(self.folder / "log")):
            fields = json.loads(entry)
            kind = fields["t"]
            if kind in kinds and low <= fields["ts"] < high:
                self.wanted[index] = fields
            elif kind == "erasure":
                self.tombstones[fields["id"]] = fields
            elif kind == "audit" and fields.get("s") == digest:
                self.audited = True

    def check(self, opened: list[Path], extract: Path | None) -> str:
        """Check everything but the log itself; return what was found."""
        verify.require(self.audited, "the log holds no entry of this manifest")
        self.files()
        self.versions()
        receipts = dict(map(receipt, opened))
        whole, partly, gone = 0, 0, self.erased()
        seen: set[int] = set()
        out = extract.open("w", encoding="utf-8") if extract else None
        for line in lines(self.folder / "records.jsonl"):
            index = line["index"]
            verify.require(index in self.wanted, f"record {index} is not of this period")
            verify.require(index not in seen, f"record {index} stands twice")
            seen.add(index)
            content, complete = self.record(line, receipts)
            whole, partly = whole + complete, partly + (not complete)
            if out:
                told = {"index": index, "kind": self.wanted[index]["t"], "content": content}
                out.write(json.dumps(told, ensure_ascii=False) + "\n")
        if out:
            out.close()
        missing = self.wanted.keys() - seen - gone
        verify.require(not missing, f"{len(missing)} records of the period are missing")
        counted = f"{whole} records whole, {partly} with fields left out, {len(gone)} erased"
        return f"{counted}, {len(self.withheld)} files withheld"

    def record(self, line: dict[str, Any], receipts: dict[str, bytes]) -> tuple[Any, bool]:
        """Check one record; return its content and whether all of it was checked."""
        fields = self.wanted[line["index"]]
        frame = base64.b64decode(line["frame"]) if "frame" in line else receipts.get(fields["id"])
        if frame is None:
            return line["content"], False
        verify.require(sha256(frame) == fields["pc"][0], f"record {line['index']} was changed")
        if "frame" not in line:
            made = left_out(*unframe(frame), list(line["shut"]))
            same = (made["content"], made["shut"]) == (line["content"], line["shut"])
            verify.require(same, f"record {line['index']} is not what its receipt says")
        return unframe(frame)[1], True

    def files(self) -> None:
        """Check every file against the manifest, and that there is no other."""
        told = self.manifest["files"]
        for name, digest in told.items():
            path = self.folder / name
            inside = self.folder.resolve() in path.resolve().parents
            verify.require(inside and sha256(verify.read(path)) == digest, f"{name} was changed")
        here = {p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file()}
        more = {p.as_posix() for p in here if p.parts[0] not in OWN} - told.keys()
        verify.require(not more, f"{len(more)} files are not in the manifest")

    def versions(self) -> None:
        """Check the files of each version, withheld ones too, against their one digest."""
        known = self.manifest["files"] | self.withheld
        for name in self.manifest["versions"]:
            top = f"versions/{name}/"
            record = json.loads(verify.read(self.folder / top / "version.json"))
            own = {p.removeprefix(top): known[p] for p in known if p.startswith(top)}
            made = {MODEL: record["model_sha256"]}
            made |= {path: digest for path, digest in own.items() if path not in BESIDE}
            told = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            same = sha256(told.encode()) == record["files_sha256"]
            verify.require(same, f"the files of version {name} are not those it registered")

    def erased(self) -> set[int]:
        """Return the places of the period that tombstones count."""
        found = set()
        for each in lines(self.folder / "erased.jsonl"):
            index, place, n = each["index"], each["place"], each["n"]
            salt, path = bytes.fromhex(each["salt"]), bytes.fromhex(each["path"])
            stone = self.tombstones.get(each["tombstone"], {})
            good = verify.counted(stone, index, n, place, salt, path)
            verify.require(good, f"no tombstone counts record {index}", verify.UNREADABLE)
            found.add(index)
        return found


def entries(log: Path) -> Iterator[bytes]:
    """Yield the entries of a folder of tiles, in order."""
    size = int(verify.read(log / "checkpoint").split(b"\n")[1])
    for n in range(-(-size // verify.TILE)):
        width = min(verify.TILE, size - n * verify.TILE)
        path = log / verify.tile_path("entries", n, width)
        yield from verify.unpack(verify.read(path), width)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def receipt(folder: Path) -> tuple[str, bytes]:
    """Return the entry's id and the record of a receipt."""
    fields = json.loads(verify.read(folder / "entry.json"))
    return fields["id"], verify.read(folder / "record.bin")


def check(
    folder: Path,
    policy: Path,
    known: list[Path],
    opened: list[Path] | None = None,
    extract: Path | None = None,
) -> tuple[int, str]:
    """Check a bundle; return the exit code and what was found."""
    code, log = verify.verify(folder / "log", policy, known)
    if code != verify.FINE:
        return code, log
    try:
        return verify.FINE, f"{log}; {Bundle(folder).check(opened or [], extract)}"
    except verify.Finding as finding:
        return finding.code, str(finding)
    except OSError as error:
        return verify.CANNOT, f"cannot check: {type(error).__name__}"
    except verify.BROKEN as error:
        return verify.TAMPERED, f"broken beyond reading: {type(error).__name__}"


def main(words: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--policy", type=Path, required=True, help="the log's key, that you trust")
    parser.add_argument("--known", type=Path, action="append", default=[])
    parser.add_argument("--opened", type=Path, action="append", default=[], help="a receipt")
    parser.add_argument("--extract", type=Path, help="write what was disclosed here, as JSON Lines")
    chosen = parser.parse_args(words)
    code, text = check(chosen.bundle, chosen.policy, chosen.known, chosen.opened, chosen.extract)
    print(f"{'fine' if code == verify.FINE else 'NOT FINE'}: {text}")  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
