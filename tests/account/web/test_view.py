"""What the page of a decision says of the values received."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from pipelines.account.web.view import Reading, told, values
from pipelines.contract import Column, Contract
from pipelines.decisions.record import Recorded
from tests.account.world import World
from tests.decisions import versions
from tests.model.small import CONTRACT


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    world = World(tmp_path_factory.mktemp("world"))
    (made,) = world.decide(world.version(run_id="train_model__1"), [versions.application()])
    yield made
    world.close()


def test_a_feature_that_the_model_leaves_out_is_not_said_to_be_read(found: Recorded) -> None:
    """The model's own columns count, not the contract's roles; they come first."""
    shown = values(found, Reading(CONTRACT, ("income", "self"), {}))
    assert ["income", "self"] == [each.name for each in shown[:2]]
    assert {"income", "self"} == {each.name for each in shown if each.read}
    assert {None} == {each.read for each in values(found, None)}


def test_a_code_is_shown_with_what_it_means(found: Recorded) -> None:
    """A case worker reads the words and the code as it was received."""
    column = Column(name="grade", role="feature", kind="integer", meanings={"2": "good"})
    assert ["good (2)", "good (2)", "3", "not given"] == [
        told(each, column) for each in (2, 2.0, 3, None)
    ]
    columns = tuple(column if each.name == "grade" else each for each in CONTRACT.columns)
    contract: Contract = msgspec.structs.replace(CONTRACT, columns=columns)
    shown = values(found, Reading(contract, ("grade",), {}))
    assert "good (2)" == shown[0].text
