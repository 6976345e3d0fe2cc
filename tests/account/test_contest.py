"""Contest and override: a person is heard, a named human answers, all of it on the record."""

from __future__ import annotations

import datetime as dt
import json
from itertools import count
from pathlib import Path

import msgspec
import pytest

from pipelines.account import afterwards, contest
from pipelines.account.afterwards import Changed, Contest, Override
from pipelines.decisions import rights
from pipelines.errors import BadRequest, GateRefused, NotThere
from pipelines.ledger import verify
from pipelines.ledger.bundle import write_bundle
from tests.account.worlds import DAY, PACK, World

PEOPLE = (f"person-{number}" for number in count())
STATEMENT = "my income was marked-91724 wrong"


def contested(world: World) -> tuple[bytes, str]:
    """Decide about somebody new and let them contest it; return the decision and who it is."""
    person = next(PEOPLE)
    number = world.decide(person)
    contest.contest(world.ledger, number, STATEMENT, "Ada", PACK, DAY)
    return number, person


def test_how_a_decision_stands_follows_from_the_entries(shared: World) -> None:
    """Original, contest and override are three entries; the last outcome by a person holds."""
    number, _ = contested(shared)
    before = afterwards.course(shared.ledger, number)
    assert (number.hex(), False, 1) == (before.head, before.by_person, len(before.open))
    _, said = contest.override(shared.ledger, number, "approve", "Grace", "income was wrong")
    after = afterwards.course(shared.ledger, number)
    assert ["contest", "override"] == [each.kind for each in after.steps]
    assert ("approve", True, ()) == (after.outcome, after.by_person, after.open)
    assert (number.hex(), (before.open[0].id,)) == (said.former_id, said.contests)
    assert before.first.made == after.first.made


def test_the_deadline_is_the_packs_and_is_recorded(shared: World) -> None:
    """The last day is the pack's days after the statement came in, with the pack's digest."""
    number, _ = contested(shared)
    ((_, said),) = afterwards.course(shared.ledger, number).of(Contest)
    assert dt.date(2026, 12, 20) == said.due
    assert ("pack", PACK.sha256, "Ada") == (said.policy, said.policy_sha256, said.person)


def test_a_pack_without_a_deadline_takes_no_contest(shared: World) -> None:
    """A contest that nobody must answer in time is none: it is refused, and nothing recorded."""
    number = shared.decide(next(PEOPLE))
    size = shared.bench.size()
    silent = msgspec.structs.replace(PACK, contest=None)
    with pytest.raises(BadRequest, match="does not say how long"):
        contest.contest(shared.ledger, number, STATEMENT, "Ada", silent)
    assert size == shared.bench.size()
    assert () == afterwards.course(shared.ledger, number).steps


def test_the_same_statement_is_recorded_once(shared: World) -> None:
    """Sent again it gives the entry there is, with the first deadline."""
    number, _ = contested(shared)
    (first,) = afterwards.course(shared.ledger, number).steps
    later = DAY + dt.timedelta(days=9)
    again, said = contest.contest(shared.ledger, number, STATEMENT, "Bob", PACK, later)
    assert (first.id, first.said) == (again, said)
    assert 1 == len(afterwards.course(shared.ledger, number).steps)


def test_four_eyes(shared: World) -> None:
    """Who asked for the decision, whom it is about, and an earlier reviewer are refused."""
    number, person = contested(shared)
    for name in ("core", "CORE ", person):
        with pytest.raises(GateRefused, match="no part in it"):
            contest.override(shared.ledger, number, "approve", name, "because")
    contest.override(shared.ledger, number, "decline", "Grace", "because")
    with pytest.raises(GateRefused, match="no part in it"):
        contest.override(shared.ledger, number, "approve", "grace", "changed my mind")
    _, said = contest.override(shared.ledger, number, "approve", "Edsger", "a third look")
    ((reviewed, _), _) = afterwards.course(shared.ledger, number).of(Override)
    assert reviewed.id == said.former_id


def test_of_two_reviews_at_once_one_counts(shared: World) -> None:
    """An entry's id follows from what it takes the place of, so the second one is refused."""
    number, person = contested(shared)
    found = afterwards.course(shared.ledger, number)
    said = Override(
        decision_id=found.id,
        former_id=found.head,
        outcome="decline",
        person="Alan",
        reason="meanwhile",
        at="2026-11-22",
        contests=(),
    )
    key = afterwards.number_of(shared.ledger, "override", found.id, found.head)
    draft = afterwards.drafted(key, "override", said, person)
    afterwards.append(shared.ledger, draft)
    with pytest.raises(Changed):
        afterwards.append(shared.ledger, draft)


