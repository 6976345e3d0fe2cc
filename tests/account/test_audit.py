"""The audit bundle: checked by a fresh Python, complete, silent about what is left out."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from pipelines.account import audit, audit_check, contest
from pipelines.account.left_out import Left, left
from pipelines.decisions import rights
from pipelines.decisions.record import as_number
from pipelines.errors import BadRequest, IntegrityBroken, NotThere
from pipelines.layout import Layout
from pipelines.ledger import stamps, verify
from pipelines.ledger.bundle import write_bundle
from pipelines.ledger.proof import Policy
from pipelines.ledger.timestamp import read_authority
from pipelines.records import ModelVersion
from tests.account.worlds import PACK, World, world
from tests.conftest import ROOT
from tests.ledger.authority import Authority
from tests.model.small import CONTRACT

ALWAYS = (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
TOWN = "town-marked-4417"


def bundle(
    made: World,
    folder: Path,
    fields: tuple[str, ...] = (),
    span: tuple[dt.datetime, dt.datetime] = ALWAYS,
) -> audit.Written:
    asked = audit.Asked(*span, left(fields, CONTRACT), "Ada", "a yearly audit")
    return audit.run(
        made.ledger, made.bench.registry, Layout(ROOT), made.bench.place.policy, asked, folder
    )


def check(made: World, folder: Path, **more: list[Path]) -> tuple[int, str]:
    return audit_check.check(folder, made.bench.place.policy, [], **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, list[bytes]]]:
    """Give a world with three decisions, one contested and reviewed, one erased."""
    made = world(tmp_path_factory.mktemp("audit"))
    numbers = [made.decide(f"person-{n}", town=TOWN) for n in range(3)]
    contest.contest(made.ledger, numbers[0], "statement-marked", "Ada", PACK)
    contest.override(made.ledger, numbers[0], "approve", "Grace", "because")
    planned = rights.plan(made.ledger, "person-2", PACK, dt.date(2100, 1, 1))
    rights.erase(made.ledger, "person-2", planned, PACK, "Ada", "asked for")
    yield made, numbers
    made.bench.place.close()


def test_a_bundle_is_fine_and_complete(full: tuple[World, list[bytes]], tmp_path: Path) -> None:
    """Decisions, contest and review are disclosed whole, the erased one is counted."""
    made, _ = full
    written = bundle(made, tmp_path / "b")
    assert (4, 1, ("1",)) == (written.records, written.erased, written.versions)
    code, text = check(made, tmp_path / "b")
    assert (verify.FINE, True) == (
        code,
        "4 records whole, 0 with fields left out, 1 erased" in text,
    )
    assert verify.FINE == verify.verify(tmp_path / "b" / "log", made.bench.place.policy)[0]


def test_timestamps_go_in_and_hold_for_the_log_in_the_bundle(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """A stamped checkpoint is one of the bundle's own log; a changed stamp is found."""
    made, _ = full
    authority, kept, out = Authority(tmp_path / "tsa"), tmp_path / "timestamps", tmp_path / "b"
    certificate = read_authority(authority.certificate)
    with authority.serving() as (url, _):
        stamps.keep(kept, stamps.ask(url, stamps.newest(made.ledger), certificate))
    asked = audit.Asked(*ALWAYS, left((), CONTRACT), "Ada", "a yearly audit", stamps=kept)
    trusted = made.bench.place.policy
    audit.run(made.ledger, made.bench.registry, Layout(ROOT), trusted, asked, out)
    (stamp,) = stamps.kept(out / "timestamps")
    note = out / "timestamps" / f"{stamp.size}.checkpoint"
    assert stamp.size == stamps.check(stamp, Policy.parse(trusted.read_text()), certificate)[0]
    assert verify.FINE == audit_check.check(out, trusted, [note])[0]
    note.with_suffix(".tsr").write_bytes(stamp.answer + b"!")
    assert verify.TAMPERED == check(made, out)[0]


