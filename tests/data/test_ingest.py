"""What is admitted, what is refused before it is versioned, and that nothing half is left."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data import ingest, sources
from pipelines.errors import BadRequest, ClewError, DataRefused, NotThere, Unavailable
from pipelines.params import Source
from pipelines.records import Landed
from pipelines.typed import read_json
from tests.data.conftest import NAMES, Checkout, person

ROWS = [person(number) for number in range(6)]
ROOT = Path(__file__).resolve().parents[2]


def listed(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def refused(checkout: Checkout, kind: type[ClewError] = DataRefused) -> str:
    """Return the message of a refusal, having checked that nothing was left behind."""
    with pytest.raises(kind) as caught:
        checkout.ingest()
    data = checkout.layout.landed.parent
    assert [] == (sorted(data.iterdir()) if data.exists() else [])
    return str(caught.value)


def test_files_are_kept_byte_for_byte(checkout: Checkout) -> None:
    """What landed stands in the landed folder unchanged, and the record tells its SHA-256."""
    landing = checkout.csv(ROWS)
    landed = checkout.ingest()
    kept = checkout.layout.landed / "a.csv"
    assert landing.read_bytes() == kept.read_bytes()
    assert hashlib.sha256(landing.read_bytes()).hexdigest() == landed.files[0].sha256
    assert landed == read_json(checkout.layout.landed_record, Landed)


def test_the_same_landing_twice_is_the_same_record(checkout: Checkout) -> None:
    """Landing again what landed before yields the same id and the same bytes."""
    checkout.csv(ROWS)
    first, before = checkout.ingest(), checkout.layout.landed_record.read_bytes()
    assert first.id == checkout.ingest().id
    assert before == checkout.layout.landed_record.read_bytes()


def test_a_new_landing_takes_the_place_of_the_former(checkout: Checkout) -> None:
    """The landed folder holds one landing, never a mixture of two."""
    old = checkout.csv(ROWS, name="old.csv")
    checkout.ingest()
    old.unlink()
    checkout.csv(ROWS, name="new.csv")
    checkout.ingest()
    assert ["landed.json", "new.csv"] == listed(checkout.layout.landed)
    assert ["landed"] == listed(checkout.layout.landed.parent)


def test_another_location_can_be_named(checkout: Checkout, tmp_path: Path) -> None:
    """A location may be an absolute folder instead of the one in params.yaml."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    checkout.csv(ROWS).rename(elsewhere / "a.csv")
    assert ("a.csv",) == tuple(each.name for each in checkout.ingest(location=str(elsewhere)).files)


def test_nothing_landed(checkout: Checkout) -> None:
    """No matching file is said to be that, not an empty data set."""
    assert "nothing landed" in refused(checkout, NotThere)


def test_no_landing_folder(checkout: Checkout) -> None:
    """A landing folder that is not there is said to be that."""
    checkout.landing.rmdir()
    assert "no such landing folder" in refused(checkout, NotThere)


def test_an_empty_file(checkout: Checkout) -> None:
    """A file of no bytes is refused by name."""
    (checkout.landing / "a.csv").touch()
    assert "a file is empty (a.csv)" in refused(checkout)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_header_alone(checkout: Checkout, kind: str) -> None:
    """A file without a single row is refused, in each format."""
    if kind == "csv":
        checkout.csv([])
    elif kind == "jsonl":
        (checkout.landing / "a.jsonl").write_text("\n\n")
    else:
        empty = pa.table({name: pa.array([], pa.string()) for name in NAMES})
        pq.write_table(empty, checkout.landing / "a.parquet")
    refused(checkout)


@pytest.mark.parametrize("name", ["b.csv.part", "b.tmp", ".b.csv", ".b.csv.Xy12"])
def test_a_name_of_an_unfinished_copy(checkout: Checkout, name: str) -> None:
    """A file named as copies in progress are named holds the landing up: try again later."""
    checkout.csv(ROWS)
    (checkout.landing / name).write_text("half")
    assert f"a file is still being written ({name})" in refused(checkout, Unavailable)