def test_nobody_named_and_no_reason_override_nothing(shared: World) -> None:
    """A review needs a person, a reason and one of three outcomes."""
    number, _ = contested(shared)
    for outcome, name, reason in (
        ("approve", "anonymous", "because"),
        ("approve", "Grace", "  "),
        ("aprove", "Grace", "because"),
        ("refuse", "Grace", "because"),
    ):
        with pytest.raises(BadRequest):
            contest.override(shared.ledger, number, outcome, name, reason)
    assert 1 == len(afterwards.course(shared.ledger, number).open)


def test_a_referral_answers_nothing(shared: World) -> None:
    """Passing a case on leaves its contests open, and their deadlines run."""
    number, _ = contested(shared)
    contest.override(shared.ledger, number, "refer", "Grace", "for the specialist")
    assert 1 == len(afterwards.course(shared.ledger, number).open)


def test_open_contests_come_with_their_deadlines_and_overdue_ones_alarm(fresh: World) -> None:
    """The most urgent first; the day after the last one alarms, an answer ends it."""
    first, second = fresh.decide("person-a"), fresh.decide("person-b")
    contest.contest(fresh.ledger, first, STATEMENT, "Ada", PACK, DAY)
    contest.contest(fresh.ledger, second, STATEMENT, "Ada", PACK, DAY - dt.timedelta(days=3))
    found = contest.waiting(fresh.ledger)
    assert [second.hex(), first.hex()] == [each.decision_id for each in found]
    last = found[0].due
    assert (0, None) == (found[0].left(last), contest.overdue(found, last))
    alarm = contest.overdue(found, last + dt.timedelta(days=1))
    assert isinstance(alarm, GateRefused)
    assert "1 overdue" in str(alarm)
    contest.override(fresh.ledger, second, "decline", "Grace", "it was right")
    assert [first.hex()] == [each.decision_id for each in contest.waiting(fresh.ledger)]


def test_entries_tell_nobody_what_they_are_about(shared: World) -> None:
    """Neither the person, the statement nor the decision's id stands outside the encrypted body."""
    number, person = contested(shared)
    contest.override(shared.ledger, number, "approve", "Grace", "reason-marked-55")
    for each in afterwards.course(shared.ledger, number).steps:
        entry = shared.ledger.row(each.index).entry.decode()
        for text in (person, STATEMENT, number.hex(), "Grace", "reason-marked-55"):
            assert text not in entry


def test_a_contest_is_proven_like_a_decision(shared: World, tmp_path: Path) -> None:
    """The one-file verifier takes the bundle of an override."""
    number, _ = contested(shared)
    made, _ = contest.override(shared.ledger, number, "approve", "Grace", "because")
    folder = tmp_path / "bundle"
    write_bundle(shared.ledger, bytes.fromhex(made), folder)
    code, text = verify.verify(folder, shared.bench.place.policy)
    assert (verify.FINE, True) == (code, "1 of 1 parts disclosed" in text)


def test_an_export_has_contest_and_override(shared: World) -> None:
    """What a person said and what was answered is among all that is recorded about them."""
    number, person = contested(shared)
    contest.override(shared.ledger, number, "approve", "Grace", "because")
    found = rights.export(shared.ledger, person, "Ada")
    kinds = [each["kind"] for each in found["records"]]
    assert ["decision", "contest", "override", "export"] == kinds
    assert STATEMENT in json.dumps(found)


def test_an_erasure_takes_contest_and_override_too(fresh: World) -> None:
    """After it the decision, the statement and the answer are gone, and no contest is open."""
    number = fresh.decide("person-a")
    contest.contest(fresh.ledger, number, STATEMENT, "Ada", PACK, DAY)
    other = fresh.decide("person-b")
    contest.contest(fresh.ledger, other, STATEMENT, "Ada", PACK, DAY)
    planned = rights.plan(fresh.ledger, "person-a", PACK, dt.date(2100, 1, 1))
    assert 2 == planned.parts
    rights.erase(fresh.ledger, "person-a", planned, PACK, "Ada", "asked for")
    assert [other.hex()] == [each.decision_id for each in contest.waiting(fresh.ledger)]
    assert 0 == len(fresh.ledger.keys.of_subject("person-a"))


def test_an_application_sent_back_is_no_decision(shared: World) -> None:
    """Nobody was decided about, so there is nothing to contest; an unknown id is not there."""
    number = shared.decide(next(PEOPLE), income="many")
    with pytest.raises(BadRequest, match="nobody was decided about"):
        contest.contest(shared.ledger, number, STATEMENT, "Ada", PACK)
    with pytest.raises(NotThere):
        contest.contest(shared.ledger, bytes(16), STATEMENT, "Ada", PACK)
