"""A file of applications: every row recorded, killed and resumed without deciding twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from pipelines.decisions import batch, rights
from pipelines.decisions.batch import Batch
from pipelines.decisions.decide import Holdout
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.record import Recorder, as_number
from pipelines.decisions.records import Stop
from pipelines.errors import BadRequest
from tests.decisions import versions
from tests.decisions.desks import CALL, ORIGIN
from tests.ledger.places import SqlitePlace

COUNT = batch.ROWS + 100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return versions.loaded(tmp_path_factory.mktemp("model") / "version")


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    place = SqlitePlace(tmp_path)
    yield Recorder(place.ledger())
    place.close()


def people(count: int = COUNT) -> pa.Table:
    """Return applications as a table, with a column that no application holds."""
    row = versions.APPLICATION | {"notes": "not to be read"}
    rows = [row | {"person": f"p{n}", "income": 0.1 + n % 97} for n in range(count)]
    return pa.Table.from_pylist(rows)


def of(source: Path, model: LoadedModel, stop: Stop | None = None) -> Batch:
    return Batch(
        source=source,
        name=batch.batch_name(source),
        standing=Standing(model),
        origin=ORIGIN,
        call=CALL,
        holdout=Holdout(),
        stopped=lambda: stop,
    )


def told(_: int) -> None:
    """Hear nothing."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_killed_and_started_again_nobody_is_decided_twice(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """A run that ends after its first block goes on: one record a row, the first ones unchanged."""
    source, out = tmp_path / "people.parquet", tmp_path / "out.jsonl"
    pq.write_table(people(), source)

    def die(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.run(recorder, of(source, model), out, die)
    assert not out.exists()
    assert batch.ROWS == recorder.ledger.checkpoint()[0].size
    counts = batch.run(recorder, of(source, model), out, told)
    assert COUNT == sum(counts.values()) == recorder.ledger.checkpoint()[0].size
    found = lines(out)
    assert list(range(COUNT)) == [each["index"] for each in found]
    assert [f"p{n}" for n in range(COUNT)] == [each["subject"] for each in found]
    assert COUNT == len({each["decision_id"] for each in found})
    kept = recorder.read(as_number(found[7]["decision_id"])).made.decided
    assert (found[7]["margin"], found[7]["decision"]) == (kept.margin, kept.outcome)


def test_the_same_file_again_gives_the_same_bytes(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """Scored twice, a file has the same output and no second record."""
    source = tmp_path / "people.parquet"
    pq.write_table(people(50), source)
    outs = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for out in outs:
        batch.run(recorder, of(source, model), out, told)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert 50 == recorder.ledger.checkpoint()[0].size


def test_every_format_gives_the_margins_of_the_same_json(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """CSV, Parquet and JSON Lines of the same people score bit for bit as the service does."""
    table = people(20)
    pq.write_table(table, tmp_path / "a.parquet")
    pc.write_csv(table, tmp_path / "b.csv")
    (tmp_path / "c.jsonl").write_text(
        "\n".join(json.dumps(each) for each in table.to_pylist()) + "\n"
    )
    rows = [
        model.margin(
            model.admission.admit(versions.application(person=f"p{n}", income=0.1 + n)).values
        ).hex()
        for n in range(20)
    ]
    for name in ("a.parquet", "b.csv", "c.jsonl"):
        out = tmp_path / f"{name}.parquet"
        batch.run(recorder, of(tmp_path / name, model), out, told)
        assert rows == pq.read_table(out).column("margin").to_pylist(), name


@pytest.mark.parametrize(
    ("text", "kind", "literal"),
    [
        ("0.1", "number", "0.1"),
        ("+1.50", "number", "1.50"),
        (".5", "number", "0.5"),
        ("1e400", "number", "1e400"),
        ("007", "integer", "7.0"),
        ("NaN", "number", '"NaN"'),
        ("true", "boolean", "true"),
        ("yes", "boolean", '"yes"'),
        ("12", "string", '"12"'),
    ],
)
def test_a_cell_becomes_the_json_it_stands_for(
    model: LoadedModel, text: str, kind: str, literal: str
) -> None:
    """Numbers keep their digits; what is none stays text, and is refused as such."""
    import msgspec

    column = msgspec.structs.replace(model.contract.column("income"), kind=kind)
    members = batch.Members(column)
    expected = b'{"income":' + literal.encode() + b"}"
    assert expected == batch.application([members[text], members[None]])
    assert b"{}" == batch.application([members[None]])


def test_a_row_with_other_fields_than_the_header_is_refused(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """A torn row is not decided on what is left of it; its neighbours are."""
    source, out = tmp_path / "people.csv", tmp_path / "out.jsonl"
    pc.write_csv(people(3), source)
    torn = source.read_text().splitlines()
    torn[2] = torn[2].rsplit(",", 1)[0]
    source.write_text("\n".join(torn) + "\n")
    batch.run(recorder, of(source, model), out, told)
    found = lines(out)
    assert "refuse" == found[1]["decision"]
    assert "refuse" not in {found[0]["decision"], found[2]["decision"]}


def test_a_column_that_the_contract_does_not_know_is_refused(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """A file with a column nobody described is not decided on."""
    source = tmp_path / "people.parquet"
    pq.write_table(people(2).append_column("incom", pa.array([1, 2])), source)
    with pytest.raises(BadRequest, match="does not know") as error:
        batch.run(recorder, of(source, model), tmp_path / "out.jsonl", told)
    assert "did you mean 'income'?" == error.value.hint
    assert 0 == recorder.ledger.checkpoint()[0].size


def test_the_stop_switch_counts_for_files_too(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """While deciding is stopped every row is referred."""
    source = tmp_path / "people.parquet"
    pq.write_table(people(5), source)
    stop = Stop(person="Ada", reason="complaints", at="")
    counts = batch.run(recorder, of(source, model, stop), tmp_path / "out.jsonl", told)
    assert {"refer": 5} == counts


def test_an_erased_row_is_not_decided_again(
    recorder: Recorder, model: LoadedModel, tmp_path: Path
) -> None:
    """The same file after an erasure has the row as erased, and makes no new record of it."""
    source, out = tmp_path / "people.parquet", tmp_path / "out.jsonl"
    pq.write_table(people(5), source)
    batch.run(recorder, of(source, model), out, told)
    planned = rights.erasure.plan(recorder.ledger, "p3")
    rights.erasure.erase(recorder.ledger, planned, "asked for")
    size = recorder.ledger.checkpoint()[0].size
    batch.run(recorder, of(source, model), out, told)
    assert [4] == [each["row"] for each in lines(out) if each["decision"] == "erased"]
    assert size == recorder.ledger.checkpoint()[0].size
