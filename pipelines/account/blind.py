"""A blind audit: an auditor's data meet a model in a sandbox, and only agreed figures come out.

The auditor gets no row and no score, the log gets no row of the auditor's. Learning about single
people by asking often is held back by four things: figures of few people are withheld, rates are
rounded, a version answers a limited number of times, and no two audits may be on nearly the same
people; which ones were the same is told by keyed sketches of the data, kept encrypted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

import pipelines
from pipelines import quiet
from pipelines.account.afterwards import append, now, number_of
from pipelines.account.sandbox import Kind, Sandbox, choose
from pipelines.canonical import canonical_json, sha256_bytes
from pipelines.decisions.records import STAFF
from pipelines.errors import BadRequest, GateRefused, Unavailable, did_you_mean
from pipelines.ledger.bundle import write_bundle
from pipelines.ledger.entry import Body, Draft, read_entry
from pipelines.ledger.log import Ledger
from pipelines.params import AuditParams, DecideParams
from pipelines.ports import Registry
from pipelines.records import Json, ModelVersion, Record
from pipelines.release.approve import named
from pipelines.release.version_files import fetched
from pipelines.typed import plain

BLIND: Final = "blind-audit"
ANSWERS: Final = ("bias", "error", "calibration")
WORKER: Final = "pipelines.account.blind_worker"
SECONDS: Final = 3600
PAGE: Final = 2048
KEY: Final = "blind audit"


class Report(Record, frozen=True):
    """What an auditor gets: of which model, by which rules, and the figures; no row, no name.

    `model_sha256` is the model's digest as the log knows it. `network` says whether the sandbox
    could reach one.
    """

    version: str
    model_sha256: str
    asked: tuple[str, ...]
    min_group_size: int
    digits: int
    audit: int
    of: int
    sandbox: str
    network: bool
    people: int
    refused: int
    figures: dict[str, Json]
    at: str


class Kept(Record, frozen=True):
    """What the log keeps of a blind audit, encrypted: report, auditor, and the data's sketch."""

    report: Report
    person: str
    set: str
    sketch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What an auditor asks of which version, on which file."""

    source: Path
    version: str
    ask: tuple[str, ...]
    person: str
    sandbox: Kind | None = None


def asked(text: str) -> tuple[str, ...]:
    """Return what a list with commas asks for. Raises BadRequest with the closest word."""
    found = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    for each in found:
        if each not in ANSWERS:
            hint = did_you_mean(each, ANSWERS)
            raise BadRequest(
                "no such figure", observed=each, expected=", ".join(ANSWERS), hint=hint
            )
    if not found:
        raise BadRequest("nothing is asked for", where="--ask", expected=", ".join(ANSWERS))
    return found


def run(
    ledger: Ledger,
    registry: Registry,
    settings: DecideParams,
    rules: AuditParams,
    wish: Wish,
    folder: Path,
) -> Report:
    """Answer a blind audit, record it, and write report and proof into a new folder.

    The same people again get the report they got. Raises GateRefused when the version answered
    often enough or the people are too much those of another audit, BadRequest, Unavailable.
    """
    person, record = named(wish.person), registry.version(wish.version)
    if folder.exists() and any(folder.iterdir()):
        raise BadRequest("a folder that is not empty", where=str(folder))
    box = _apart(wish)
    before = list(_before(ledger, record.model_sha256))
    found = _answer(ledger, registry, record, settings, rules, wish)
    for number, kept in before:
        if (kept.set, kept.report.asked) == (found["set"], wish.ask):
            return _written(ledger, number, kept.report, folder)
    _may_answer([kept for _, kept in before], found, rules)
    report = Report(
        version=record.version,
        model_sha256=record.model_sha256,
        asked=wish.ask,
        min_group_size=rules.min_group_size,
        digits=rules.digits,
        audit=len(before) + 1,
        of=rules.most_blind,
        sandbox=box.kind,
        network=box.network,
        people=found["people"],
        refused=found["refused"],
        figures=found["figures"],
        at=now().isoformat(timespec="seconds"),
    )
    kept = Kept(report=report, person=person, set=found["set"], sketch=tuple(found["sketch"]))
    return _written(ledger, _record(ledger, kept), report, folder)


def _apart(wish: Wish) -> Sandbox:
    """Return the sandbox. Raises GateRefused where it has a network and nobody asked for such."""
    box = choose(wish.sandbox)
    if box.network and wish.sandbox != box.kind:
        raise GateRefused(
            "this machine has no sandbox without a network",
            expected="bubblewrap, a container engine, or user namespaces",
            hint="apt install bubblewrap, or --sandbox process, which the report then says",
        )
    return box


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of people that two sketches have in common, of the smaller one's.

    Of the smallest digests of both together, those in both; and, for sets of different sizes,
    those of the smaller sketch's range.
    """
    if not first or not second:
        return 0.0
    top = min(max(first), max(second))
    left, right = ({each for each in side if each <= top} for side in (first, second))
    return len(left & right) / max(1, min(len(left), len(right)))


