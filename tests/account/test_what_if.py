"""What if: the model that decided is asked again about changed values, and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipelines.account import kept_plan
from pipelines.account.again import Where
from pipelines.account.then import model_of, then
from pipelines.account.what_if import WhatIf, changed, what_if
from pipelines.decisions.record import Recorded, as_number, decision, draft
from pipelines.errors import BadRequest, ClewError, IntegrityBroken, NotThere
from pipelines.ledger.entry import read_entry
from pipelines.ledger.keys import ordered_id
from pipelines.records import Promotion
from tests.account.world import World
from tests.decisions import versions

DECLINED = versions.application(income=2.0, self=18)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world") / "here")
    yield made
    made.close()


@pytest.fixture(scope="module")
def promotion(world: World) -> Promotion:
    return world.version()


@pytest.fixture(scope="module")
def where(world: World) -> Where:
    return Where(world.state, world.folder, world.opened)


def asked(world: World, where: Where, found: Recorded, **changes: str | None) -> WhatIf:
    return what_if(world.ledger, where, as_number(found.id), changes, "Ada")


def test_the_answer_is_what_the_model_would_have_decided(
    world: World, where: Where, promotion: Promotion
) -> None:
    """A changed application is answered as the same application sent to the same model."""
    (found,) = world.decide(promotion, [DECLINED])
    told = asked(world, where, found, income="80", job="cook")
    (sent,) = world.decide(promotion, [versions.application(income=80, self=18, job="cook")])
    assert (found.made.decided.outcome, found.made.decided.margin) == (
        told.before.outcome,
        told.before.margin,
    )
    assert told.after is not None
    decided = sent.made.decided
    assert (decided.outcome, decided.margin, decided.reasons) == (
        told.after.outcome,
        told.after.margin,
        told.after.reasons,
    )
    assert told.before.margin != told.after.margin


def test_nothing_is_decided_and_the_look_is_recorded(
    world: World, where: Where, promotion: Promotion
) -> None:
    """One entry more, and it says who looked."""
    (found,) = world.decide(promotion, [DECLINED])
    before = world.ledger.checkpoint()[0].size
    asked(world, where, found, income="80")
    entries = [read_entry(row.entry) for row in world.ledger.store.rows(before, before + 9)]
    assert ["look"] == [each["t"] for each in entries]
    seen = json.loads(world.ledger.read(bytes.fromhex(entries[0]["id"])).content)
    assert ("Ada", found.id, "what-if") == (
        seen["caller"],
        seen["decision_id"],
        seen["request_id"],
    )


def test_a_change_that_the_model_does_not_read_is_named(
    world: World, where: Where, promotion: Promotion
) -> None:
    """Whoever asks about a column that is no input learns that, beside the same margin."""
    (found,) = world.decide(promotion, [DECLINED])
    told = asked(world, where, found, income="80", origin="north")
    assert ("origin",) == told.unread
    alone = asked(world, where, found, origin="north")
    assert alone.after is not None
    assert alone.before.margin == alone.after.margin


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"income": "plenty"}, "wrong-type"),
        ({"income": None}, "missing"),
        ({"job": "pirate"}, "unseen"),
        ({"grade": "1.5"}, "wrong-type"),
    ],
)
def test_a_change_is_held_to_the_contract(
    world: World, where: Where, promotion: Promotion, changes: dict[str, str | None], rule: str
) -> None:
    """What an application may not say is refused with its field and rule, as the service would."""
    (found,) = world.decide(promotion, [DECLINED])
    told = asked(world, where, found, **changes)
    assert told.after is None
    assert [(*changes, rule)] == [(each.field, each.rule) for each in told.refused]


@pytest.mark.parametrize("name", ["incme", "person", "good", "notes"])
def test_only_fields_of_an_application_change(
    world: World, where: Where, promotion: Promotion, name: str
) -> None:
    """An unknown column, the person, the target and what is not asked for cannot be changed."""
    (found,) = world.decide(promotion, [DECLINED])
    with pytest.raises(BadRequest) as refused:
        asked(world, where, found, **{name: "1"})
    assert "p-marked-7261" not in str(refused.value)


def test_other_fields_keep_every_digit(world: World, where: Where, promotion: Promotion) -> None:
    """A number that no double holds exactly is passed on as it was written."""
    text = versions.application(income=2.0).replace(b"-0.25", b"0.1000000000000000000000000001e0")
    (found,) = world.decide(promotion, [text])
    known = then(where, found)
    column = known.model.admission.fields["income"].column
    data = changed(known, [(column, "7")])
    protected = known.model.admission.fields["origin"].column
    assert b'"origin":"north"' in changed(known, [(protected, "north")])
    assert b'"ratio":0.1000000000000000000000000001e0' in data
    assert 7 == json.loads(data)["income"]


def test_a_record_that_its_model_does_not_give_is_an_alarm(
    world: World, where: Where, promotion: Promotion
) -> None:
    """Nothing is answered about a decision that the model at hand did not make."""
    (found,) = world.decide(promotion, [DECLINED])
    wrong = msgspec.structs.replace(found.made.decided, margin=(0.5).hex())
    made = decision(DECLINED, wrong, found.made.origin, found.made.call, 1_780_000_000_000)
    number = ordered_id()
    world.ledger.record(draft(made, number, 1_780_000_000_000))
    with pytest.raises(IntegrityBroken):
        what_if(world.ledger, where, number, {"income": "80"}, "Ada")


@pytest.mark.parametrize("sent", [b"[]", versions.application(job="pirate")])
def test_what_was_sent_back_has_no_what_if(
    world: World, where: Where, promotion: Promotion, sent: bytes
) -> None:
    """An application that was refused was not decided, so there is nothing to compare with."""
    (found,) = world.decide(promotion, [sent])
    with pytest.raises(NotThere):
        asked(world, where, found, income="80")


def test_a_model_that_does_not_load_any_more_answers_by_its_proven_plan(
    world: World, where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its plan is taken out in its own environment, checked by digest, kept, and gives the bits."""
    from pipelines.account import then as module

    def cannot(*_: object) -> None:
        raise AttributeError("no attribute of that time")

    found = world.decide(world.version("trees"), [DECLINED, versions.application()])
    monkeypatch.setattr(module, "load", cannot)
    here = Where(world.state, Path(__file__).parents[2], world.opened)
    assert [each.made.decided.margin for each in found] == [
        then(here, each).said.margin for each in found
    ]
    kept = next(world.state.versions.glob(f"*/{kept_plan.NAME}"))
    kept.write_bytes(kept.read_bytes().replace(b"0x1.", b"0x0.", 1))
    module._remembered.cache_clear()
    with pytest.raises(ClewError) as refused:
        then(here, found[0])
    assert isinstance(refused.value, IntegrityBroken)
    assert model_of is module.model_of
