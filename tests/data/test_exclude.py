"""People who were erased are left out of what lands: their rows, all of them, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contract import Column
from pipelines.data import exclude
from pipelines.data.exclude import Excluded
from pipelines.data.files import landed_without
from pipelines.errors import NotThere
from pipelines.ledger.keys import create_ring
from tests.data.conftest import Checkout, person

WHO = Column(name="person", kind="string", role="subject")
NUMBER = Column(name="person", kind="integer", role="subject")
KEY = b"k" * 32
GONE = ("p1", "p4")
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from('\n\r," '))


def leaving_out(*subjects: str) -> Excluded:
    empty = Excluded(KEY, frozenset())
    return Excluded(KEY, frozenset(map(empty.mark, subjects)))


def as_csv(rows: list[tuple[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("person", "note"), *rows])
    return out.getvalue().encode()


def as_jsonl(rows: list[tuple[str, str]]) -> bytes:
    lines = (json.dumps({"person": who, "note": note}) + "\n" for who, note in rows)
    return "".join(lines).encode()


@given(st.lists(st.tuples(st.sampled_from(["p0", "p1", "p2", "p4"]), TEXT), max_size=12))
def test_what_stays_is_byte_for_byte_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """A cut file is the file that would have landed without those people, line breaks and all."""
    kept = [row for row in rows if row[0] not in GONE]
    for suffix, written in ((".csv", as_csv), (".jsonl", as_jsonl)):
        folder = tmp_path_factory.mktemp("landed")
        (folder / f"a{suffix}").write_bytes(written([*rows, ("p9", "last")]))
        found = exclude.leave_out(folder, WHO, "utf-8", leaving_out(*GONE))
        assert written([*kept, ("p9", "last")]) == (folder / f"a{suffix}").read_bytes()
        assert ({f"a{suffix}": len(rows) - len(kept)} if kept != rows else {}) == found


def test_the_last_row_goes_with_its_lines(tmp_path: Path) -> None:
    """A row at the end that goes over several lines goes with all of them."""
    (tmp_path / "a.csv").write_bytes(b'person,note\r\np0,x\r\np1,"a\r\nb"\r\n')
    exclude.leave_out(tmp_path, WHO, "utf-8", leaving_out("p1"))
    assert b"person,note\r\np0,x\r\n" == (tmp_path / "a.csv").read_bytes()


def test_parquet_keeps_its_other_values(tmp_path: Path) -> None:
    """Of a Parquet file the other rows stay, in their order and types."""
    table = pa.table({"person": ["p0", "p1", "p2"], "n": pa.array([1, None, 3], pa.int32())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert {"a.parquet": 1} == exclude.leave_out(tmp_path, WHO, "utf-8", leaving_out("p1"))
    assert table.take([0, 2]) == pq.read_table(tmp_path / "a.parquet")
    assert [tmp_path / "a.parquet"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["17", "+17", "17.0", "017"])
def test_a_number_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    """A subject that is a whole number is the same with a sign, zeros before or after it."""
    (tmp_path / "a.csv").write_text(f"person\n{text}\n18\n")
    exclude.leave_out(tmp_path, NUMBER, "utf-8", leaving_out("17"))
    assert "person\n18\n" == (tmp_path / "a.csv").read_text()


def test_a_file_about_nobody_else_goes_away(tmp_path: Path) -> None:
    """A file that held no other person is gone; when no file is left, nothing landed."""
    (tmp_path / "a.csv").write_text("person\np1\n")
    (tmp_path / "b.csv").write_text("person\np2\n")
    exclude.leave_out(tmp_path, WHO, "utf-8", leaving_out("p1"))
    assert ["b.csv"] == [path.name for path in tmp_path.iterdir()]
    with pytest.raises(NotThere):
        exclude.leave_out(tmp_path, WHO, "utf-8", leaving_out("p1", "p2"))


def test_the_list_names_nobody(checkout: Checkout) -> None:
    """What is kept of a person is a keyed hash in a private file; adding twice adds once."""
    state = checkout.context.state
    create_ring(state.ledger_ring)
    for subject in ("p-marked-3", "p-marked-3", "p-marked-4"):
        exclude.add(state, subject)
    text = state.training_exclusions.read_text()
    assert "marked" not in text
    assert 2 == len(json.loads(text))
    assert 0o600 == state.training_exclusions.stat().st_mode & 0o777
    known = exclude.known(state)
    assert known
    assert [True, False] == [known.holds(each) for each in ("p-marked-3", "p-marked-5")]


def test_nobody_who_was_erased_is_landed_again(checkout: Checkout) -> None:
    """What ingest versions lacks the person's rows, and says how many it left out."""
    rows = [person(number) for number in range(6)]
    landing = checkout.csv(rows)
    before = checkout.ingest()
    create_ring(checkout.context.state.ledger_ring)
    exclude.add(checkout.context.state, str(rows[3][0]))
    after = checkout.ingest()
    kept = (checkout.layout.landed / "a.csv").read_text()
    assert before.id != after.id
    assert landing.read_text().splitlines()[4] not in kept
    assert 6 == len(kept.splitlines())
    without = json.loads(landed_without(checkout.layout).read_text())
    assert {"rows_of_people_erased": {"a.csv": 1}} == without