def test_a_file_that_grows_while_it_settles(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose size changes within the settling time is not taken."""
    path = checkout.csv(ROWS)
    monkeypatch.setattr(sources.time, "sleep", lambda _: path.write_text(path.read_text() + "more"))
    assert "still being written (a.csv)" in refused(checkout, Unavailable)


def test_a_file_that_goes_away_while_it_settles(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that its writer renames away in between is not taken for settled."""
    path = checkout.csv(ROWS)
    monkeypatch.setattr(sources.time, "sleep", lambda _: path.unlink())
    assert "still being written (a.csv)" in refused(checkout, Unavailable)


def test_a_file_in_another_encoding(checkout: Checkout) -> None:
    """One byte that is not of the encoding refuses the file, however far down it stands."""
    rows = [person(number) for number in range(3000)]
    rows[2990] = person(2990, person="Zoë")
    checkout.csv(rows, encoding="latin-1")
    message = refused(checkout)
    assert "not in the encoding that params.yaml names" in message
    assert "expected: utf-8" in message
    checkout.settings(encoding="latin-1")
    assert 1 == len(checkout.ingest().files)


def test_an_encoding_that_does_not_exist(checkout: Checkout) -> None:
    """A misspelt encoding is a bad request, not bad data."""
    checkout.settings(encoding="utf-9")
    checkout.csv(ROWS)
    assert "no such encoding" in refused(checkout, BadRequest)


def test_a_byte_order_mark_is_no_part_of_a_name(checkout: Checkout) -> None:
    """A UTF-8 file with a byte order mark, as spreadsheets write it, is admitted."""
    checkout.csv(ROWS, encoding="utf-8-sig")
    assert 1 == len(checkout.ingest().files)


def test_a_misspelt_column(checkout: Checkout) -> None:
    """A column that is nearly right is named by its place, with the name that was meant."""
    names = [name if name != "colour" else "color" for name in NAMES]
    checkout.csv(ROWS, names)
    message = refused(checkout)
    assert "column 6: not in the contract" in message
    assert "colour: missing" in message
    assert "column 6: did you mean 'colour'?" in message


def test_a_missing_column(checkout: Checkout) -> None:
    """A column of the contract that the file lacks refuses the file."""
    checkout.csv([row[:-1] for row in ROWS], NAMES[:-1])
    assert "good: missing" in refused(checkout)


def test_an_extra_column(checkout: Checkout) -> None:
    """A column that the contract does not know refuses the file."""
    checkout.csv([[*row, 1] for row in ROWS], [*NAMES, "surplus"])
    assert "column 10: not in the contract" in refused(checkout)


def test_a_column_twice(checkout: Checkout) -> None:
    """A column that stands twice refuses the file: which one is meant is not known."""
    checkout.csv([[*row, 1] for row in ROWS], [*NAMES, "count"])
    assert "count: stands twice: 2" in refused(checkout)


def test_a_file_without_a_header(checkout: Checkout) -> None:
    """When the first line is a person's row, no cell of it is printed."""
    checkout.csv(ROWS[1:], ROWS[0])
    message = refused(checkout)
    assert "does the file begin with a line of column names?" in message
    assert "P0000" not in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 and then nothing"),
        ("a.jsonl", b'{"person": "P1"'),
        ("a.csv", b'person,seen\n"P1,2024\n'),
        ("a.xlsx", b"PK"),
    ],
)
def test_a_file_that_cannot_be_read(checkout: Checkout, name: str, content: bytes) -> None:
    """Broken Parquet, JSON Lines or CSV, and any other format, are refused by name."""
    (checkout.landing / name).write_bytes(content)
    message = refused(checkout)
    assert name in message
    assert "P1" not in message


@pytest.mark.parametrize(
    "line",
    [
        '{"person": "P9"',
        '{"person": "P9", "person": "P8"}',
        '{"person": ["P9"]}',
        '{"person": {"P9": 1}}',
        '{"person": "P9", "amount": NaN}',
        '{"person": "P9", "colour": "\\ud800"}',
        '["P9"]',
        "P9",
    ],
)
def test_a_line_that_is_no_flat_object(checkout: Checkout, line: str) -> None:
    """One line that is no JSON object of plain values, each key once, refuses the file."""
    path = checkout.jsonl(ROWS)
    path.write_text(path.read_text() + line + "\n")
    message = refused(checkout)
    assert "(a.jsonl: line 7)" in message
    assert "P9" not in message


