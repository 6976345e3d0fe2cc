"""What would have changed a result stands in the letter, found by the decision's own model."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pipelines.account import afterwards, contest, letter_text, writing
from pipelines.account.again import Where
from pipelines.account.case import Change, Changes, case_of
from pipelines.account.counterfactual import Change as Changed
from pipelines.account.counterfactual import Counterfactual, Counterfactuals
from pipelines.account.would_change import told, would_change
from pipelines.decisions.record import as_number
from tests.account.test_explain import LENDER
from tests.account.world import World
from tests.account.worlds import DAY, PACK
from tests.decisions import versions


def found(bound: str, *ways: Counterfactual) -> Counterfactuals:
    return Counterfactuals(
        decision_id="id", outcome="decline", found=ways, could_change=(), cells=1, bound=bound
    )


def test_changes_are_told_with_what_is_proven() -> None:
    """Column, old and new value of each; capped unless it is proven that there is none."""
    change = Changed(column="income", words="the income", unit=None, before=5.0, after=42.5)
    way = Counterfactual(
        changes=(change,), cost=1.0, at_least=1.0, nearest=True, untouched=(), margin="0x0p+0"
    )
    assert ((Change("income", 5.0, 42.5),),) == told(found("", way)).ways
    assert Changes((), capped=False) == told(found("no allowed change would have had it approved"))
    assert told(found("the search stopped after 3 combinations: none costs less than 1")).capped


def test_a_letter_tells_what_the_model_itself_says(tmp_path: Path) -> None:
    """A declined person with nothing to act on reads so; one approved since is told of nothing.

    Nor is one whom the model approved and a person declined: no change would undo that.
    """
    world = World(tmp_path / "here")
    where = Where(world.state, world.folder, world.opened)
    (bad,) = world.decide(world.version(), [versions.application(income=2.0, self=18)])
    number = as_number(bad.id)
    course = afterwards.course(world.ledger, number)
    changes = would_change(where, course)
    assert Changes((), capped=False) == changes
    case = case_of(course, world.ledger, world.opened, world.state, lambda _: PACK)
    made = writing.letter(replace(case, changes=changes), LENDER, "en", DAY.date())
    assert "There is no change in what you can influence" in re.sub(
        r"\\(.)", r"\1", letter_text.markdown(made)
    )
    contest.override(world.ledger, number, "approve", "Grace", "because")
    assert None is would_change(where, afterwards.course(world.ledger, number))
    (good,) = world.decide(world.version(), [versions.application(income=900.0, person="p2")])
    assert "approve" == good.made.decided.outcome
    contest.override(world.ledger, as_number(good.id), "decline", "Grace", "because")
    assert None is would_change(where, afterwards.course(world.ledger, as_number(good.id)))
    world.close()
