"""Replay: a recorded decision comes out again, bit for bit, or it is said in which fields not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipelines.account.again import Where
from pipelines.account.replay import (
    Receipt,
    ReceiptOfMany,
    Replayed,
    refuse_differing,
    replay,
    replay_many,
)
from pipelines.decisions import readback
from pipelines.decisions.decide import Holdout
from pipelines.decisions.record import Recorded, as_number, decision, draft
from pipelines.decisions.records import Stop
from pipelines.errors import Erased, IntegrityBroken, NotThere
from pipelines.ledger import erasure
from pipelines.ledger.keys import ordered_id
from pipelines.ports import Registry
from pipelines.records import Promotion
from tests.account.world import World
from tests.conftest import copy_of_tree, git
from tests.decisions import versions

DECLINED = versions.application(income=2.0, self=18)
STOPPED = Stop(person="Ada", reason="a test", at="2026-11-22T00:00:00Z")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_tree(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world") / "here")
    yield made
    made.close()


@pytest.fixture(scope="module")
def promotion(world: World, repository: Path) -> Promotion:
    return world.version(commit=git(repository, "rev-parse", "HEAD"))


@pytest.fixture(scope="module")
def where(world: World, repository: Path) -> Where:
    return Where(world.state, repository, world.opened)


def replayed(world: World, where: Where, found: Recorded) -> Replayed:
    return replay(world.ledger, where, as_number(found.id), "Ada")


def forged(world: World, found: Recorded, **changes: object) -> Recorded:
    """Record a decision as a service would that decided otherwise than its model."""
    wrong = msgspec.structs.replace(found.made.decided, **changes)
    assert found.made.request is not None
    made = decision(
        found.made.request, wrong, found.made.origin, found.made.call, 1_780_000_000_000
    )
    number = ordered_id()
    world.ledger.record(draft(made, number, 1_780_000_000_000))
    return world.recorder.read(number)


def test_a_decision_comes_out_again_bit_for_bit(
    world: World, where: Where, promotion: Promotion
) -> None:
    """A decline with reasons, by its version's own code and lock, in a sandbox, is identical."""
    (found,) = world.decide(promotion, [DECLINED])
    assert found.made.decided.reasons
    receipt = replayed(world, where, found).receipt
    assert ("identical", ()) == (receipt.result, receipt.differences)
    told = receipt.surroundings
    assert ("recorded", found.made.origin.commit) == (told.whose_code, told.code)
    assert not told.other_interpreter


def test_all_that_a_decision_can_be_comes_out_again(
    world: World, where: Where, promotion: Promotion
) -> None:
    """Approved, held out, stopped, outside what is documented, sent back: all as recorded."""
    sent = [versions.application(), versions.application(town="Nowhere"), DECLINED]
    found = world.decide(promotion, sent)
    found += world.decide(promotion, sent[:1], holdout=Holdout(1.0, b"key"))
    found += world.decide(promotion, sent[:1], stop=STOPPED)
    found += world.decide(promotion, [versions.application(job="pirate")])
    bases = [each.made.decided.because for each in found]
    assert {"score", "outside", "holdout", "stopped", "refused"} == set(bases)
    many = replay_many(world.ledger, where, [each.index for each in found], "Ada")
    assert {"1": {"identical": 6}} == many.counts


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"outcome": "approve"}, ["outcome"]),
        ({"reasons": ()}, ["reasons"]),
        ({"margin": (0.5).hex(), "probability": 0.75}, ["margin", "probability"]),
        ({"values": {"income": 3.0}}, ["values"]),
        ({"approve_from": (9.0).hex()}, ["approve_from"]),
    ],
)
def test_a_decision_that_its_model_did_not_make_differs(
    world: World, where: Where, promotion: Promotion, changes: dict[str, object], fields: list[str]
) -> None:
    """What was recorded and is not what the model gives is named by field, without a value."""
    (found,) = world.decide(promotion, [DECLINED])
    receipt = replayed(world, where, forged(world, found, **changes)).receipt
    assert "differs" == receipt.result
    assert fields == sorted({each.field.partition(".")[0] for each in receipt.differences})


def test_a_last_bit_is_told_from_more(world: World, where: Where, promotion: Promotion) -> None:
    """A margin one unit in the last place off is `within`, with the unit told."""
    (found,) = world.decide(promotion, [DECLINED])
    assert found.made.decided.margin is not None
    margin = float.fromhex(found.made.decided.margin)
    nudged = forged(world, found, margin=(margin + 2.0**-52 * abs(margin)).hex())
    receipt = replayed(world, where, nudged).receipt
    assert "within" == receipt.result
    assert [("margin", True)] == [(each.field, each.ulps in {1, 2}) for each in receipt.differences]


