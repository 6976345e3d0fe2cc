"""An incident: whom it touched, the way back, deciding again, and the clock."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipelines.account import (
    afterwards,
    contest,
    incident,
    incident_report,
    notify,
    redecide,
    rollback,
)
from pipelines.account.afterwards import Redecision
from pipelines.account.again import Where
from pipelines.account.incident import Dossier
from pipelines.account.letter_text import page
from pipelines.decisions import rights
from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import LoadedModel, Standing
from pipelines.decisions.record import Recorder
from pipelines.decisions.service.in_force import Loaded, load_promoted
from pipelines.errors import BadRequest, GateRefused, NotThere
from pipelines.layout import Layout
from pipelines.ledger.log import Ledger
from pipelines.params import DecideParams, LetterParams
from pipelines.ports import Context
from tests.account.worlds import DAY, PACK, world
from tests.conftest import ROOT
from tests.decisions import desks, versions

# The two models agree about the first four people and disagree about the others, both ways.
APPLICATIONS: tuple[dict[str, object], ...] = (
    {"income": 0.0},
    {"income": 31.25},
    {"income": 150.0},
    {"income": 600.0},
    {"income": 20.8, "self": 6, "owner": False, "ratio": 0.42},
    {"income": 18.2, "self": 5, "job": "clerk", "owner": False, "ratio": -0.97},
    {"income": 7.1, "self": 1, "job": "clerk", "owner": False, "grade": 1, "ratio": -0.56},
    {"income": 23.7, "self": 8, "owner": False, "grade": 3, "ratio": -0.15},
    {"income": 23.9, "self": 8, "job": "clerk", "grade": 3, "ratio": -0.47},
)
LENDER = LetterParams(organisation="o", address="a", contact="c", agency="g")


class Trouble:
    """A world where version 2 was promoted and decided about nine people, and is bad."""

    def __init__(self, folder: Path) -> None:
        self.world = world(folder)
        self.before = self.world.decide("person-before")
        desks.promote(self.world.bench.registry, "2")
        self.people = [
            self.world.decide(f"person-{n}", **fields) for n, fields in enumerate(APPLICATIONS)
        ]
        self.loaded = self.load("1", folder / "first")

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def load(self, version: str, folder: Path) -> Loaded:
        registry = self.world.bench.registry
        promotion = next(each for each in registry.promotions() if each.version == version)
        return load_promoted(registry, promotion, DecideParams(), folder)

    def open(self, name: str = "2", target: incident.Target = "model-version") -> Dossier:
        return incident.open_incident(
            self.ledger, target, name, "", "Ada", "it is wrong", PACK, DAY
        )

    def outcomes(self, model: LoadedModel) -> list[str]:
        """Return what a model says of everybody."""
        return [
            decide(
                Standing(model),
                versions.application(person=f"person-{n}", **fields),
                "x",
                Holdout(),
            ).outcome
            for n, fields in enumerate(APPLICATIONS)
        ]

    def standing(self) -> list[str]:
        return [afterwards.course(self.ledger, each).outcome for each in self.people]

    def again(self, number: str, person: str = "Grace") -> redecide.Tally:
        return redecide.redecide(
            Recorder(self.ledger, "surroundings"),
            bytes.fromhex(number),
            self.loaded.model,
            self.loaded.origin,
            "ask",
            person,
            "mend",
        )


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[Trouble]:
    made = Trouble(tmp_path)
    yield made
    made.world.bench.place.close()


def test_the_affected_are_those_whose_decision_rests_on_it(trouble: Trouble) -> None:
    """By version: those it decided about and nobody else; by snapshot: all that rest on it."""
    found = trouble.open()
    assert trouble.people == incident.affected(trouble.ledger, found.incident)
    whole = trouble.open("snapshot", "snapshot")
    assert [trouble.before, *trouble.people] == incident.affected(trouble.ledger, whole.incident)
    with pytest.raises(NotThere):
        trouble.open("3")


def test_the_clock_is_the_packs(trouble: Trouble) -> None:
    """The first kind without a choice; the last day counts from when it became known."""
    found = trouble.open()
    assert ("serious", dt.date(2026, 12, 7)) == (found.incident.kind, found.incident.due)
    assert 15 == found.left(DAY.date())
    with pytest.raises(BadRequest, match="no such kind"):
        incident.deadline(PACK, "deth")
    assert ("death", 10) == incident.deadline(PACK, "death")
    with pytest.raises(BadRequest, match="does not say until when"):
        incident.deadline(msgspec.structs.replace(PACK, incident=None), "")


def test_an_incident_that_is_not_reported_in_time_alarms(trouble: Trouble) -> None:
    """The day after the last one alarms; a recorded report stops the clock for good."""
    found = trouble.open()
    last = found.incident.due
    assert None is incident.overdue(incident.incidents(trouble.ledger), last)
    late = last + dt.timedelta(days=1)
    assert isinstance(incident.overdue(incident.incidents(trouble.ledger), late), GateRefused)
    incident.act(trouble.ledger, bytes.fromhex(found.id), "reported", "Ada", "told", {"to": "them"})
    again = incident.incidents(trouble.ledger)
    assert (None, None) == (incident.overdue(again, late), again[0].left(late))


def test_a_dry_run_tells_whose_decision_would_change_and_changes_none(trouble: Trouble) -> None:
    """Exactly those where the other model's word would hold otherwise; nothing is decided."""
    found, before = trouble.open(), trouble.standing()
    tally = redecide.dry_run(
        trouble.ledger, bytes.fromhex(found.id), trouble.loaded.model, "Ada", "see"
    )
    after = trouble.outcomes(trouble.loaded.model)
    expected = [
        number.hex()
        for number, old, new in zip(trouble.people, before, after, strict=True)
        if old != redecide.holds(old, new)
    ]
    assert expected == tally.changed
    assert 0 < len(expected) < len(trouble.people)
    assert before == trouble.standing()
    (action,) = incident.dossier(trouble.ledger, bytes.fromhex(found.id)).done("dry-run")
    assert tally.told() == action.came_to
    assert not any(each in json.dumps(action.came_to) for each in expected)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("decline", "approve", "approve"),
        ("approve", "decline", "refer"),
        ("approve", "approve", "approve"),
        ("decline", "decline", "decline"),
        ("decline", "refuse", "refer"),
        ("refer", "approve", "approve"),
    ],
)
def test_a_machine_takes_no_approval_away(before: str, after: str, expected: str) -> None:
    """Who was approved and would now be declined goes to a person."""
    assert expected == redecide.holds(before, after)


