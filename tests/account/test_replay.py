"""Replay: a recorded decision comes out again, bit for bit, or it is said in which fields not."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipelines.account import kept_plan
from pipelines.account.again import Where
from pipelines.account.compare import Difference, differences, likeness, ulps
from pipelines.account.original import original
from pipelines.account.replay import (
    Receipt,
    compared,
    replay,
)
from pipelines.account.replay_many import ReceiptOfMany, refuse_differing, replay_many
from pipelines.decisions.decide import Holdout
from pipelines.decisions.record import Recorded, as_number, decision, draft
from pipelines.decisions.records import Stop
from pipelines.errors import Erased, IntegrityBroken, NotThere
from pipelines.ledger import erasure
from pipelines.ledger.keys import ordered_id
from pipelines.model import environment
from pipelines.records import Environment, Promotion
from tests.account.world import ROOT, World
from tests.conftest import copy_of_tree, git
from tests.decisions import versions

DECLINED = versions.application(income=2.0, self=18)
WHEN = 1_780_000_000_000
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


def forged(world: World, found: Recorded, **changes: object) -> Recorded:
    """Record a decision as a service would that decided otherwise than its model."""
    wrong = msgspec.structs.replace(found.made.decided, **changes)
    assert found.made.request is not None
    made = decision(found.made.request, wrong, found.made.origin, found.made.call, WHEN)
    number = ordered_id()
    world.ledger.record(draft(made, number, WHEN))
    return world.recorder.read(number)


def commit_of(where: Where) -> str:
    return git(where.repository, "rev-parse", "HEAD")


def test_a_decision_comes_out_again_bit_for_bit(
    world: World, where: Where, promotion: Promotion
) -> None:
    """A decline with reasons, by its version's own code and lock, in a sandbox, is identical.

    The receipt is a sealed entry under the person's key and quotes no value.
    """
    (found,) = world.decide(promotion, [DECLINED])
    assert found.made.decided.reasons
    done = replay(world.ledger, where, as_number(found.id), "Ada")
    assert ("identical", ()) == (done.receipt.result, done.receipt.differences)
    told = done.receipt.surroundings
    assert ("recorded", found.made.origin.commit) == (told.whose_code, told.code)
    assert not told.other_interpreter
    entry = json.loads(done.entry)
    assert ("replay", "identical", "1") == (entry["t"], entry["r"], entry["mv"])
    kept = world.ledger.read(as_number(done.id)).content
    assert done.receipt == msgspec.json.decode(kept, type=Receipt)
    assert b"p-marked-7261" not in done.entry + kept


def test_a_decision_scored_by_a_plan_comes_out_of_the_kept_plan(
    world: World, where: Where, promotion: Promotion
) -> None:
    """The first replay takes the proven plan out of the model; from then on it is enough, and said.

    A kept plan that is not the proven one is refused, and the model itself can be asked for.
    """
    found = world.version("trees", commit=commit_of(where))
    (made,) = world.decide(found, [DECLINED])
    number = as_number(made.id)
    receipts = [replay(world.ledger, where, number, "Ada").receipt for _ in range(2)]
    receipts.append(
        replay(world.ledger, dataclasses.replace(where, from_model=True), number, "Ada").receipt
    )
    assert ["model", "plan", "model"] == [each.surroundings.loaded for each in receipts]
    assert ["identical"] * 3 == [each.result for each in receipts]
    assert [True, False, True] == [bool(each.surroundings.blas) for each in receipts]
    files = original(world.opened, made.made.origin, world.state).files
    plan = files.folder.parent / kept_plan.NAME
    plan.write_bytes(plan.read_bytes().replace(b"0x1.", b"0x0.", 1))
    with pytest.raises(IntegrityBroken):
        replay(world.ledger, where, number, "Ada")


def test_a_plan_decides_without_any_numeric_library() -> None:
    """What the sandbox imports for a kept plan is Clew's own code, and no library that computes."""
    words = "import sys, pipelines.account.rescore_by_plan; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {"numpy", "scipy", "pandas", "sklearn", "skops", "pyarrow"}
    assert set() == heavy & set(done.stdout.split())


