"""Every rule of the contract refuses the rows that break it, and no others; the result is kept."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.canonical import sha256_tree
from pipelines.data import duplicates, files, picture, schema, snapshot, split, validate
from pipelines.errors import DataRefused, IntegrityBroken, NotThere
from pipelines.layout import Layout
from pipelines.typed import read_json
from tests.data.conftest import NAMES, Checkout, person

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import resource
from pathlib import Path
from pipelines import wiring
from pipelines.data import ingest, validate
from pipelines.layout import Layout, State
context = wiring.context(Layout(Path("{root}")), State(Path("{home}")))
ingest.run(context)
print(validate.run(context).accepted)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
GOOD = [person(number) for number in range(10)]


def reasons(checkout: Checkout) -> dict[int, list[tuple[str, str]]]:
    """Return the reasons of each refused row by its number."""
    table = pq.read_table(files.refused_rows(checkout.layout)).to_pylist()
    return {
        row["_row"]: [(each["rule"], each["column"]) for each in row["_reasons"]] for row in table
    }


@pytest.mark.parametrize(
    ("changes", "rule", "column"),
    [
        ({"count": "1.5"}, "type", "count"),
        ({"amount": "inf"}, "type", "amount"),
        ({"member": "perhaps"}, "type", "member"),
        ({"born": "2023-02-29"}, "type", "born"),
        ({"seen": "yesterday"}, "type", "seen"),
        ({"count": ""}, "required", "count"),
        ({"person": ""}, "required", "person"),
        ({"good": ""}, "required", "good"),
        ({"amount": -0.5}, "range", "amount"),
        ({"amount": 1000.0001}, "range", "amount"),
        ({"colour": "Red"}, "allowed", "colour"),
        ({"good": 2}, "allowed", "good"),
    ],
)
def test_a_rule_refuses_the_row_that_breaks_it(
    checkout: Checkout, changes: dict[str, object], rule: str, column: str
) -> None:
    """The row is refused for that reason alone, every other row is accepted."""
    checkout.csv([*GOOD, person(10, **changes)])
    result = checkout.validate()
    assert {11: [(rule, column)]} == reasons(checkout)
    assert (11, 10, 1) == (result.rows, result.accepted, result.refused)
    assert ((rule, column, 1, (11,)),) == tuple(
        (each.rule, each.column, each.count, each.rows) for each in result.broken
    )


def test_bounds_and_sentinels_are_accepted(checkout: Checkout) -> None:
    """Values on the bounds pass; a sentinel outside the range is missing, not out of range."""
    rows = [
        person(10, amount=0),
        person(11, amount=1000),
        person(12, amount="9999.5"),
        person(13, amount="n/a", colour="?"),
        person(14, count="7.0"),
    ]
    checkout.csv([*GOOD, *rows])
    result = checkout.validate()
    assert {} == reasons(checkout)
    amount = next(each for each in result.columns if each.name == "amount")
    assert (2 / 15, 0.0, 1000.0) == (amount.missing_share, amount.minimum, amount.maximum)


def test_duplicates_far_apart_are_all_refused(checkout: Checkout) -> None:
    """Of rows with the same id none is accepted, in whatever chunk or file they stand."""
    checkout.csv(GOOD, name="a.csv")
    checkout.csv([person(20), person(0, count=5), person(21)], name="b.csv")
    checkout.validate()
    assert {1: [("unique", "person")], 12: [("unique", "person")]} == reasons(checkout)


def test_a_row_tells_all_its_reasons(checkout: Checkout) -> None:
    """One row may break several rules; each is named, and the raw cells are kept as text."""
    checkout.csv([*GOOD, person(10, count="x", colour="green", amount="-1.50")])
    checkout.validate()
    expected = [("allowed", "colour"), ("range", "amount"), ("type", "count")]
    assert {11: expected} == reasons(checkout)
    (row,) = pq.read_table(files.refused_rows(checkout.layout)).to_pylist()
    assert ("-1.50", "x", "green") == (row["amount"], row["count"], row["colour"])
    assert ("a.csv", 12) == (row["_file"], row["_line"])


def test_a_row_of_another_width_is_refused_whole(checkout: Checkout) -> None:
    """A row with a field too many is refused, and the surplus is kept."""
    checkout.csv([*GOOD, [*person(10), "more"]])
    checkout.validate()
    assert {11: [("fields", "")]} == reasons(checkout)
    (row,) = pq.read_table(files.refused_rows(checkout.layout)).to_pylist()
    assert '["more"]' == row["_extra"]


@pytest.mark.parametrize("column", ["person", "good"])
def test_a_subject_and_a_target_are_always_needed(checkout: Checkout, column: str) -> None:
    """A row without its person or its outcome is refused though the contract does not ask."""
    text = checkout.layout.contract.read_text()
    checkout.layout.contract.write_text(text.replace("        required: true\n", ""))
    checkout.csv([*GOOD, person(10, **{column: ""})])
    checkout.validate()
    assert {11: [("required", column)]} == reasons(checkout)


def test_a_bad_row_does_not_fail_the_step(checkout: Checkout) -> None:
    """As long as no more than the share of params.yaml is refused, the result may go on."""
    checkout.settings(max_refused_share=0.1)
    checkout.csv([*GOOD[:9], person(9, count="x")])
    assert () == checkout.validate().blocked
    assert None is validate.refusal(checkout.layout)


def test_too_many_refused_rows_block(checkout: Checkout) -> None:
    """One row over the share blocks: the refusal names rules, columns and rows."""
    checkout.settings(max_refused_share=0.1)
    checkout.csv([*GOOD[:8], person(8, count="x"), person(9, amount=-1)])
    checkout.validate()
    refusal = validate.refusal(checkout.layout)
    assert isinstance(refusal, DataRefused)
    assert 3 == refusal.exit_code
    assert "2 of 10 rows refused (20.00%)" in str(refusal)
    assert "count: type: 1 (rows 9)" in str(refusal)
    with pytest.raises(DataRefused):
        snapshot.run(checkout.context)
    assert not checkout.layout.snapshot.exists()


def test_a_missing_share_over_the_limit_blocks(checkout: Checkout) -> None:
    """A column with more missing values than the contract allows blocks the whole landing."""
    rows = [person(number, amount="" if number < 7 else 1) for number in range(10)]
    checkout.csv(rows)
    assert ("the table rule max_missing_share is broken",) == checkout.validate().blocked
    checkout.csv([person(number, amount="" if number < 6 else 1) for number in range(10)])
    assert () == checkout.validate().blocked


def test_too_few_rows_block(checkout: Checkout) -> None:
    """Fewer accepted rows than the contract asks for block."""
    checkout.csv([person(0), person(1, count="x")])
    assert ("the table rule min_rows is broken",) == checkout.validate().blocked


def test_no_row_left_blocks(checkout: Checkout) -> None:
    """When every row is refused that is said, whatever share is allowed."""
    checkout.settings(max_refused_share=1.0)
    checkout.csv([person(number, count="x") for number in range(3)])
    assert "no row is left" in checkout.validate().blocked


def test_without_a_result_nothing_goes_on(checkout: Checkout) -> None:
    """A validation that was never made, or is not what was written, is no passed validation."""
    with pytest.raises(NotThere):
        validate.refusal(checkout.layout)
    checkout.csv(GOOD)
    checkout.validate()
    files.validation(checkout.layout).write_text('{"blocked": []}')
    with pytest.raises(IntegrityBroken):
        validate.refusal(checkout.layout)


def test_an_altered_landing_is_noticed(checkout: Checkout) -> None:
    """A landed file that is not what its record says is never tested, let alone accepted."""
    checkout.csv(GOOD)
    checkout.ingest()
    path = checkout.layout.landed / "a.csv"
    path.write_text(path.read_text().replace("red", "blue"))
    with pytest.raises(IntegrityBroken, match=r"a\.csv"):
        validate.run(checkout.context)


def test_the_formats_agree(checkout: Checkout) -> None:
    """The same rows as CSV and as JSON Lines are the same accepted rows."""
    checkout.csv(GOOD).rename(checkout.landing / "a.csv")
    checkout.validate()
    first = pq.read_table(files.valid_part(checkout.layout, 0))
    (checkout.landing / "a.csv").unlink()
    checkout.jsonl(GOOD)
    checkout.validate()
    assert first == pq.read_table(files.valid_part(checkout.layout, 0))


def everything(layout: Layout) -> str:
    """Return one digest over all outputs of the steps."""
    folders = (
        layout.valid,
        layout.refused,
        layout.validation_report,
        layout.snapshot,
        layout.split,
    )
    return " ".join(sha256_tree(folder) for folder in folders)


def test_the_same_bytes_on_the_second_run(checkout: Checkout) -> None:
    """Every file of every step is the same when the step runs again, refused rows and all."""
    checkout.csv([*[person(number) for number in range(40)], person(40, count="x")])
    digests = set()
    for _ in range(2):
        checkout.validate()
        snapshot.run(checkout.context)
        split.run(checkout.context)
        digests.add(everything(checkout.layout))
    assert 1 == len(digests)


def test_chunks_do_not_change_the_result(checkout: Checkout) -> None:
    """Reading more rows at a time accepts the same rows and makes the same snapshot."""
    checkout.csv([*[person(number) for number in range(30)], person(30, count="x"), person(0)])
    found = []
    for size in (1, 7, 1000):
        checkout.settings(chunk_rows=size)
        result = checkout.validate()
        record = snapshot.run(checkout.context)
        found.append((result, record, reasons(checkout)))
    assert found[0] == found[1] == found[2]


def test_no_value_leaves_the_refused_store(checkout: Checkout) -> None:
    """Marked values in every cell, good and bad, stand in no message and no report."""
    marks = ["MARKERONE", "MARKERTWO", "MARKERTHREE", "MARKERFOUR", "MARKERFIVE"]
    rows = [
        person(10, person="MARKERONE", count="MARKERTWO", colour="MARKERTHREE"),
        person(11, person="MARKERFOUR", amount="MARKERFIVE", born="MARKERTWO"),
        person(12, person="MARKERFOUR", seen="MARKERONE", member="MARKERTWO"),
    ]
    checkout.settings(max_refused_share=0.0)
    checkout.csv([*GOOD, *rows])
    checkout.validate()
    reports = [
        path.read_text() for path in checkout.layout.validation_report.iterdir() if path.is_file()
    ]
    told = "".join([*reports, files.refused_summary(checkout.layout).read_text()])
    told += str(validate.refusal(checkout.layout))
    assert [] == [mark for mark in marks if mark in told]
    assert "MARKERFIVE" in str(pq.read_table(files.refused_rows(checkout.layout)).to_pylist())


def test_the_page_runs_no_script_of_a_name(checkout: Checkout) -> None:
    """A name is text on the page, whatever it holds, and the page needs no other file."""
    evil = "<script>alert(1)</script>"
    text = checkout.layout.contract.read_text()
    text = text.replace("name: born", f"name: '{evil}'").replace("id: small", f"id: '{evil}'")
    checkout.layout.contract.write_text(text)
    names = [evil if name == "born" else name for name in NAMES]
    checkout.csv([*GOOD, person(10, born="x")], names)
    checkout.validate()
    page = files.validation_page(checkout.layout).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert [] == re.findall(r"(?:src|href)=", page)


def test_the_picture_draws_every_column(checkout: Checkout) -> None:
    """The picture is well-formed SVG with a line for each column and the accepted ranges."""
    import xml.etree.ElementTree as ET

    checkout.csv(GOOD)
    result = checkout.validate()
    root = ET.fromstring(files.validation_picture(checkout.layout).read_text())  # noqa: S314
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set(NAMES) <= set(words)
    assert "0.1 to 9.1" in words
    assert (
        picture.svg(result, checkout.contract)
        == files.validation_picture(checkout.layout).read_text()
    )


def test_the_ends_of_a_range_of_ids_are_not_told(checkout: Checkout) -> None:
    """A numeric subject has no range in the report: its ends would name two people."""
    text = checkout.layout.contract.read_text()
    text = text.replace(
        "name: person\n        logicalType: string", "name: person\n        logicalType: integer"
    )
    checkout.layout.contract.write_text(text)
    checkout.csv([person(number, person=770000 + number) for number in range(5)])
    result = checkout.validate()
    assert () == result.blocked
    assert None is result.columns[0].minimum
    assert "77000" not in files.validation_page(checkout.layout).read_text()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]), max_size=12))
def test_duplicates_are_found_as_a_set_finds_them(
    tmp_path_factory: pytest.TempPathFactory, letters: list[str]
) -> None:
    """What counting in memory calls a duplicate is one by digests in buckets, and nothing else."""
    import pyarrow as pa

    from pipelines.contract import Column

    column = Column(name="x", role="feature", kind="string", unique=True)
    chunks = [pa.table({"x": [letter]}) for letter in letters]
    found = duplicates.find(chunks, [column], tmp_path_factory.mktemp("scratch"))["x"]
    twice = sorted({letter for letter in letters if letters.count(letter) > 1})
    assert sorted(schema.digests(pa.array(twice, pa.string())).tolist()) == sorted(found.tolist())


def test_the_summary_counts_by_rule_and_column(checkout: Checkout) -> None:
    """refused.json holds counts and the first row numbers, at most ten."""
    checkout.csv([*GOOD, *[person(20 + number, count="x") for number in range(12)]])
    checkout.validate()
    summary = json.loads(files.refused_summary(checkout.layout).read_text())
    (broken,) = summary["broken"]
    assert {"rule": "type", "column": "count", "count": 12, "rows": list(range(11, 21))} == broken


def test_the_result_reads_back_as_written(checkout: Checkout) -> None:
    """The stored result is the record that the step returned, with the same id."""
    checkout.csv(GOOD)
    result = checkout.validate()
    again = read_json(files.validation(checkout.layout), validate.Validation)
    assert result == again
    assert result.id == again.id


def test_a_killed_validation_lets_nothing_go_on(checkout: Checkout) -> None:
    """After a kill in the middle there is no result, so no snapshot; the next run is whole."""
    checkout.csv(GOOD)
    checkout.validate()
    checkout.csv([person(number) for number in range(400)])
    checkout.ingest()
    checkout.settings(chunk_rows=1)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM.format(root=checkout.layout.root, home=checkout.landing.parent),
        ],
        cwd=ROOT,
    )
    while process.poll() is None and len(files.valid_parts(checkout.layout)) < 5:
        time.sleep(0.01)
    process.kill()
    assert -signal.SIGKILL == process.wait()
    with pytest.raises(NotThere):
        snapshot.run(checkout.context)
    checkout.settings()
    assert 400 == validate.run(checkout.context).accepted
    assert 400 == snapshot.run(checkout.context).rows


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_file(checkout: Checkout) -> None:
    """300 MB of CSV are tested in less than 450 MB of memory, imports and all."""
    path = checkout.landing / "a.csv"
    with path.open("w") as file:
        file.write(",".join(NAMES) + "\n")
        for number in range(4_400_000):
            file.write(",".join(map(str, person(number, amount=number % 1000))) + "\n")
    checkout.settings(chunk_rows=50_000)
    program = PROGRAM.format(root=checkout.layout.root, home=checkout.landing.parent)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    accepted, kilobytes = map(int, done.stdout.split())
    assert path.stat().st_size > 300e6
    assert 4_400_000 == accepted
    assert kilobytes < 450_000