def test_the_receipt_is_a_sealed_entry_without_a_value(
    world: World, where: Where, promotion: Promotion
) -> None:
    """The receipt is recorded under the person's key and proves itself; it quotes no value."""
    (found,) = world.decide(promotion, [DECLINED])
    done = replayed(world, where, found)
    entry = json.loads(done.entry)
    assert ("replay", "identical", "1") == (entry["t"], entry["r"], entry["mv"])
    kept = world.ledger.read(as_number(done.id)).content
    assert done.receipt == msgspec.json.decode(kept, type=Receipt)
    assert b"p-marked-7261" not in done.entry + kept


def test_many_are_replayed_by_version_and_counted(
    world: World, where: Where, promotion: Promotion
) -> None:
    """Two versions, one erased, one without a request: each counted, the wrong one named."""
    other = world.version("trees", commit=where_commit(where))
    people = [versions.application(person=f"m{number}") for number in range(5)]
    found = world.decide(promotion, people) + world.decide(other, people)
    wrong = forged(world, found[0], outcome="decline", because="score")
    unnamed = world.decide(promotion, [b"[]"])
    erasure.erase(world.ledger, erasure.plan(world.ledger, "m4"), "asked for")
    indices = [each.index for each in (*found, *unnamed, wrong)]
    many = replay_many(world.ledger, where, indices, "Ada")
    assert {"1": {"identical": 4, "differs": 1}, other.version: {"identical": 4}} == many.counts
    assert (2, 1, 9) == (many.erased, many.unkept, many.replayed)
    assert (wrong.id,) == many.unlike
    with pytest.raises(IntegrityBroken):
        refuse_differing(many)


def where_commit(where: Where) -> str:
    return git(where.repository, "rev-parse", "HEAD")


def test_a_replay_of_many_is_recorded(world: World, where: Where, promotion: Promotion) -> None:
    """What replaying many found is an entry of the ledger too."""
    (found,) = world.decide(promotion, [DECLINED])
    many = replay_many(world.ledger, where, [found.index], "Ada")
    last = world.ledger.row(world.ledger.checkpoint()[0].size - 1)
    kept = msgspec.json.decode(world.ledger.read(last.id).content, type=ReceiptOfMany)
    assert many == kept
    refuse_differing(many)


def test_code_that_git_does_not_have_is_replaced_and_said_so(world: World, where: Where) -> None:
    """Without the version's commit the present code decides, and the receipt tells."""
    (found,) = world.decide(world.version(commit="f" * 40), [DECLINED])
    told = replayed(world, where, found).receipt
    assert ("identical", "present") == (told.result, told.surroundings.whose_code)


def test_another_interpreter_is_refused_or_told(
    world: World, where: Where, promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version trained by another build of Python is not replayed unless that is asked for."""
    from pipelines.model import environment

    described = environment.describe

    def another(lock: Path) -> object:
        return msgspec.structs.replace(described(lock), executable_sha256="0" * 64)

    monkeypatch.setattr(environment, "describe", another)
    foreign = world.version(commit=where_commit(where))
    monkeypatch.undo()
    (found,) = world.decide(foreign, [DECLINED])
    with pytest.raises(NotThere):
        replayed(world, where, found)
    allowed = Where(world.state, where.repository, world.opened, other_interpreter=True)
    told = replayed(world, allowed, found).receipt
    assert ("identical", True) == (told.result, told.surroundings.other_interpreter)


def test_an_erased_decision_is_not_replayed(
    world: World, where: Where, promotion: Promotion
) -> None:
    """What was erased is said to be."""
    (found,) = world.decide(promotion, [versions.application(person="gone")])
    erasure.erase(world.ledger, erasure.plan(world.ledger, "gone"), "asked for")
    with pytest.raises(Erased):
        replayed(world, where, found)


def test_a_sample_draws_from_all_decisions(
    world: World, where: Where, promotion: Promotion
) -> None:
    """What is drawn is replayed, and nothing but decisions is drawn."""
    drawn = readback.sample(world.ledger, 3, "seed")
    many = replay_many(world.ledger, where, drawn, "Ada")
    assert 3 == many.replayed + many.erased + many.unkept


def test_a_version_is_not_believed_by_its_number(
    world: World, where: Where, promotion: Promotion
) -> None:
    """A registry that hands out another model under the number cannot make a replay of it."""
    other = World(world.folder / "other")
    other.version("trees", commit=promotion.verdict_id)
    (found,) = world.decide(promotion, [DECLINED])
    empty = World(world.folder / "empty")

    def opened() -> Registry:
        return other.registry

    with pytest.raises(IntegrityBroken):
        replay(
            world.ledger, Where(empty.state, where.repository, opened), as_number(found.id), "Ada"
        )
    other.close()
    empty.close()