def test_many_are_replayed_by_version_and_counted(
    world: World, where: Where, promotion: Promotion
) -> None:
    """Whatever a decision can be comes out as recorded; what its model did not make is named.

    Two versions; approved, declined, held out, stopped, outside, sent back; some erased, one
    without a request, one forged and one a last bit off.
    """
    other = world.version("trees", commit=commit_of(where))
    sent = [versions.application(), versions.application(town="Nowhere"), DECLINED]
    sent.append(versions.application(job="pirate"))
    good = world.decide(promotion, sent)
    good += world.decide(promotion, sent[:1], holdout=Holdout(1.0, b"key"))
    good += world.decide(promotion, sent[:1], stop=STOPPED)
    bases = {each.made.decided.because for each in good}
    assert {"score", "outside", "holdout", "stopped", "refused"} == bases
    trees = world.decide(other, sent)
    wrong = forged(world, good[2], outcome="approve")
    margin = float.fromhex(str(good[2].made.decided.margin))
    nudged = forged(world, good[2], margin=(margin + 2.0**-52 * abs(margin)).hex())
    unnamed = world.decide(promotion, [b"[]"])
    gone = world.decide(promotion, [versions.application(person="gone")])
    erasure.erase(world.ledger, erasure.plan(world.ledger, "gone"), "asked for")
    chosen = [*good, *trees, wrong, nudged, *unnamed, *gone]
    many = replay_many(world.ledger, where, [each.index for each in chosen], "Ada")
    assert {
        "1": {"identical": 6, "within": 1, "differs": 1},
        other.version: {"identical": 4},
    } == many.counts
    assert (1, 1, 12) == (many.erased, many.unkept, many.replayed)
    assert {wrong.id, nudged.id} == set(many.unlike)
    with pytest.raises(IntegrityBroken):
        refuse_differing(many)
    last = world.ledger.row(world.ledger.checkpoint()[0].size - 1)
    kept = world.ledger.read(last.id).content
    assert many == msgspec.json.decode(kept, type=ReceiptOfMany)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"outcome": "approve"}, ["outcome"]),
        ({"because": "band"}, ["because"]),
        ({"reasons": ()}, ["reasons"]),
        ({"margin": (0.5).hex(), "probability": 0.75}, ["margin", "probability"]),
        ({"margin": None}, ["margin"]),
        ({"values": {"income": 3.0}}, ["values"]),
        ({"approve_from": (9.0).hex()}, ["approve_from"]),
        ({"subject": "somebody"}, ["subject"]),
        ({"draw": 0.5, "contract_sha256": "x"}, []),
    ],
)
def test_a_difference_is_named_by_field(
    world: World, promotion: Promotion, changes: dict[str, object], fields: list[str]
) -> None:
    """What is not the same is named by field, without a value; what is given is not compared."""
    (found,) = world.decide(promotion, [DECLINED])
    answer = msgspec.json.encode(msgspec.structs.replace(found.made.decided, **changes))
    told = compared(found.made.decided, answer)
    assert fields == sorted({each.field.partition(".")[0].partition("[")[0] for each in told})
    assert "p-marked-7261" not in repr(told)
    assert ("differs" if fields else "identical") == likeness(told)


def test_units_in_the_last_place_are_counted() -> None:
    """Neighbouring doubles are one apart, also across zero; what is no number has no distance."""
    tiny = 5e-324
    assert [0, 1, 1, 2] == [
        ulps(1.0, 1.0),
        ulps(1.0, 1.0 + 2**-52),
        ulps(0.0, tiny),
        ulps(-tiny, tiny),
    ]
    assert ulps(1.0, float("nan")) is None
    assert [Difference(field="probability", ulps=1)] == list(
        differences({"probability": 1.0}, {"probability": 1.0 + 2**-52})
    )


def test_code_that_git_does_not_have_is_replaced_and_said_so(world: World, where: Where) -> None:
    """Without the version's commit the present code decides, and the receipt tells."""
    (found,) = world.decide(world.version(commit="f" * 40), [DECLINED])
    told = replay(world.ledger, where, as_number(found.id), "Ada").receipt
    assert ("identical", "present") == (told.result, told.surroundings.whose_code)


def test_another_interpreter_is_refused_or_told(
    world: World, where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version trained by another build of Python is not replayed unless that is asked for."""
    described = environment.describe

    def another(lock: Path, **told: bool) -> Environment:
        return msgspec.structs.replace(described(lock, **told), executable_sha256="0" * 64)

    monkeypatch.setattr(environment, "describe", another)
    foreign = world.version(commit=commit_of(where))
    monkeypatch.undo()
    (found,) = world.decide(foreign, [DECLINED])
    with pytest.raises(NotThere):
        replay(world.ledger, where, as_number(found.id), "Ada")
    allowed = Where(world.state, where.repository, world.opened, other_interpreter=True)
    told = replay(world.ledger, allowed, as_number(found.id), "Ada").receipt
    assert ("identical", True) == (told.result, told.surroundings.other_interpreter)


def test_an_erased_decision_is_not_replayed(
    world: World, where: Where, promotion: Promotion
) -> None:
    """What was erased is said to be."""
    (found,) = world.decide(promotion, [versions.application(person="erased")])
    erasure.erase(world.ledger, erasure.plan(world.ledger, "erased"), "asked for")
    with pytest.raises(Erased):
        replay(world.ledger, where, as_number(found.id), "Ada")


def test_a_version_is_not_believed_by_its_number(
    world: World, where: Where, promotion: Promotion
) -> None:
    """A registry that hands out another model under the number cannot make a replay of it."""
    other = World(world.folder / "other")
    other.version("trees", commit=commit_of(where))
    (found,) = world.decide(promotion, [DECLINED])
    empty = World(world.folder / "empty")
    elsewhere = Where(empty.state, where.repository, other.opened)
    with pytest.raises(IntegrityBroken):
        replay(world.ledger, elsewhere, as_number(found.id), "Ada")
    other.close()
    empty.close()