def test_deciding_again_carries_out_the_dry_run(trouble: Trouble) -> None:
    """Each affected decision has a new entry that points at it; what changes is what was shown."""
    found, before = trouble.open(), trouble.standing()
    number = bytes.fromhex(found.id)
    tried = redecide.dry_run(trouble.ledger, number, trouble.loaded.model, "Ada", "see")
    tally = trouble.again(found.id)
    assert tried.changed == tally.changed
    after = trouble.outcomes(trouble.loaded.model)
    expected = [redecide.holds(old, new) for old, new in zip(before, after, strict=True)]
    assert expected == trouble.standing()
    for each in trouble.people:
        course = afterwards.course(trouble.ledger, each)
        ((step, said),) = course.of(Redecision)
        assert (each.hex(), found.id, "1", "surroundings") == (
            said.former_id,
            said.incident_id,
            said.made.origin.version,
            said.made.decided_in,
        )
        assert step.id == course.head
    assert () == afterwards.course(trouble.ledger, trouble.before).steps


def test_deciding_again_twice_records_it_once(trouble: Trouble) -> None:
    """Killed and started again it goes on; done already, it changes nothing."""
    found = trouble.open()
    number = bytes.fromhex(found.id)
    redecide.dry_run(trouble.ledger, number, trouble.loaded.model, "Ada", "see")
    first = trouble.again(found.id)
    size = trouble.world.bench.size()
    assert first.told() == trouble.again(found.id).told()
    assert size == trouble.world.bench.size()


def test_no_dry_run_no_approval(trouble: Trouble) -> None:
    """Without one, or when something else would change by now, nothing is decided."""
    found = trouble.open()
    number = bytes.fromhex(found.id)
    with pytest.raises(GateRefused, match="no dry run"):
        trouble.again(found.id)
    tally = redecide.dry_run(trouble.ledger, number, trouble.loaded.model, "Ada", "see")
    contest.override(trouble.ledger, bytes.fromhex(tally.changed[0]), "approve", "Edsger", "why")
    with pytest.raises(GateRefused, match="not what the last dry run showed"):
        trouble.again(found.id)
    assert not any(
        list(afterwards.course(trouble.ledger, each).of(Redecision)) for each in trouble.people
    )


def test_four_eyes_on_deciding_again(trouble: Trouble) -> None:
    """Whoever opened the incident does not approve what is decided again."""
    found = trouble.open()
    redecide.dry_run(trouble.ledger, bytes.fromhex(found.id), trouble.loaded.model, "Ada", "see")
    with pytest.raises(GateRefused, match="did not open"):
        trouble.again(found.id, "ada")


def test_the_bad_version_decides_nothing_again(trouble: Trouble, tmp_path: Path) -> None:
    """Neither the version itself nor another one of the bad snapshot."""
    bad = trouble.load("2", tmp_path / "bad").model
    by_version, by_snapshot = trouble.open(), trouble.open("snapshot", "snapshot")
    for found, model in ((by_version, bad), (by_snapshot, trouble.loaded.model)):
        with pytest.raises(GateRefused, match="part of the incident"):
            redecide.dry_run(trouble.ledger, bytes.fromhex(found.id), model, "Ada", "see")


