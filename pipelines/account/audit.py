"""The audit bundle: all that a third party needs to check a period offline, in one folder.

The log goes in whole, for only so can it be shown that no decision is missing; its entries name no
person. Records of the period are disclosed, some of their fields left out where that is asked for.
Before the log is written out the audit itself is recorded in it, with the digest of everything
else in the bundle.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from pipelines.account import audit_check, audit_reports, withheld
from pipelines.account.afterwards import CONTEST, OVERRIDE, REDECISION
from pipelines.account.audit_reports import Reports
from pipelines.account.left_out import Left
from pipelines.canonical import canonical_json, sha256_bytes, sha256_file
from pipelines.decisions.record import DECISION
from pipelines.decisions.records import STAFF
from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.layout import Layout
from pipelines.ledger import verify
from pipelines.ledger.bundle import write_tiles
from pipelines.ledger.entry import Body, Draft, bound_to, checked_frame, read_entry
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import Row
from pipelines.ports import Registry
from pipelines.release.approve import named, reasoned
from pipelines.release.policy import pack_path
from pipelines.release.version_files import fetched
from pipelines.typed import plain

AUDIT: Final = "audit"
KINDS: Final = (DECISION, CONTEST, OVERRIDE, REDECISION)
PAGE: Final = 2048
MODEL: Final = "model.skops"
README: Final = """\
Check this folder with any Python that has the package cryptography:

    python check.py . --policy YOUR-TRUST-FILE

YOUR-TRUST-FILE holds the key of the log; the one here, policy, is a copy for comparing: get it on
another way than this folder. check.py and verify.py say at their top what they check.

records.jsonl   decisions, contests, reviews, redecisions; erased.jsonl what tombstones count
versions/       each version that decided: facts, environment, lock, verdict, pack, approvals
reports/        each version's reports: start with reports/VERSION/checks/index.html
watch/          what the watch found in windows that have part of the period
log/            the whole log: its entries name no person
manifest.json   the digest of every file; unreported names versions without reports

Where columns were left out, left_out in the manifest names them, and withheld those files of
versions/, reports/ and watch/ that show one, with the SHA-256 of each: ask for one, and compare.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an audit is about: from when on, before when, which fields are left out, for whom.

    `stamps` is the folder of the log's timestamps, `watched` that of the watch's reports, `reports`
    gives those of a version's run; they go in as well.
    """

    start: dt.datetime
    end: dt.datetime
    left: Left
    person: str
    reason: str
    with_model: bool = False
    stamps: Path | None = None
    watched: Path | None = None
    reports: Reports | None = None

    @property
    def span(self) -> tuple[int, int]:
        """Both ends in milliseconds since 1970."""
        low, high = (int(each.timestamp() * 1000) for each in (self.start, self.end))
        return low, high


@dataclass(slots=True)
class Written:
    """What a bundle holds; `unreported` are versions whose run left no reports here.

    `withheld` are files that show a column that is left out, by path, with their digest.
    """

    records: int = 0
    erased: int = 0
    versions: tuple[str, ...] = ()
    unreported: tuple[str, ...] = ()
    windows: int = 0
    withheld: dict[str, str] = field(default_factory=dict)
    entry: str = ""


def run(
    ledger: Ledger, registry: Registry, layout: Layout, trusted: Path, asked: Asked, folder: Path
) -> Written:
    """Write the bundle of a period into a new folder. Raises BadRequest, IntegrityBroken.

    That it was written, by whom and why, is recorded first, and everything in it with that.
    """
    _fresh(asked, folder)
    written = _records(ledger, asked, folder)
    packs = _versions(registry, asked, folder, written)
    for name in packs:
        source = pack_path(layout, name)
        if source.is_file():
            shutil.copyfile(source, folder / f"policy-{name}.yaml")
    if asked.watched is not None:
        ends = (asked.start, asked.end)
        written.windows = audit_reports.of_windows(asked.watched, *ends, folder / "watch")
    written.withheld = withheld.withhold(folder, asked.left)
    if asked.stamps is not None and asked.stamps.is_dir():
        shutil.copytree(asked.stamps, folder / asked.stamps.name)
    manifest = canonical_json(_manifest(ledger, asked, folder, written)) + b"\n"
    (folder / "manifest.json").write_bytes(manifest)
    written.entry = _recorded(ledger, asked, written, sha256_bytes(manifest))
    checkpoint, note = ledger.checkpoint()
    write_tiles(ledger.store, note, checkpoint.size, folder / "log")
    shutil.copyfile(verify.__file__, folder / "verify.py")
    shutil.copyfile(audit_check.__file__, folder / "check.py")
    shutil.copyfile(trusted, folder / "policy")
    (folder / "README.txt").write_text(README)
    return written


def _fresh(asked: Asked, folder: Path) -> None:
    named(asked.person)
    reasoned(asked.reason)
    if asked.start >= asked.end:
        raise BadRequest("a period that ends before it starts", where="--from, --to")
    if asked.with_model:
        withheld.refuse_model(asked.left)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise BadRequest("a folder that is not empty", where=str(folder))


def _records(ledger: Ledger, asked: Asked, folder: Path) -> Written:
    """Write the period's records and the openings of those that were erased."""
    found, versions = Written(), set[str]()
    with (folder / "records.jsonl").open("wb") as out, (folder / "erased.jsonl").open("wb") as gone:
        for rows in _pages(ledger, asked):
            versions |= {str(fields["mv"]) for _, fields in rows if "mv" in fields}
            frames = dict(_frames(ledger, rows))
            lost = [row.seq for row, _ in rows if row.seq not in frames]
            for line in _openings(ledger, lost):
                gone.write(line)
            out.writelines(_line(index, frame, asked.left) for index, frame in frames.items())
            found.records, found.erased = found.records + len(frames), found.erased + len(lost)
    found.versions = tuple(sorted(versions))
    return found