def _may_answer(before: Sequence[Kept], found: Mapping[str, Any], rules: AuditParams) -> None:
    if len(before) >= rules.most_blind:
        raise GateRefused(
            "this version answered as many blind audits as it may",
            observed=len(before),
            expected=f"at most {rules.most_blind}",
            hint="docs/how-to/audit.md",
        )
    most = max((overlap(kept.sketch, found["sketch"]) for kept in before), default=0.0)
    if most > rules.max_overlap:
        raise GateRefused(
            "too many of these people were in another blind audit of this version",
            expected=f"at most {rules.max_overlap:.0%} of them",
            hint="docs/how-to/audit.md",
        )


def _before(ledger: Ledger, model_sha256: str) -> Iterator[tuple[bytes, Kept]]:
    """Yield the blind audits of a model that the log holds."""
    mark = f'"t":"{BLIND}"'.encode()
    for start in range(0, ledger.checkpoint()[0].size, PAGE):
        for row in ledger.store.rows(start, start + PAGE):
            if mark in row.entry and read_entry(row.entry)["m"] == model_sha256:
                yield row.id, msgspec.json.decode(ledger.read(row.id).content, type=Kept)


def _answer(
    ledger: Ledger,
    registry: Registry,
    record: ModelVersion,
    settings: DecideParams,
    rules: AuditParams,
    wish: Wish,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="clew-blind-") as folder:
        files = fetched(registry, record, Path(folder) / "version")
        job = {
            "files": str(files.folder),
            "version": plain(record),
            "settings": plain(settings),
            "source": str(wish.source.resolve()),
            "key": ledger.keys.ref(KEY).hex(),
            "ask": wish.ask,
            "min_group_size": rules.min_group_size,
            "digits": rules.digits,
        }
        told = _sandboxed(wish, msgspec.json.encode(job), [files.folder, wish.source.resolve()])
    if "refused" in told:
        what, expected = told["refused"]
        raise BadRequest(what, expected=expected, hint="docs/how-to/audit.md")
    found: dict[str, Any] = told["answer"]
    return found


def _sandboxed(wish: Wish, job: bytes, files: Sequence[Path]) -> dict[str, Any]:
    """Run the worker apart from everything; what it says on stderr is not read by anybody."""
    package = Path(pipelines.__file__).resolve().parent
    roots = [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), package]
    told = {"PYTHONPATH": str(package.parent), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    command = choose(wish.sandbox).command(
        [sys.executable, "-P", "-s", "-m", WORKER],
        [*roots, *files],
        told | quiet.TELEMETRY_OFF | quiet.ONE_THREAD,
    )
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=job,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=SECONDS,
        )
        answer: dict[str, Any] = msgspec.json.decode(done.stdout)
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError):
        raise Unavailable("the sandbox gave no answer", hint="clew doctor") from None
    return answer


def _record(ledger: Ledger, kept: Kept) -> bytes:
    report = kept.report
    facts: dict[str, str | int] = {
        "m": report.model_sha256,
        "mv": report.version,
        "r": sha256_bytes(file_of(report)),
    }
    body = Body(f"{STAFF}{kept.person}", "operation", msgspec.json.encode(kept, order="sorted"))
    # One audit under each number: of two at once, one has to be asked for again.
    number = number_of(ledger, BLIND, report.model_sha256, str(report.audit))
    return bytes.fromhex(append(ledger, Draft(BLIND, facts, (body,), number)))


def file_of(report: Report) -> bytes:
    """Return the bytes of ``report.json``, whose digest the log's entry holds as ``r``."""
    return canonical_json(plain(report)) + b"\n"


def _written(ledger: Ledger, number: bytes, report: Report, folder: Path) -> Report:
    """Write the report beside its entry and the proof, signed by the log's key."""
    write_bundle(ledger, number, folder, disclose=False)
    (folder / "report.json").write_bytes(file_of(report))
    return report
