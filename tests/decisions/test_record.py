"""Recording: no answer without a durable record, and none decided twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.canonical import sha256_bytes
from pipelines.decisions.load import LoadedModel
from pipelines.decisions.record import KeyReused, Recorder, as_number
from pipelines.errors import BadRequest, Erased, NotThere, Unavailable
from pipelines.ledger import erasure, verify
from tests.decisions import versions
from tests.decisions.desks import CALL, ORIGIN, decided
from tests.ledger.conftest import cluster, place
from tests.ledger.places import Place, SqlitePlace
from tests.system import failing_disk

__all__ = ["cluster", "place"]
ROOT = Path(__file__).parents[2]
SEVEN = versions.application()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return versions.loaded(tmp_path_factory.mktemp("model") / "version")


@pytest.fixture
def recorder(place: Place) -> Recorder:
    return Recorder(place.ledger())


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqlitePlace]:
    made = SqlitePlace(tmp_path)
    yield made
    made.close()


def test_a_record_holds_all_that_a_decision_rests_on(
    recorder: Recorder, model: LoadedModel
) -> None:
    """Request bytes, typed values, model, score to the bit, origin and call come back as given."""
    made = decided(model, SEVEN)
    given = recorder.record(SEVEN, made, ORIGIN, CALL)
    found = recorder.read(as_number(given.id)).made
    assert (SEVEN, sha256_bytes(SEVEN)) == (found.request, found.request_sha256)
    assert (ORIGIN, CALL) == (found.origin, found.call)
    assert (made.outcome, made.margin) == (found.decided.outcome, found.decided.margin)
    assert made.model == found.decided.model
    assert found.decided.values is not None
    assert 31.25 == found.decided.values["income"]
    assert given.made.at == found.at


def test_an_entry_names_the_model_and_no_person(recorder: Recorder, model: LoadedModel) -> None:
    """What verifiers read tells model, code, data and environment, and nothing of the person."""
    given = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL)
    entry = json.loads(given.entry)
    told = {name: entry[name] for name in ("m", "mv", "c", "d", "e", "t")}
    expected = {"m": "a" * 64, "mv": "1", "c": "c" * 40, "d": "d" * 64, "e": "e" * 64}
    assert expected | {"t": "decision"} == told
    assert b"p-marked-7261" not in given.entry


def test_the_receipt_alone_verifies_offline(
    recorder: Recorder, place: Place, model: LoadedModel, tmp_path: Path
) -> None:
    """Entry and proof of an answer, written to two files, are a bundle for the verifier."""
    given = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL)
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "entry.json").write_bytes(given.entry)
    (folder / "proof.tlog-proof").write_text(given.proof)
    assert verify.FINE == verify.verify(folder, place.policy)[0]
    (folder / "entry.json").write_bytes(given.entry.replace(b'"mv":"1"', b'"mv":"2"'))
    assert verify.TAMPERED == verify.verify(folder, place.policy)[0]


def test_a_repeated_request_is_decided_once(recorder: Recorder, model: LoadedModel) -> None:
    """The same key gives the same record at the same place, and the log does not grow."""
    number = recorder.number("client", "key")
    first = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
    again = recorder.repeated(recorder.number("client", "key"), SEVEN)
    assert again is not None
    assert first.made.canonical() == again.made.canonical()
    assert (first.index, first.id, first.entry) == (again.index, again.id, again.entry)
    assert 1 == recorder.ledger.checkpoint()[0].size


def test_two_at_once_under_one_key_get_one_decision(recorder: Recorder, model: LoadedModel) -> None:
    """Who loses the race for a key is given the record of who won."""
    number, gate = recorder.number("client", "key"), threading.Barrier(4)
    found: list[str] = []

    def ask() -> None:
        gate.wait()
        made = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
        found.append(f"{made.index} {made.made.at}")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 4 == len(found)
    assert 1 == len(set(found))
    assert 1 == recorder.ledger.checkpoint()[0].size


def test_a_key_used_for_another_request_is_refused(recorder: Recorder, model: LoadedModel) -> None:
    """A key that comes with other bytes gives nobody else's decision."""
    number = recorder.number("client", "key")
    recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
    with pytest.raises(KeyReused):
        recorder.repeated(number, versions.application(person="another"))


def test_keys_belong_to_their_caller_and_place(recorder: Recorder) -> None:
    """The same key of another caller, or of another place in a list, is another record."""
    ids = {
        recorder.number("client", "key"),
        recorder.number("another", "key"),
        recorder.number("client", "key", 1),
        recorder.number("client", None),
        recorder.number("client", None),
    }
    assert 5 == len(ids)


def test_neither_key_nor_values_stand_anywhere_in_clear(
    sqlite: SqlitePlace, model: LoadedModel
) -> None:
    """No file of the ledger or its keys holds the idempotency key or a value of the person."""
    recorder = Recorder(sqlite.ledger())
    number = recorder.number("client", "key-marked-5512")
    recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
    for path in sqlite.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"marked" not in content, path.name