def _pages(ledger: Ledger, asked: Asked) -> Iterator[list[tuple[Row, dict[str, Any]]]]:
    """Yield the entries of the period, page by page of the log."""
    low, high = asked.span
    for at in range(0, ledger.checkpoint()[0].size, PAGE):
        read = ((row, read_entry(row.entry)) for row in ledger.store.rows(at, at + PAGE))
        rows = [(row, e) for row, e in read if e["t"] in KINDS and low <= e["ts"] < high]
        if rows:
            yield rows


def _frames(
    ledger: Ledger, rows: Sequence[tuple[Row, dict[str, Any]]]
) -> Iterator[tuple[int, bytes]]:
    """Yield place and decrypted frame of each record that is still there, checked."""
    by_place = {row.seq: (row, fields) for row, fields in rows}
    stored = ledger.store.parts(rows[0][0].seq, rows[-1][0].seq + 1)
    parts = [(seq, part) for seq, n, part in stored if not n and seq in by_place]
    ciphers = ledger.keys.ciphers(list({part.key_id for _, part in parts}))
    for seq, part in parts:
        if cipher := ciphers.get(part.key_id):
            row, fields = by_place[seq]
            bound = bound_to(ledger.origin, row.id, 0)
            yield seq, checked_frame(fields["ct"], fields["pc"], 0, part, cipher, bound)


def _openings(ledger: Ledger, lost: Iterable[int]) -> Iterator[bytes]:
    """Yield what shows that a tombstone counts each record that cannot be read any more."""
    for seq in lost:
        counted = [each for each in ledger.store.erased(seq, seq + 1) if each.n == 0]
        if not counted:
            raise IntegrityBroken(
                "a record is unreadable and no tombstone says so", where=f"entry {seq}"
            )
        found = counted[0]
        told = {
            "index": seq,
            "n": 0,
            "tombstone": found.tombstone.hex(),
            "place": found.place,
            "salt": found.salt.hex(),
            "path": found.path.hex(),
        }
        yield json.dumps(told).encode() + b"\n"


def _line(index: int, frame: bytes, left: Left) -> bytes:
    if not left.fields:
        return b'{"frame":"%b","index":%d}\n' % (base64.b64encode(frame), index)
    salt, content = audit_check.unframe(frame)
    told = audit_check.left_out(salt, content, left.paths(content))
    return msgspec.json.encode({"index": index, **told}) + b"\n"


def _versions(registry: Registry, asked: Asked, folder: Path, written: Written) -> tuple[str, ...]:
    """Write the facts of each version that decided: how it was made, judged, approved, promoted.

    The model itself goes in when asked for; its digest is in the facts. Returns the packs.
    """
    packs, unreported = set(), []
    for name in written.versions:
        record, into = registry.version(name), folder / "versions" / name
        into.parent.mkdir(exist_ok=True)
        files = fetched(registry, record, into)
        packs.add(str(json.loads(files.policy.read_bytes())["name"]))
        if not asked.with_model:
            files.model.unlink()
        record.write(into / "version.json")
        told = folder / "reports" / name
        if asked.reports is None or not audit_reports.of_version(asked.reports, record, told):
            unreported.append(name)
        _write(into / "approvals.json", [plain(each) for each in registry.approvals(name)])
    written.unreported = tuple(unreported)
    _write(folder / "promotions.json", [plain(each) for each in registry.promotions()])
    return tuple(sorted(packs))


def _manifest(ledger: Ledger, asked: Asked, folder: Path, written: Written) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    low, high = asked.span
    return {
        "log": ledger.origin,
        "from": asked.start.isoformat(),
        "to": asked.end.isoformat(),
        "from_ms": low,
        "to_ms": high,
        "kinds": list(KINDS),
        "left_out": list(asked.left.fields),
        "records": written.records,
        "erased": written.erased,
        "versions": list(written.versions),
        "unreported": list(written.unreported),
        "windows": written.windows,
        "withheld": written.withheld,
        "files": {path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
    }


def _recorded(ledger: Ledger, asked: Asked, written: Written, manifest: str) -> str:
    told = {
        "person": asked.person,
        "reason": asked.reason,
        "left_out": list(asked.left.fields),
        "erased": written.erased,
    }
    low, high = asked.span
    facts: dict[str, str | int] = {"s": manifest, "from": low, "to": high, "n": written.records}
    body = Body(f"{STAFF}{asked.person}", "operation", msgspec.json.encode(told))
    return ledger.record(Draft(AUDIT, facts, (body,))).id.hex()


def _write(path: Path, value: object) -> None:
    path.write_bytes(canonical_json(value) + b"\n")
