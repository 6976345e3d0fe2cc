"""One person's rights: what may be erased, what must be kept, and all there is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipelines.decisions import rights
from pipelines.decisions.load import LoadedModel
from pipelines.decisions.record import Recorder, as_number
from pipelines.errors import BadRequest, Erased, GateRefused, NotThere
from pipelines.ledger import verify
from pipelines.ledger.bundle import copy_log
from pipelines.release.policy import Retention
from tests.decisions import desks, versions
from tests.ledger.places import SqlitePlace

SUBJECT = "p-marked-7261"
FAR = dt.date(2100, 1, 1)
KEPT = msgspec.structs.replace(
    desks.PACK, retention={"decision": Retention(months=25, because="made up")}
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return versions.loaded(tmp_path_factory.mktemp("model") / "version")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[SqlitePlace]:
    made = SqlitePlace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def recorder(place: SqlitePlace) -> Recorder:
    return Recorder(place.ledger())


def decide(recorder: Recorder, model: LoadedModel, person: str = SUBJECT) -> str:
    """Record one decision about a person; return its id."""
    data = versions.application(person=person)
    made = desks.decided(model, data)
    return recorder.record(data, made, desks.ORIGIN, desks.CALL).id


@pytest.mark.parametrize(
    ("bucket", "day"),
    [
        ("2026-11/decision", dt.date(2029, 1, 1)),
        ("2026-12/decision", dt.date(2029, 2, 1)),
        ("2026-01/decision", dt.date(2028, 3, 1)),
        ("2026-11/look", dt.date(2029, 1, 1)),
        ("2026-11/short", dt.date(2027, 1, 1)),
    ],
)
def test_records_are_kept_from_the_end_of_their_month(bucket: str, day: dt.date) -> None:
    """The months of the rule are counted so that no record of the bucket goes too early."""
    rules = KEPT.retention | {"short": Retention(months=1, because="made up")}
    assert day == rights.kept_until(bucket, rules)


def test_a_pack_without_a_rule_erases_nothing(recorder: Recorder, model: LoadedModel) -> None:
    """Where nobody said how long records must be kept, nothing may go."""
    decide(recorder, model)
    silent = msgspec.structs.replace(desks.PACK, retention={})
    with pytest.raises(BadRequest, match="does not say"):
        rights.plan(recorder.ledger, SUBJECT, silent, FAR)


def test_what_the_law_wants_kept_is_deferred(recorder: Recorder, model: LoadedModel) -> None:
    """Before the day the plan names it, erasing is refused, and the decision can be read."""
    number = decide(recorder, model)
    today = dt.datetime.now(dt.UTC).date()
    planned = rights.plan(recorder.ledger, SUBJECT, KEPT, today)
    (day,) = planned.deferred.values()
    assert ((), 0) == (planned.now, planned.parts)
    assert day > today + dt.timedelta(days=25 * 28)
    with pytest.raises(GateRefused):
        rights.erase(recorder.ledger, SUBJECT, planned, KEPT, "Ada", "asked for")
    assert SUBJECT == recorder.read(as_number(number)).made.decided.subject


def test_an_erasure_takes_one_person_and_everything_verifies(
    recorder: Recorder, place: SqlitePlace, model: LoadedModel, tmp_path: Path
) -> None:
    """What is erased cannot be read, another's can, the log is intact, who did it is recorded."""
    mine, other = decide(recorder, model), decide(recorder, model, "p-other")
    planned = rights.plan(recorder.ledger, SUBJECT, KEPT, FAR)
    done = rights.erase(recorder.ledger, SUBJECT, planned, KEPT, "Ada", "asked for")
    assert 1 == done.parts
    with pytest.raises(Erased):
        recorder.read(as_number(mine))
    assert "p-other" == recorder.read(as_number(other)).made.decided.subject
    copy = tmp_path / "copy.db"
    copy_log(recorder.ledger.store, copy)
    assert verify.FINE == verify.verify(copy, place.policy)[0]
    word = json.loads(recorder.ledger.read(recorder.ledger.row(2).id).content)
    assert {"person": "Ada", "reason": "asked for"} == word


def test_a_legal_hold_stops_an_erasure(recorder: Recorder, model: LoadedModel) -> None:
    """Under a hold nothing is erased, however old it is."""
    number = decide(recorder, model)
    recorder.ledger.keys.store.set_hold(recorder.ledger.keys.ref(SUBJECT), "a lawsuit")
    planned = rights.plan(recorder.ledger, SUBJECT, KEPT, FAR)
    with pytest.raises(GateRefused, match="hold"):
        rights.erase(recorder.ledger, SUBJECT, planned, KEPT, "Ada", "asked for")
    assert recorder.read(as_number(number))


def test_an_export_has_all_of_one_person_and_nothing_of_another(
    recorder: Recorder, model: LoadedModel
) -> None:
    """Decisions, looks and the export itself; and the request as it was sent."""
    mine = decide(recorder, model)
    decide(recorder, model, "p-other")
    recorder.look(as_number(mine), "auditor", "request 2")
    found = rights.export(recorder.ledger, SUBJECT, "Ada")
    assert ["decision", "look", "export"] == [each["kind"] for each in found["records"]]
    assert json.loads(versions.application()) == json.loads(
        found["records"][0]["content"]["request"]
    )
    assert "p-other" not in json.dumps(found)


def test_nothing_of_a_person_is_not_there(recorder: Recorder) -> None:
    """Who is not recorded can neither be exported nor erased, and leaves no trace of the asking."""
    with pytest.raises(NotThere):
        rights.export(recorder.ledger, SUBJECT, "Ada")
    with pytest.raises(NotThere):
        rights.plan(recorder.ledger, SUBJECT, KEPT, FAR)
    assert 0 == recorder.ledger.checkpoint()[0].size