def test_of_a_refused_application_without_a_subject_the_digest_is_kept(
    recorder: Recorder, model: LoadedModel
) -> None:
    """What nobody can find again for a person is not kept; that it was refused, and why, is."""
    data = b'{"broken": '
    given = recorder.record(data, decided(model, data), ORIGIN, CALL)
    found = recorder.read(as_number(given.id)).made
    assert ("refuse", None) == (found.decided.outcome, found.request)
    assert sha256_bytes(data) == found.request_sha256
    assert ["not-json"] == [each.rule for each in found.decided.problems]


def test_an_erased_decision_is_not_given_again(recorder: Recorder, model: LoadedModel) -> None:
    """After an erasure a repeated request gets Erased: neither the old answer nor a new one."""
    number = recorder.number("client", "key")
    recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
    planned = erasure.plan(recorder.ledger, "p-marked-7261")
    erasure.erase(recorder.ledger, planned, "asked for")
    with pytest.raises(Erased):
        recorder.repeated(number, SEVEN)


def test_who_looks_is_recorded_first(recorder: Recorder, model: LoadedModel) -> None:
    """Reading a decision leaves an entry about that person, with who read it."""
    given = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL)
    recorder.look(as_number(given.id), "auditor", "request 2")
    row = recorder.ledger.row(1)
    seen = json.loads(recorder.ledger.read(row.id).content)
    assert {"caller": "auditor", "decision_id": given.id, "request_id": "request 2"} == seen
    assert 2 == erasure.plan(recorder.ledger, "p-marked-7261").parts


def test_other_entries_are_no_decisions(recorder: Recorder, model: LoadedModel) -> None:
    """An id of a look, or of nothing, or that is no id, is not read as a decision."""
    given = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL)
    recorder.look(as_number(given.id), "auditor", "request 2")
    for number in (recorder.ledger.row(1).id, bytes(16)):
        with pytest.raises(NotThere):
            recorder.read(number)
    with pytest.raises(BadRequest):
        as_number("p-marked-7261")


def test_a_locked_database_gives_no_decision_and_loses_none(
    sqlite: SqlitePlace, model: LoadedModel
) -> None:
    """While another holds the database nothing is given out; asked again, it is decided once."""
    recorder = Recorder(sqlite.ledger())
    number = recorder.number("client", "key")
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pending = recorder.submit(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
    with pytest.raises(Unavailable):
        recorder.finish(pending, SEVEN, 0.3)
    other.execute("ROLLBACK")
    other.close()
    given = recorder.finish(pending, SEVEN)
    again = recorder.record(SEVEN, decided(model, SEVEN), ORIGIN, CALL, number)
    assert given.made.canonical() == again.made.canonical()
    assert given.index == again.index
    assert 1 == recorder.ledger.checkpoint()[0].size


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a library that lets one call fail with one error on one file."""
    return failing_disk(tmp_path_factory.mktemp("shim"))


def start(folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a process that records decisions under keys, from the first key on."""
    command = [sys.executable, "-m", "tests.decisions.recorder_process", str(folder)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})


def given(folder: Path) -> list[list[str]]:
    """Return what was given out: key, place and id of each decision; whole lines only."""
    notes = folder / "given"
    if not notes.exists():
        return []
    return [line.split() for line in notes.read_text().rpartition("\n")[0].splitlines()]


def wait_for(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while len(given(folder)) < count:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def test_killed_between_record_and_answer_nobody_is_decided_twice(sqlite: SqlitePlace) -> None:
    """Killed at any point and asked again, each key has one decision, the one given out."""
    for seen in (5, 60):
        process = start(sqlite.folder)
        wait_for(sqlite.folder, seen, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start(sqlite.folder)
    wait_for(sqlite.folder, 150, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told: dict[str, set[str]] = {}
    for key, *where in given(sqlite.folder):
        told.setdefault(key, set()).add(" ".join(where))
    assert {1} == {len(each) for each in told.values()}
    store = sqlite.store()
    assert len(told) <= store.next_seq() <= len(told) + 1
    for key, (where,) in told.items():
        index, number = where.split()
        assert {bytes.fromhex(number): int(index)} == store.seq_of([bytes.fromhex(number)]), key


@pytest.mark.parametrize(
    ("call", "errno"), [("fdatasync", 5), ("pwrite", 28)], ids=["fsync fails", "disk full"]
)
def test_a_disk_that_fails_gives_no_decision(
    sqlite: SqlitePlace, shim: Path, call: str, errno: int
) -> None:
    """A failed sync or a full disk ends in a refusal; what was given out before is there."""
    trigger = sqlite.folder / "fail"
    process = start(
        sqlite.folder,
        LD_PRELOAD=str(shim),
        FAIL_WHEN=str(trigger),
        FAIL_CALL=call,
        FAIL_ERRNO=str(errno),
        FAIL_PATH="ledger.db",
    )
    wait_for(sqlite.folder, 10, process)
    trigger.touch()
    assert 0 == process.wait(60)
    trigger.unlink()
    *told, last = given(sqlite.folder)
    assert "refused" == last[0]
    assert last[1] in {"Stopped", "Unavailable"}
    store = sqlite.store()
    for _, index, number in told:
        assert {bytes.fromhex(number): int(index)} == store.seq_of([bytes.fromhex(number)])