def test_a_fresh_python_checks_it(full: tuple[World, list[bytes]], tmp_path: Path) -> None:
    """Without Clew on its path, with cryptography alone."""
    made, _ = full
    bundle(made, tmp_path / "b")
    venv.create(tmp_path / "python", symlinks=True)
    import _cffi_backend
    import cryptography

    site = next((tmp_path / "python").glob("lib/python*/site-packages"))
    (site / "cryptography").symlink_to(Path(cryptography.__file__).parent)
    backend = Path(_cffi_backend.__file__)
    (site / backend.name).symlink_to(backend)
    done = subprocess.run(
        [
            tmp_path / "python" / "bin" / "python",
            "-I",
            tmp_path / "b" / "check.py",
            tmp_path / "b",
            "--policy",
            made.bench.place.policy,
            "--extract",
            tmp_path / "out",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("fine: ")
    told = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert ["decision", "decision", "contest", "override"] == [each["kind"] for each in told]
    assert TOWN == told[0]["content"]["decided"]["values"]["town"]


def test_what_is_left_out_is_not_there_and_stays_committed(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """The value stands nowhere in the bundle; the receipt of the record opens it."""
    made, numbers = full
    folder = tmp_path / "b"
    bundle(made, folder, ("town", "subject", "statement"))
    texts = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    for marked in (TOWN, "person-0", "statement-marked"):
        for form in (marked.encode(), base64.b64encode(marked.encode())[:-2]):
            assert form not in texts
    code, text = check(made, folder)
    assert (verify.FINE, True) == (code, "0 records whole, 4 with fields left out" in text)
    receipt = write_bundle(made.ledger, numbers[0], tmp_path / "receipt")
    code, text = check(made, folder, opened=[receipt])
    assert (verify.FINE, True) == (code, "1 records whole, 3 with" in text)


def test_the_request_goes_with_any_value(full: tuple[World, list[bytes]], tmp_path: Path) -> None:
    """It holds all values, and its digest lets a missing one be guessed; so do the reasons."""
    made, numbers = full
    bundle(made, tmp_path / "b", ("income",))
    line = next(audit_check.lines(tmp_path / "b" / "records.jsonl"))
    content, shut = line["content"], set(line["shut"])
    assert {"request", "request_sha256", "decided.values.income"} <= shut
    assert not {"request", "request_sha256"} & content.keys()
    recorded = made.recorder.read(numbers[0]).made.decided
    named = "income" in {each.column for each in recorded.reasons}
    assert named == ("decided.reasons" in shut)
    assert TOWN == content["decided"]["values"]["town"]


def test_a_reason_that_names_a_column_goes_with_it() -> None:
    """A contribution of a linear model tells the value."""
    decided = {
        "values": {"income": 5.0, "town": "x"},
        "subject": "s",
        "reasons": [{"column": "income"}],
    }
    content = {"decided": decided, "request": "r", "request_sha256": "d"}
    assert "decided.reasons" in left(("income",), CONTRACT).paths(content)
    assert "decided.reasons" not in left(("town",), CONTRACT).paths(content)
    again = left(("income",), CONTRACT).paths({"made": content, "person": "p"})
    assert "made.decided.values.income" in again


@pytest.mark.parametrize("field", ["job", "subject", "decided.subject", "decided.values"])
def test_the_request_of_a_refused_application_goes_too(field: str) -> None:
    """Nothing of it was read, and all of it stands in the request; so do columns nobody reads."""
    decided: dict[str, object] = {"values": None, "subject": "s", "reasons": [], "problems": []}
    content = {"decided": decided, "request": "r", "request_sha256": "d"}
    assert {"request", "request_sha256"} <= set(left((field,), CONTRACT).paths(content))


def test_a_problem_that_names_a_column_goes_with_it() -> None:
    """That a value is outside what is documented tells of the value."""
    told = [{"column": "income", "rule": "outside-range"}, {"field": "job", "rule": "unseen"}]
    decided: dict[str, object] = {"values": {}, "subject": "s", "reasons": [], "problems": told}
    found = {name: left((name,), CONTRACT).paths({"decided": decided}) for name in ("job", "town")}
    assert ["decided.problems" in each for each in found.values()] == [True, False]


def test_leaving_out_all_values_leaves_out_what_they_are_in(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """The values as a whole are every column: requests, reasons and figures by column go too."""
    made, _ = full
    bundle(made, tmp_path / "b", ("decided.values",))
    assert not [p for p in (tmp_path / "b").rglob("*") if TOWN.encode() in p_bytes(p)]
    line = next(audit_check.lines(tmp_path / "b" / "records.jsonl"))
    assert {"decided.values", "request"} <= set(line["shut"])
    assert verify.FINE == check(made, tmp_path / "b")[0]


def test_an_unknown_field_is_refused(full: tuple[World, list[bytes]], tmp_path: Path) -> None:
    """A typing mistake would disclose what was to be left out."""
    made, _ = full
    with pytest.raises(BadRequest, match="no such field"):
        bundle(made, tmp_path / "b", ("incme",))
    assert not (tmp_path / "b").exists()


def test_only_the_period_is_disclosed(full: tuple[World, list[bytes]], tmp_path: Path) -> None:
    """Nothing before its start, nothing from its end on; a period of no length is refused."""
    made, numbers = full
    at = made.recorder.read(numbers[1]).made.at
    start = dt.datetime.fromisoformat(at)
    end = start + dt.timedelta(milliseconds=1)
    written = bundle(made, tmp_path / "b", (), (start, end))
    found = [each["index"] for each in audit_check.lines(tmp_path / "b" / "records.jsonl")]
    assert made.ledger.find(numbers[1]) in found
    assert written.records == len(found)
    assert verify.FINE == check(made, tmp_path / "b")[0]
    with pytest.raises(BadRequest):
        bundle(made, tmp_path / "c", (), (end, start))


def test_the_audit_is_recorded_with_the_digest_of_what_was_handed_out(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """The entry commits to the manifest, and names nobody in the open."""
    made, _ = full
    written = bundle(made, tmp_path / "b")
    entry = made.ledger.row(made.ledger.find(as_number(written.entry))).entry
    fields = json.loads(entry)
    digest = audit_check.sha256((tmp_path / "b" / "manifest.json").read_bytes())
    assert ("audit", digest, 4) == (fields["t"], fields["s"], fields["n"])
    assert b"Ada" not in entry


def test_the_model_goes_in_only_when_asked_for(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """Facts, verdict, policy and approvals always; the model file not by itself."""
    made, _ = full
    bundle(made, tmp_path / "b")
    names = {path.name for path in (tmp_path / "b" / "versions" / "1").iterdir()}
    assert {"candidate.json", "verdict.json", "policy.json", "approvals.json"} <= names
    assert "model.skops" not in names


def p_bytes(path: Path) -> bytes:
    """Return what is in a file; nothing for a folder."""
    return path.read_bytes() if path.is_file() else b""


def lines_of(path: Path) -> list[dict[str, object]]:
    return list(audit_check.lines(path))


def write_lines(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def drop_a_record(folder: Path) -> None:
    path = folder / "records.jsonl"
    write_lines(path, lines_of(path)[1:])


def swap_two_records(folder: Path) -> None:
    path = folder / "records.jsonl"
    first, second, *others = lines_of(path)
    first["frame"], second["frame"] = second["frame"], first["frame"]
    write_lines(path, [first, second, *others])


def forget_the_erased(folder: Path) -> None:
    (folder / "erased.jsonl").write_bytes(b"")


def claim_it_was_erased(folder: Path) -> None:
    path = folder / "erased.jsonl"
    (opening,) = lines_of(path)
    first, *others = lines_of(folder / "records.jsonl")
    write_lines(path, [opening, opening | {"index": first["index"]}])
    write_lines(folder / "records.jsonl", others)


def narrow_the_period(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(msgspec.json.encode(json.loads(path.read_bytes()) | {"to_ms": 1}))


def add_a_file(folder: Path) -> None:
    (folder / "versions" / "more.json").write_text("{}")


def change_a_verdict(folder: Path) -> None:
    (folder / "versions" / "1" / "verdict.json").write_text("{}")


def mend(folder: Path) -> None:
    """Write the digests of changed files into the manifest, as a forger would."""
    path = folder / "manifest.json"
    told = json.loads(path.read_bytes())
    told["files"] = {
        name: audit_check.sha256((folder / name).read_bytes()) for name in told["files"]
    }
    path.write_bytes(msgspec.json.encode(told))


@pytest.mark.parametrize("mended", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        drop_a_record,
        swap_two_records,
        forget_the_erased,
        claim_it_was_erased,
        narrow_the_period,
        add_a_file,
        change_a_verdict,
    ],
    ids=lambda change: change.__name__,
)
def test_a_changed_bundle_is_not_fine(
    full: tuple[World, list[bytes]], tmp_path: Path, change: Callable[[Path], None], mended: bool
) -> None:
    """Whatever is taken out, exchanged or added, whether or not the manifest is mended after it."""
    made, _ = full
    bundle(made, tmp_path / "b")
    change(tmp_path / "b")
    if mended:
        mend(tmp_path / "b")
    assert verify.FINE != check(made, tmp_path / "b")[0]


def test_a_bundle_made_to_break_its_reader_is_answered(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """What nests without end is tampering, and what has no end cannot be checked: no traceback."""
    made, _ = full
    bundle(made, tmp_path / "b")
    manifest = tmp_path / "b" / "manifest.json"
    manifest.write_bytes(b"[" * 100_000)
    assert verify.TAMPERED == check(made, tmp_path / "b")[0]
    manifest.unlink()
    manifest.symlink_to("/dev/zero")
    assert verify.CANNOT == check(made, tmp_path / "b")[0]


def recorded_anew(made: World, folder: Path) -> None:
    """Record a forged manifest as another audit and export the log anew: an operator's last try."""
    from pipelines.ledger.bundle import write_tiles
    from pipelines.ledger.entry import Draft

    mend(folder)
    digest = audit_check.sha256((folder / "manifest.json").read_bytes())
    made.ledger.record(Draft("audit", {"s": digest}))
    shutil.rmtree(folder / "log")
    checkpoint, note = made.ledger.checkpoint()
    write_tiles(made.ledger.store, note, checkpoint.size, folder / "log")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (drop_a_record, "1 records of the period are missing"),
        (swap_two_records, "was changed"),
        (forget_the_erased, "1 records of the period are missing"),
        (claim_it_was_erased, "no tombstone counts"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_operator_cannot_forge_one_either(
    full: tuple[World, list[bytes]], tmp_path: Path, change: Callable[[Path], None], found: str
) -> None:
    """With the manifest mended and recorded anew, the entries still contradict it."""
    made, _ = full
    bundle(made, tmp_path / "b")
    change(tmp_path / "b")
    recorded_anew(made, tmp_path / "b")
    code, text = check(made, tmp_path / "b")
    assert verify.FINE != code
    assert found in text


def test_a_lie_about_an_open_field_is_found_when_it_is_opened(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """A record with fields left out that says something else is caught by its receipt."""
    made, numbers = full
    folder = tmp_path / "b"
    bundle(made, folder, ("town",))
    first, *others = lines_of(folder / "records.jsonl")
    first["content"]["decided"]["outcome"] = "approve"  # type: ignore[index]
    write_lines(folder / "records.jsonl", [first, *others])
    recorded_anew(made, folder)
    assert verify.FINE == check(made, folder)[0]
    receipt = write_bundle(made.ledger, numbers[0], tmp_path / "receipt")
    code, text = check(made, folder, opened=[receipt])
    assert (verify.TAMPERED, True) == (code, "not what its receipt says" in text)


def test_a_lost_key_without_a_tombstone_stops_the_bundle(tmp_path: Path) -> None:
    """What cannot be read and was not erased is never passed over."""
    made = world(tmp_path / "w")
    made.decide("person-0")
    made.ledger.keys.destroy([each.key_id for each in made.ledger.keys.of_subject("person-0")])
    with pytest.raises(IntegrityBroken, match="no tombstone"):
        bundle(made, tmp_path / "b")
    made.bench.place.close()


@contextmanager
def reports_of(folder: Path, record: ModelVersion) -> Iterator[Path]:
    """Give a run's reports; of any version but the first nothing is known."""
    if record.version != "1":
        raise NotThere("no such run")
    (folder / "checks").mkdir(parents=True, exist_ok=True)
    (folder / "checks" / "bias.html").write_text("<p>bias</p>")
    (folder / "checks" / "scores.parquet").write_bytes(b"a row for each person")
    (folder / "checks" / "drift.json").write_text(json.dumps({"town": {TOWN: 17}}))
    (folder / "checks" / "performance.evidently.json").write_text("{}")
    yield folder


def watched(folder: Path) -> Path:
    """Write a window inside the period that is asked for below, and one after it."""
    for month in ("01", "05"):
        window = folder / "windows" / f"2030-{month}"
        window.mkdir(parents=True)
        told = {"start": f"2030-{month}-01T00:00:00Z", "end": f"2030-{month}-28T00:00:00Z"}
        for name in ("newest.json", "report-12.json", "report-12.evidently.json"):
            (window / name).write_text(json.dumps(told))
        (window / "report-12.evidently.html").write_text("pictures of a sample")
    return folder / "windows"


def test_reports_go_in_and_no_row_of_a_person(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """Of each version's run and of the period's windows, under the manifest like all else."""
    made, folder = full[0], tmp_path / "b"
    ends = (ALWAYS[0], dt.datetime(2030, 3, 1, tzinfo=dt.UTC))
    asked = audit.Asked(
        *(*ends, Left(), "Ada", "a yearly audit"),
        watched=watched(tmp_path),
        reports=partial(reports_of, tmp_path / "run"),
    )
    place = made.bench.place
    written = audit.run(made.ledger, made.bench.registry, Layout(ROOT), place.policy, asked, folder)
    assert ({}, (), 1) == (written.withheld, written.unreported, written.windows)
    checks = ["bias.html", "drift.json", "performance.evidently.json"]
    assert [*(f"reports/1/checks/{name}" for name in checks), "watch/2030-01/report-12.json"] == [
        each for top in ("reports", "watch") for each in files_in(folder, top)
    ]
    assert verify.FINE == check(made, folder)[0]
    (folder / "reports" / "1" / "checks" / "bias.html").write_text("<p>no bias</p>")
    assert verify.TAMPERED == check(made, folder)[0]


def files_in(folder: Path, top: str) -> list[str]:
    """Return the paths of the files under a folder of a bundle, sorted."""
    found = (each for each in (folder / top).rglob("*") if each.is_file())
    return sorted(each.relative_to(folder).as_posix() for each in found)


def with_reports(made: World, tmp_path: Path, fields: tuple[str, ...]) -> audit.Written:
    """Write a bundle with reports and windows, some fields left out."""
    chosen = left(fields, CONTRACT)
    asked = audit.Asked(
        *(*ALWAYS, chosen, "Ada", "a yearly audit"),
        watched=watched(tmp_path),
        reports=partial(reports_of, tmp_path / "run"),
    )
    place = made.bench.place
    return audit.run(
        made.ledger, made.bench.registry, Layout(ROOT), place.policy, asked, tmp_path / "b"
    )


def test_what_shows_a_left_out_column_is_withheld(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """Of a column left out nothing stands in reports and windows; their digests are committed."""
    made, folder = full[0], tmp_path / "b"
    written = with_reports(made, tmp_path, ("town",))
    assert not [p for p in folder.rglob("*") if TOWN.encode() in p_bytes(p)]
    told = json.loads((folder / "manifest.json").read_bytes())
    assert written.withheld == told["withheld"]
    drift = (tmp_path / "run" / "checks" / "drift.json").read_bytes()
    assert audit_check.sha256(drift) == told["withheld"]["reports/1/checks/drift.json"]
    assert {"versions/1/reference.json", "watch/2030-01/report-12.json"} < written.withheld.keys()
    kept = ["reports/1/checks/bias.html", "reports/1/checks/performance.evidently.json"]
    assert (kept, []) == (files_in(folder, "reports"), files_in(folder, "watch"))
    names = {Path(each).name for each in files_in(folder, "versions")}
    assert {"candidate.json", "contract.json", "policy.json", "verdict.json"} <= names
    code, text = check(made, folder)
    assert (verify.FINE, True) == (code, f"{len(written.withheld)} files withheld" in text)


@pytest.mark.parametrize(
    ("column", "kept"), [("town", ["bias", "performance"]), ("origin", ["performance"])]
)
def test_figures_by_group_go_with_a_column_that_tells_the_group(
    full: tuple[World, list[bytes]], tmp_path: Path, column: str, kept: list[str]
) -> None:
    """Bias is shown where a plain column is left out, and withheld with a protected one."""
    with_reports(full[0], tmp_path, (column,))
    shown = files_in(tmp_path / "b", "reports")
    assert kept == [Path(each).name.split(".")[0] for each in shown]


def test_a_field_that_is_no_column_withholds_no_file(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """Figures of many show nobody's name, statement or margin."""
    fields = ("subject", "statement", "decided.margin")
    assert {} == with_reports(full[0], tmp_path, fields).withheld


def test_the_model_does_not_go_with_a_column_left_out(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """Who has model, margin and all other values can work the left-out one out."""
    made, place = full[0], full[0].bench.place
    asked = audit.Asked(*ALWAYS, left(("town",), CONTRACT), "Ada", "an audit", with_model=True)
    with pytest.raises(BadRequest, match="worked out"):
        audit.run(
            made.ledger, made.bench.registry, Layout(ROOT), place.policy, asked, tmp_path / "b"
        )
    assert not (tmp_path / "b").exists()


def another_withheld(folder: Path) -> None:
    path = folder / "manifest.json"
    told = json.loads(path.read_bytes())
    told["withheld"]["versions/1/reference.json"] = "0" * 64
    path.write_bytes(msgspec.json.encode(told))


@pytest.mark.parametrize("change", [another_withheld, change_a_verdict])
def test_a_version_holds_the_files_it_registered(
    full: tuple[World, list[bytes]], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """Neither a withheld nor a shown one is exchanged, even with the audit recorded anew."""
    made = full[0]
    bundle(made, tmp_path / "b", ("town",))
    change(tmp_path / "b")
    recorded_anew(made, tmp_path / "b")
    code, text = check(made, tmp_path / "b")
    assert (verify.TAMPERED, True) == (code, "not those it registered" in text)


def test_a_version_without_reports_is_named(
    full: tuple[World, list[bytes]], tmp_path: Path
) -> None:
    """A run that is not known here does not stop an audit, and the manifest says so."""
    made, folder = full[0], tmp_path / "b"
    assert ("1",) == bundle(made, folder).unreported
    assert ["1"] == json.loads((folder / "manifest.json").read_bytes())["unreported"]
