"""Reading back: every decision asked for comes back as recorded, and none is lost unseen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.decisions import readback
from pipelines.decisions.load import LoadedModel
from pipelines.decisions.record import Recorder, as_number
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.ledger import erasure
from pipelines.ledger.entry import Draft
from pipelines.ledger.keys import ordered_id
from tests.decisions import versions
from tests.decisions.desks import CALL, ORIGIN, decided
from tests.ledger.places import SqlitePlace

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
PEOPLE = ("anna", "berta", "anna", "clara", "dora")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return versions.loaded(tmp_path_factory.mktemp("model") / "version")


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqlitePlace]:
    made = SqlitePlace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def recorder(sqlite: SqlitePlace, model: LoadedModel) -> Recorder:
    """Five decisions about four people, each after an entry that is none."""
    recorder = Recorder(sqlite.ledger())
    for person in PEOPLE:
        recorder.ledger.record(Draft("note", {"about": "nobody"}))
        sent = versions.application(person=person)
        recorder.record(sent, decided(model, sent), ORIGIN, CALL)
    return recorder


def found(pages: Iterator[readback.Page]) -> tuple[list[str | None], int]:
    told = list(pages)
    people = [each.made.decided.subject for page in told for each in page.decisions]
    return people, sum(page.erased for page in told)


def test_all_of_a_time_come_back_as_each_alone(recorder: Recorder) -> None:
    """What bulk reading gives is what reading one by its id gives, in the log's order."""
    pages = list(readback.between(recorder.ledger, EPOCH, LATER))
    together = [each for page in pages for each in page.decisions]
    assert [1, 3, 5, 7, 9] == [each.index for each in together]
    assert [recorder.read(each.id).made for each in together] == [each.made for each in together]


def test_a_time_begins_with_its_start_and_ends_before_its_end(recorder: Recorder) -> None:
    """A decision on the start is in, one on the end is out, so that times can be put together."""
    first, *_, last = (
        each for page in readback.between(recorder.ledger, EPOCH, LATER) for each in page.decisions
    )
    at = [dt.datetime.fromtimestamp(each.at_ms / 1000, dt.UTC) for each in (first, last)]
    both = found(readback.between(recorder.ledger, EPOCH, at[1]))
    rest = found(readback.between(recorder.ledger, at[1], LATER))
    assert list(PEOPLE) == both[0] + rest[0]
    assert first.made.decided.subject in found(readback.between(recorder.ledger, at[0], LATER))[0]


def test_public_facts_choose_before_anything_is_decrypted(recorder: Recorder) -> None:
    """A version nobody decided by gives nothing; the one that decided gives all."""
    own = readback.between(recorder.ledger, EPOCH, LATER, lambda entry: entry["mv"] == "1")
    other = readback.between(recorder.ledger, EPOCH, LATER, lambda entry: entry["mv"] == "2")
    assert (list(PEOPLE), 0) == found(own)
    assert ([], 0) == found(other)


def test_erased_decisions_are_counted(recorder: Recorder) -> None:
    """What is erased is not given back and not left out of the count."""
    erasure.erase(recorder.ledger, erasure.plan(recorder.ledger, "anna"), "asked for")
    assert (["berta", "clara", "dora"], 2) == found(readback.between(recorder.ledger, EPOCH, LATER))
    assert (["dora"], 1) == found(readback.at(recorder.ledger, [5, 9]))


@pytest.mark.parametrize("table", ["part", "key"])
def test_a_record_that_is_gone_without_a_tombstone_is_an_alarm(
    recorder: Recorder, sqlite: SqlitePlace, table: str
) -> None:
    """A deleted part or key is no erasure: nothing in the log counts it."""
    if table == "part":
        sqlite.query("DELETE FROM part WHERE seq = 3")
    else:
        held = recorder.ledger.keys.of_subject("berta")
        recorder.ledger.keys.store.destroy([each.key_id for each in held])
    with pytest.raises(IntegrityBroken):
        found(readback.between(recorder.ledger, EPOCH, LATER))


def test_a_changed_record_is_an_alarm(recorder: Recorder, sqlite: SqlitePlace) -> None:
    """One flipped byte in one stored part is found."""
    sqlite.query("UPDATE part SET ct = zeroblob(LENGTH(ct)) WHERE seq = 3")
    with pytest.raises(IntegrityBroken):
        found(readback.between(recorder.ledger, EPOCH, LATER))


def test_decisions_come_back_by_id(recorder: Recorder) -> None:
    """Ids in any order give their decisions in the log's order; an unknown one is refused."""
    ids = [recorder.ledger.row(seq).id for seq in (9, 3)]
    assert (["berta", "dora"], 0) == found(readback.of_ids(recorder.ledger, ids))
    with pytest.raises(NotThere):
        found(readback.of_ids(recorder.ledger, [*ids, ordered_id()]))


def test_a_sample_is_of_decisions_and_the_same_for_the_same_seed(recorder: Recorder) -> None:
    """Only decisions are drawn, none twice, all where all are wanted, the same again."""
    drawn = readback.sample(recorder.ledger, 3, "seed")
    assert 3 == len(set(drawn) & {1, 3, 5, 7, 9})
    assert drawn == readback.sample(recorder.ledger, 3, "seed")
    assert [1, 3, 5, 7, 9] == readback.sample(recorder.ledger, 50, "seed")


def test_each_decision_is_drawn_as_often_as_another(recorder: Recorder) -> None:
    """Over many seeds each of five decisions makes up about a fifth of samples of one."""
    drawn = [readback.sample(recorder.ledger, 1, str(seed))[0] for seed in range(500)]
    counts = [drawn.count(index) for index in (1, 3, 5, 7, 9)]
    assert 500 == sum(counts)
    assert 60 < min(counts)
    assert 140 > max(counts)


def test_one_persons_decisions_are_found(recorder: Recorder) -> None:
    """Both of Anna's and nobody else's; none of somebody unknown; none once erased."""
    ids = readback.of_subject(recorder.ledger, "anna")
    assert [1, 5] == [recorder.ledger.find(each) for each in ids]
    assert [] == readback.of_subject(recorder.ledger, "nobody known")
    assert "anna" == recorder.read(as_number(ids[0].hex())).made.decided.subject
    erasure.erase(recorder.ledger, erasure.plan(recorder.ledger, "anna"), "asked for")
    assert [] == readback.of_subject(recorder.ledger, "anna")
