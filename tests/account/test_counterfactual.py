"""Counterfactuals: what is said to be the nearest change is, and the model itself approves it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.account import nearest_linear, nearest_trees
from pipelines.account.again import Where
from pipelines.account.counterfactual import (
    STEP,
    Counterfactuals,
    counterfactuals,
    nearest_changes,
)
from pipelines.account.forest import Forest, axis_of, thresholds
from pipelines.account.levers import Lever, levers, spread
from pipelines.account.then import Then, said
from pipelines.contract import Contract
from pipelines.data import profile
from pipelines.data.profile import Numbers
from pipelines.decisions.load import LoadedModel
from pipelines.decisions.record import as_number
from pipelines.errors import BadRequest
from pipelines.ledger.entry import read_entry
from pipelines.model.rows import rows
from pipelines.model.score import MarginKind
from tests.account.world import World, write_version
from tests.decisions import versions
from tests.model.small import CONTRACT, people

ACTIONABLE = {
    "income": "increase",
    "self": "decrease",
    "job": "any",
    "grade": "increase",
    "owner": "any",
    "ratio": "any",
}
KINDS: tuple[MarginKind, ...] = ("linear", "trees")


def actionable(**chosen: str) -> Contract:
    """Return the small contract with columns a person can act on."""
    columns = tuple(
        msgspec.structs.replace(each, actionable=chosen.get(each.name, "no"))
        for each in CONTRACT.columns
    )
    return msgspec.structs.replace(CONTRACT, columns=columns)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, LoadedModel]]:
    from pipelines.decisions.load import load
    from pipelines.params import DecideParams

    made = {}
    for kind in KINDS:
        files, _ = write_version(tmp_path_factory.mktemp(kind) / "version", kind)
        record = versions.write(tmp_path_factory.mktemp(kind), kind)[1]
        made[kind] = (files, record)
    found = {}
    for kind, (files, record) in made.items():
        from pipelines.canonical import sha256_bytes

        own = msgspec.structs.replace(
            record, candidate_id=sha256_bytes(files.record.read_bytes().rstrip(b"\n"))
        )
        found[kind] = (files, load(files, own, DecideParams()))
    return found


def declined(models: Any, kind: MarginKind, contract: Contract, most: int = 25) -> Iterator[Then]:
    """Yield declined people, as a decision about each would be read back."""
    files, model = models[kind]
    model = dataclasses.replace(model, contract=contract)
    found = 0
    for row in rows(people(), list(model.admission.fields)):
        given = {name: value for name, value in row.items() if value is not None}
        given |= {"since": str(row["since"])[:10]} if row["since"] is not None else {}
        data = msgspec.json.encode(given)
        application = model.admission.admit(data)
        answer = said(model, application)
        if answer.outcome == "decline" and found < most:
            found += 1
            yield Then(model, files, data, application, answer)


def free(asked: Then) -> list[Lever]:
    return levers(asked.model, asked.application.values, profile.read(asked.files.profile))


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_is_approved_allowed_and_inside_the_data(
    models: Any, kind: MarginKind
) -> None:
    """The model approves each; none goes the wrong way, beyond the data, or to the subject."""
    contract = actionable(**ACTIONABLE)
    seen = 0
    for asked in declined(models, kind, contract):
        known = profile.read(asked.files.profile)
        for each in nearest_changes(asked, "id").found:
            seen += 1
            values = {**asked.application.values, **{c.column: c.after for c in each.changes}}
            assert asked.model.margin(values) >= asked.model.approve_from
            assert each.cost >= each.at_least
            for change in each.changes:
                way = ACTIONABLE[change.column]
                if way != "any":
                    assert (change.after > change.before) == (way == "increase")
                numbers = known.columns[change.column].numbers
                if numbers:
                    assert numbers.minimum <= change.after <= numbers.maximum
    assert seen > 20


def test_trees_nearest_is_what_trying_everything_finds(models: Any) -> None:
    """Over all cells of three columns none that is high enough costs less."""
    contract = actionable(income="increase", self="decrease", job="any")
    tried = 0
    for asked in declined(models, "trees", contract):
        plan, row = asked.model.plan, asked.application.values
        left = free(asked)
        found = nearest_trees.nearest(plan, row, left, asked.model.approve_from)
        axes = []
        for lever in left:
            axis = axis_of(plan, lever, thresholds(plan.walks))
            axes.append([(lever, value) for value in axis.values])
        costs = [
            sum(lever.cost(value) for lever, value in cell if value != lever.now)
            for cell in itertools.product(*axes)
            if plan.margin({**row, **{lever.name: value for lever, value in cell}})
            >= asked.model.approve_from
        ]
        tried += bool(costs)
        assert pytest.approx(min(costs, default=math.inf)) == (
            found.cost if found.changes is not None else math.inf
        )
    assert tried > 5


def test_linear_nearest_is_within_a_step_of_what_trying_everything_finds(models: Any) -> None:
    """On a fine grid over three columns nothing is nearer than what the search says is least."""
    contract = actionable(income="increase", self="decrease", job="any")
    tried = 0
    for asked in declined(models, "linear", contract):
        plan, row, needed = asked.model.plan, asked.application.values, asked.model.approve_from
        left = {lever.name: lever for lever in free(asked)}
        found = nearest_linear.nearest(plan, row, list(left.values()), needed)
        best = math.inf
        jobs = [row["job"], *_values(left.get("job"))]
        debts = [row["self"]]
        if "self" in left:
            debts = list(range(int(left["self"].low), int(debts[0]) + 1))
        for job, debt in itertools.product(jobs, debts):
            cost = left["job"].cost(job) if job != row["job"] else 0.0
            cost += left["self"].cost(debt) if debt != row["self"] else 0.0
            best = min(best, cost + _income_cost(asked, left, {**row, "job": job, "self": debt}))
        if found.changes is None:
            assert math.inf == best
            continue
        tried += 1
        assert found.at_least <= best + 1e-9
        assert found.cost <= found.at_least + max(
            STEP, 1 / left["self"].spread if "self" in left else 0
        )
    assert tried > 5


def _values(lever: Lever | None) -> list[Any]:
    return [value for value, _ in lever.options or ()] if lever else []


def _income_cost(asked: Then, left: dict[str, Lever], row: dict[str, Any]) -> float:
    """Return what raising the income as far as needed would cost."""
    gap = asked.model.approve_from - asked.model.plan.margin(row)
    more = {**row, "income": float(row["income"]) + 1}
    lift = asked.model.plan.margin(more) - asked.model.plan.margin(row)
    if gap <= 0:
        return 0.0
    lever = left.get("income")
    if lever is None or lift <= 0 or float(row["income"]) + gap / lift > lever.high:
        return math.inf
    return gap / lift / lever.spread


@pytest.mark.parametrize("kind", KINDS)
def test_three_are_diverse(models: Any, kind: MarginKind) -> None:
    """No later change touches what counts most in an earlier one, and none is cheaper than it."""
    contract = actionable(**ACTIONABLE)
    several = 0
    for asked in declined(models, kind, contract):
        found = nearest_changes(asked, "id").found
        several += len(found) > 1
        for number, each in enumerate(found):
            mains = {former.changes[0].column for former in found[:number]}
            assert not mains & {change.column for change in each.changes}
            assert mains == set(each.untouched)
            assert all(former.at_least <= each.cost for former in found[:number])
    assert several > 5


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_changed_is_said(models: Any, kind: MarginKind) -> None:
    """With nothing to act on there is no change, and it is said that there can be none."""
    for asked in declined(models, kind, actionable(), 3):
        told = nearest_changes(asked, "id")
        assert ((), ()) == (told.found, told.could_change)
        assert "no allowed change" in told.bound


def test_a_search_that_stops_says_what_it_proved(
    models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capped search, here with a bound that bounds nothing, names the cost it has proven."""
    contract = actionable(**ACTIONABLE)
    monkeypatch.setattr(nearest_trees, "MOST_CELLS", 3)
    monkeypatch.setattr(Forest, "least", lambda _, __, ___: 0.0)
    told = [nearest_changes(asked, "id") for asked in declined(models, "trees", contract)]
    stopped: list[Counterfactuals] = [each for each in told if "stopped" in each.bound]
    assert stopped
    assert all("none costs less than" in each.bound for each in stopped)