@pytest.mark.parametrize("cell", ['"P9"9', '"P9'])
def test_quotes_that_do_not_add_up(checkout: Checkout, cell: str) -> None:
    """A quote within a field, or one never closed, refuses the file with its line."""
    path = checkout.csv(ROWS)
    row = ",".join(map(str, person(9)))
    path.write_text(path.read_text() + row.replace("P0009", cell) + "\n")
    message = refused(checkout)
    assert "not readable as CSV (a.csv: line 8)" in message
    assert "P9" not in message


def test_a_truncated_parquet_file(checkout: Checkout) -> None:
    """A Parquet file whose pages are damaged is refused though its footer is whole."""
    path = checkout.landing / "a.parquet"
    table = pa.table({name: [f"{name}-{row}" for row in range(5000)] for name in NAMES})
    pq.write_table(table, path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[200:900] = b"\0" * 700
    path.write_bytes(content)
    assert "not readable as Parquet" in refused(checkout)


def test_the_same_content_twice(checkout: Checkout) -> None:
    """Two files of the same bytes in one landing are one delivery sent twice."""
    checkout.csv(ROWS, name="a.csv")
    checkout.csv(ROWS, name="b.csv")
    assert "the same content landed twice (a.csv and b.csv)" in refused(checkout)


def test_mixed_formats(checkout: Checkout) -> None:
    """One landing is of one format."""
    checkout.csv(ROWS)
    checkout.jsonl(ROWS)
    assert "several formats" in refused(checkout)


def test_a_refusal_keeps_the_former_landing(checkout: Checkout) -> None:
    """A refused landing leaves the one before it as it was."""
    path = checkout.csv(ROWS)
    before = checkout.ingest()
    path.write_text("nonsense\n")
    with pytest.raises(DataRefused):
        checkout.ingest()
    assert before == read_json(checkout.layout.landed_record, Landed)
    assert ["landed"] == listed(checkout.layout.landed.parent)


def test_a_kill_in_the_middle_leaves_what_was_there(checkout: Checkout) -> None:
    """A process killed while it fetches leaves the former landing; the next run sweeps up."""
    path = checkout.csv(ROWS)
    before = checkout.ingest()
    path.write_text(path.read_text() + ",".join(map(str, person(99))) + "\n")
    text = checkout.layout.params.read_text().replace("settle_seconds: 0", "settle_seconds: 60")
    checkout.layout.params.write_text(text)
    code = (
        "from pathlib import Path\nfrom pipelines import wiring\n"
        "from pipelines.layout import Layout, State\nfrom pipelines.data import ingest\n"
        f"ingest.run(wiring.context(Layout(Path({str(checkout.layout.root)!r})),"
        f" State(Path({str(checkout.landing.parent)!r}))))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    data = checkout.layout.landed.parent
    while process.poll() is None and len(listed(data)) == 1:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == process.wait()
    assert 2 == len(listed(data))
    assert before == read_json(checkout.layout.landed_record, Landed)
    checkout.settings()
    assert before != checkout.ingest()
    assert ["landed"] == listed(data)


def test_a_kill_between_two_renames_is_mended(checkout: Checkout) -> None:
    """A landing that was moved aside and not yet replaced is put back by the next run."""
    checkout.csv(ROWS)
    before = checkout.ingest()
    aside = checkout.layout.landed.parent / f"{ingest.TEMPORARY}x"
    aside.mkdir()
    checkout.layout.landed.rename(aside / "old")
    ingest.sweep(checkout.layout)
    assert before == read_json(checkout.layout.landed_record, Landed)


def test_a_source_can_be_handed_over(checkout: Checkout) -> None:
    """A source given by the caller stands in for the one in params.yaml."""
    checkout.csv(ROWS, name="a.csv")
    checkout.csv(ROWS[:3], name="b.csv")
    source = Source(kind="files", location="landing", pattern="b*", settle_seconds=0)
    assert ("b.csv",) == tuple(each.name for each in checkout.ingest(source).files)