def test_a_persons_review_is_left_alone(trouble: Trouble) -> None:
    """What a named person decided holds, and the figures say so."""
    contest.override(trouble.ledger, trouble.people[0], "approve", "Edsger", "why")
    found = trouble.open()
    number = bytes.fromhex(found.id)
    tally = redecide.dry_run(trouble.ledger, number, trouble.loaded.model, "Ada", "see")
    assert {"a person decided": 1} == tally.told()["left_alone"]
    trouble.again(found.id)
    assert "approve" == afterwards.course(trouble.ledger, trouble.people[0]).outcome


def test_the_erased_are_counted_and_left_alone(trouble: Trouble) -> None:
    """Who was erased is not decided about again."""
    planned = rights.plan(trouble.ledger, "person-3", PACK, dt.date(2100, 1, 1))
    rights.erase(trouble.ledger, "person-3", planned, PACK, "Ada", "asked")
    found = trouble.open()
    tally = redecide.dry_run(
        trouble.ledger, bytes.fromhex(found.id), trouble.loaded.model, "Ada", "see"
    )
    assert ({"erased": 1}, 8) == (tally.told()["left_alone"], tally.told()["decided_again"])


def context(trouble: Trouble) -> Context:
    registry = trouble.world.bench.registry
    return Context(Layout(ROOT), trouble.world.state, lambda _: registry)


def test_rolling_back_takes_the_bad_champion_out(trouble: Trouble) -> None:
    """The promotion is undone, the trail says why, and the dossier has it."""
    found = trouble.open()
    number = bytes.fromhex(found.id)
    assert ("2", "1") == rollback.plan(context(trouble), trouble.ledger, number)
    assert "1" == rollback.run(context(trouble), trouble.ledger, number, "Ada", "it is wrong")
    assert "1" == trouble.world.bench.registry.aliases()["champion"]
    (action,) = incident.dossier(trouble.ledger, number).done("rolled-back")
    assert trouble.world.bench.registry.promotions()[-1].id == action.came_to["promotion_id"]
    with pytest.raises(NotThere, match="no part"):
        rollback.plan(context(trouble), trouble.ledger, number)


def test_nobody_rolls_back_to_what_is_bad_too(trouble: Trouble) -> None:
    """Where the version before rests on the same snapshot, people decide."""
    found = trouble.open("snapshot", "snapshot")
    with pytest.raises(GateRefused, match="no former champion"):
        rollback.plan(context(trouble), trouble.ledger, bytes.fromhex(found.id))


def test_everybody_whose_decision_changed_gets_a_letter(trouble: Trouble, tmp_path: Path) -> None:
    """One file each, named by the decision; it says that we were wrong and what holds now."""
    found = trouble.open()
    number = bytes.fromhex(found.id)
    redecide.dry_run(trouble.ledger, number, trouble.loaded.model, "Ada", "see")
    tally, folder = trouble.again(found.id), tmp_path / "letters"
    where = Where(trouble.world.state, ROOT, trouble.world.bench.opened)
    office = notify.Office(trouble.ledger, where, Layout(ROOT), LENDER)
    assert len(tally.changed) == notify.run(office, tally.changed, folder, "html", "en", "Grace")
    assert sorted(tally.changed) == sorted(path.stem for path in folder.iterdir())
    for each in folder.iterdir():
        outcome = afterwards.course(trouble.ledger, bytes.fromhex(each.stem)).outcome
        told = {"approve": "is now approved", "decline": "is now declined", "refer": "to a person"}
        assert "We found a fault" in each.read_text()
        assert told[outcome] in each.read_text()


def test_the_dossier_is_derived_and_names_no_person_decided_about(trouble: Trouble) -> None:
    """Facts and page hold the incident, its clock, every action and the affected ids."""
    found = trouble.open()
    number = bytes.fromhex(found.id)
    redecide.dry_run(trouble.ledger, number, trouble.loaded.model, "Ada", "see")
    whole = incident.dossier(trouble.ledger, number)
    touched = incident.affected(trouble.ledger, whole.incident)
    facts = incident_report.facts(whole, touched, DAY.date())
    shown = page(incident_report.report(whole, touched, DAY.date()))
    assert (15, [each.hex() for each in trouble.people]) == (facts["days_left"], facts["affected"])
    assert ["dry-run"] == [each["did"] for each in facts["actions"]]
    for text in ("15 days left", "model-version 2", trouble.people[0].hex(), "would change"):
        assert text in shown
    assert "person-" not in shown + json.dumps(facts)


def test_entries_of_an_incident_hold_no_name(trouble: Trouble) -> None:
    """Who opened it is encrypted; the version stands in the open, as in any decision."""
    found = trouble.open()
    row = trouble.ledger.row(trouble.ledger.find(bytes.fromhex(found.id)))
    assert b"Ada" not in row.entry
    assert "2" == json.loads(row.entry)["mv"]