def test_a_spread_is_the_median_absolute_deviation_of_the_bins() -> None:
    """Of five ones, three twos and two fours the median is 1 or 2, the deviation 1; never 0."""
    few = Numbers(minimum=1, maximum=4, mean=0, std=3, edges=(1.0, 2.0), counts=(5, 3, 2))
    same = Numbers(minimum=1, maximum=1, mean=1, std=0, edges=(), counts=(9,))
    assert [0.0 + 3, 1.0] == [spread(msgspec.structs.replace(few, counts=(8, 1, 1))), spread(same)]
    assert 1.0 == spread(msgspec.structs.replace(few, counts=(4, 4, 2)))


def test_only_a_decline_has_counterfactuals_and_the_look_is_recorded(tmp_path: Path) -> None:
    """What was approved needs none. Who asked is in the log."""
    world = World(tmp_path / "here")
    where = Where(world.state, world.folder, world.opened)
    good, bad = world.decide(
        world.version(), [versions.application(), versions.application(income=2.0, self=18)]
    )
    with pytest.raises(BadRequest):
        counterfactuals(world.ledger, where, as_number(good.id), "Ada")
    told = counterfactuals(world.ledger, where, as_number(bad.id), "Ada")
    assert ("decline", bad.id) == (told.outcome, told.decision_id)
    last = world.ledger.row(world.ledger.checkpoint()[0].size - 1)
    assert "look" == read_entry(last.entry)["t"]
    world.close()
