"""Promotion: only what passed, is approved and was judged against today's champion; and undo."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.errors import (
    BadRequest,
    ClewError,
    GateRefused,
    IntegrityBroken,
    NotThere,
    Unavailable,
)
from pipelines.records import Approval, ModelVersion, Verdict
from pipelines.release import approve, champion, history, policy, promote, proposal, register
from pipelines.release.documents.write import IN_FORCE
from pipelines.release.promote import Promoted
from pipelines.release.version_files import fetched
from pipelines.typed import read_json
from tests.release import cases
from tests.release.versions import Bench

WHO = {"person": "Ada", "reason": "better"}


def promoted(bench: Bench, recipe: str) -> Promoted:
    """Judge, register, approve and promote a candidate."""
    version = bench.registered(recipe)
    given = bench.approved(version)
    return promote.run(bench.context, version=version.version, approval=given.id, **WHO)


def test_a_passed_and_approved_version_becomes_champion(bench: Bench) -> None:
    """The alias, the trail and the history all say who, why and on which verdict."""
    version = bench.registered()
    given = bench.approved(version)
    found = promote.run(bench.context, version=version.version, approval=given.id, **WHO)
    made = found.promotion
    assert not found.unchanged
    assert {"champion": version.version} == bench.registry.aliases()
    assert (version.verdict_id, given.id, "Ada", "better") == (
        made.verdict_id,
        made.approval_id,
        made.person,
        made.reason,
    )
    assert [made] == list(bench.registry.promotions())


def test_the_card_in_force_names_its_approver(quick: Bench, tmp_path: Path) -> None:
    """It stands beside the version's files, which are as they were sealed."""
    version = quick.registered()
    given = quick.approved(version)
    promote.run(quick.context, version=version.version, approval=given.id, **WHO)
    card = tmp_path / "memory-shown" / version.version / IN_FORCE / "model-card.md"
    told = card.read_text(encoding="utf-8")
    for words in (f"{cases.MODEL_NAME} version {version.version}", given.reason, WHO["reason"]):
        assert words in told
    sealed = fetched(quick.registry, version, tmp_path / "v").documents / "model-card.md"
    assert given.reason not in sealed.read_text(encoding="utf-8")


def test_a_promotion_does_not_hang_on_its_card(quick: Bench, tmp_path: Path) -> None:
    """Where the card cannot be written the promotion stands, and asking again writes it."""
    version = quick.registered()
    given = quick.approved(version)
    beside = tmp_path / "memory-shown"
    beside.write_text("in the way")
    found = promote.run(quick.context, version=version.version, approval=given.id, **WHO)
    assert (False, "1") == (found.unchanged, quick.registry.aliases()["champion"])
    beside.unlink()
    assert promote.run(quick.context, version=version.version, **WHO).unchanged
    assert (beside / version.version / IN_FORCE / "model-card.md").is_file()


def test_the_former_champion_becomes_previous(quick: Bench) -> None:
    """After a second promotion both aliases stand."""
    promoted(quick, "one")
    promoted(quick, "two")
    assert {"champion": "2", "previous": "1"} == quick.registry.aliases()


def test_promoting_the_champion_again_changes_nothing(quick: Bench) -> None:
    """The second call with the same input says unchanged and adds nothing to the trail."""
    first = promoted(quick, "one")
    again = promote.run(quick.context, version="1", approval=first.promotion.approval_id, **WHO)
    assert (Promoted(first.promotion, unchanged=True), 1) == (
        again,
        len(quick.registry.promotions()),
    )


def test_without_an_approval_a_high_risk_model_is_refused(quick: Bench) -> None:
    """The tier of the pack that judged the version asks for a person's word."""
    quick.registered()
    with pytest.raises(GateRefused, match="approval"):
        promote.run(quick.context, version="1", **WHO)
    assert {} == quick.registry.aliases()


def test_a_model_of_limited_risk_needs_no_approval(quick: Bench) -> None:
    """Below the high tier a named person with a reason is enough."""
    path = policy.pack_path(quick.layout, cases.PACK)
    path.write_text(path.read_text().replace("risk_tier: high", "risk_tier: limited"))
    cases.git(quick.layout.root, "commit", "--quiet", "--all", "--message", "limited")
    quick.registered()
    assert not promote.run(quick.context, version="1", **WHO).unchanged


def test_a_rejection_is_no_approval(quick: Bench) -> None:
    """A person's no does not promote."""
    given = quick.approved(quick.registered(), approve.REJECT)
    with pytest.raises(GateRefused, match="rejected"):
        promote.run(quick.context, version="1", approval=given.id, **WHO)


def test_an_approval_of_another_version_is_not_there(quick: Bench) -> None:
    """An approval counts for the version it was given for."""
    given = quick.approved(quick.registered("one"))
    quick.registered("two")
    with pytest.raises(NotThere):
        promote.run(quick.context, version="2", approval=given.id, **WHO)


def test_an_approval_serves_once(quick: Bench) -> None:
    """After an undo the version needs a new approval: the old one is spent."""
    promoted(quick, "one")
    second = promoted(quick, "two")
    promote.undo(quick.context, version="2", **WHO)
    with pytest.raises(GateRefused, match="used before"):
        promote.run(quick.context, version="2", approval=second.promotion.approval_id, **WHO)


def test_a_version_judged_against_a_former_champion_is_refused(quick: Bench) -> None:
    """When the champion has changed since, the version must be judged again."""
    late = quick.registered("late")
    given = quick.approved(late)
    promoted(quick, "one")
    with pytest.raises(GateRefused, match="has changed") as caught:
        promote.run(quick.context, version=late.version, approval=given.id, **WHO)
    assert "clew retrain" in caught.value.hint


@pytest.mark.parametrize("changes", [{"person": "Anonymous"}, {"person": ""}, {"reason": " "}])
def test_a_promotion_without_name_or_reason_is_refused(
    quick: Bench, changes: dict[str, str]
) -> None:
    """Nobody is promoted by nobody, or for no reason; nor is anything undone so."""
    given = quick.approved(quick.registered())
    with pytest.raises(BadRequest):
        promote.run(quick.context, version="1", approval=given.id, **(WHO | changes))
    with pytest.raises(BadRequest):
        promote.undo(quick.context, version="1", **(WHO | changes))
    assert () == tuple(quick.registry.promotions())


def test_a_version_that_is_not_there_is_refused(quick: Bench) -> None:
    """Only registered versions are promoted."""
    with pytest.raises(NotThere):
        promote.run(quick.context, version="9", **WHO)


def test_an_alias_moved_by_hand_stops_the_next_promotion(quick: Bench) -> None:
    """Nobody builds on a champion that was put in by hand."""
    promoted(quick, "one")
    second = quick.registered("two")
    given = quick.approved(second)
    quick.registry.point("champion", "2")
    with pytest.raises(IntegrityBroken, match="moved by hand"):
        promote.run(quick.context, version="2", approval=given.id, **WHO)


def test_promoting_the_champion_puts_a_moved_alias_back(bench: Bench) -> None:
    """The command that the alarm names mends it, and the champion step is content again."""
    promoted(bench, "one")
    bench.registered("two")
    bench.registry.point("champion", "2")
    assert promote.run(bench.context, version="1", **WHO).unchanged
    assert {"champion": "1"} == bench.registry.aliases()
    assert "1" == champion.run(bench.context).version


# one refusal at a time, without a registry


@pytest.fixture
def judged(quick: Bench) -> tuple[Verdict, ModelVersion]:
    """Give a version and its verdict."""
    version = quick.registered()
    return read_json(quick.layout.verdict, Verdict), version


SPOILED: dict[str, dict[str, Any]] = {
    "blocked": {"passed": False},
    "blocked by something": {"blocked_by": ("the check bias says fail",)},
    "another candidate": {"candidate_id": "f" * 64},
    "another model": {"model_sha256": "f" * 64},
    "another champion": {"champion_id": "f" * 64},
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_verdict_that_does_not_carry_the_version_refuses_it(
    judged: tuple[Verdict, ModelVersion], what: str
) -> None:
    """Each thing that a verdict is bound to is compared."""
    verdict, version = judged
    assert proposal.why_not(verdict, version, verdict.champion_id, None) is None
    spoiled = msgspec.structs.replace(verdict, **SPOILED[what])
    bound = msgspec.structs.replace(version, verdict_id=spoiled.id)
    assert proposal.why_not(spoiled, bound, verdict.champion_id, None) is not None


def test_a_version_recorded_as_blocked_is_refused(judged: tuple[Verdict, ModelVersion]) -> None:
    """The version's own record has to say that it passed, too."""
    verdict, version = judged
    blocked = msgspec.structs.replace(version, passed=False)
    assert proposal.why_not(verdict, blocked, verdict.champion_id, None) is not None


def approval_of(about: ModelVersion, **changes: Any) -> Approval:
    """Return an approval of a version."""
    made: dict[str, Any] = {
        "verdict_id": about.verdict_id,
        "model_name": about.model_name,
        "version": about.version,
        "approved": True,
        "person": "Ada",
        "reason": "good",
        "at": "2026-11-22T09:00:00+00:00",
    }
    return Approval(**(made | changes))


@pytest.mark.parametrize(
    "changes",
    [{"verdict_id": "f" * 64}, {"version": "8"}, {"model_name": "other"}, {"approved": False}],
)
def test_an_approval_of_something_else_does_not_do(
    quick: Bench, judged: tuple[Verdict, ModelVersion], changes: dict[str, Any]
) -> None:
    """An approval is for one verdict on one version of one model."""
    pack = policy.read(quick.layout, cases.PACK)
    good, bad = approval_of(judged[1]), approval_of(judged[1], **changes)
    assert proposal.approval_problem(pack, judged[1], good, ()) is None
    assert proposal.approval_problem(pack, judged[1], bad, ()) is not None


@pytest.mark.parametrize("changes", [{"person": "Anonymous"}, {"reason": ""}])
def test_a_stored_approval_without_name_or_reason_does_not_do(
    quick: Bench, judged: tuple[Verdict, ModelVersion], changes: dict[str, Any]
) -> None:
    """What was kept some other way is looked at again."""
    pack = policy.read(quick.layout, cases.PACK)
    with pytest.raises(BadRequest):
        proposal.approval_problem(pack, judged[1], approval_of(judged[1], **changes), ())


# undo


def test_a_clock_put_back_changes_nothing_of_what_was(
    quick: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion never stands before the one it followed, whatever the clock says by then."""
    first = promoted(quick, "one").promotion
    monkeypatch.setattr(history, "now", lambda: "2020-01-01T00:00:00.000000+00:00")
    assert first.at == promoted(quick, "two").promotion.at
    assert first.at == promote.undo(quick.context, version="2", person="E", reason="r").promotion.at
    assert None is history.champion_at(quick.registry, "2021-01-01T00:00:00+00:00")


def test_undo_goes_back_to_the_former_champion(bench: Bench) -> None:
    """One call, with a person and a reason, and the history tells it."""
    promoted(bench, "one")
    promoted(bench, "two")
    found = promote.undo(bench.context, version="2", person="Eve", reason="complaints")
    assert {"champion": "1"} == bench.registry.aliases()
    assert ("undo", "Eve", "complaints") == (
        found.promotion.kind,
        found.promotion.person,
        found.promotion.reason,
    )
    assert ["1", "2", "1"] == [each.version for each in history.history(bench.registry)]


def test_undo_asked_twice_goes_back_once(quick: Bench) -> None:
    """A task that is run again, or a second person, does not go back further."""
    for recipe in ("one", "two", "three"):
        promoted(quick, recipe)
    promote.undo(quick.context, version="3", **WHO)
    assert promote.undo(quick.context, version="3", **WHO).unchanged
    assert {"champion": "2", "previous": "1"} == quick.registry.aliases()


def test_undo_of_another_than_the_champion_is_refused(quick: Bench) -> None:
    """Whoever undoes says what, and it must be in force."""
    promoted(quick, "one")
    promoted(quick, "two")
    with pytest.raises(BadRequest, match="not the champion"):
        promote.undo(quick.context, version="1", **WHO)


def test_undo_of_the_first_champion_is_refused(quick: Bench) -> None:
    """There is nothing to go back to."""
    promoted(quick, "one")
    with pytest.raises(BadRequest, match="no former champion"):
        promote.undo(quick.context, version="1", **WHO)


def test_undo_mends_an_alias_moved_by_hand(quick: Bench) -> None:
    """The other command that the alarm names: back to the former champion."""
    promoted(quick, "one")
    promoted(quick, "two")
    quick.registry.point("champion", "1")
    quick.registry.point("previous", "2")
    promote.undo(quick.context, version="2", **WHO)
    assert {"champion": "1"} == quick.registry.aliases()
    assert "1" == champion.run(quick.context).version


# killed, and at once


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("call", ["append", "point", "settle"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_promotion_killed_half_way_is_done_once_by_the_next_call(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, after: bool
) -> None:
    """Ended before or after any write, asked again there is one promotion, carried out."""
    promoted(bench, "one")
    version = bench.registered("two")
    asked = {"version": version.version, "approval": bench.approved(version).id} | WHO
    kind, former = type(bench.registry), getattr(type(bench.registry), call)

    def ending(*args: Any) -> None:
        if after:
            former(*args)
        raise Killed

    monkeypatch.setattr(kind, call, ending)
    with pytest.raises(Killed):
        promote.run(bench.context, **asked)
    monkeypatch.undo()
    promote.run(bench.context, **asked)
    assert {"champion": "2", "previous": "1"} == bench.registry.aliases()
    assert ["1", "2"] == [each.version for each in history.history(bench.registry)]
    assert "2" == champion.run(bench.context).version


def attempt(bench: Bench, version: ModelVersion, approval: Approval) -> str:
    """Promote as a task does, again where the database was busy, and say how it ended."""
    for _ in range(5):
        try:
            promote.run(bench.context, version=version.version, approval=approval.id, **WHO)
        except Unavailable:
            continue
        except ClewError as error:
            return type(error).__name__
        return version.version
    return "Unavailable"


@pytest.mark.parametrize("locked", [True, False], ids=["one machine", "two machines"])
def test_of_two_promotions_at_once_one_wins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """One version is champion and the other is refused, with or without a common lock."""
    from contextlib import nullcontext

    versions = [bench.registered("one"), bench.registered("two")]
    given = [bench.approved(each) for each in versions]
    if not locked:
        monkeypatch.setattr(type(bench.registry), "lock", lambda _: nullcontext())
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(attempt, [bench, bench], versions, given))
    (winner,) = {"1", "2"} & set(ended)
    assert "GateRefused" in ended
    assert {"champion": winner} == bench.registry.aliases()
    assert [winner] == [each.version for each in history.history(bench.registry)]
    assert winner == champion.run(bench.context).version


def test_a_blocked_candidate_has_no_version_to_promote(quick: Bench) -> None:
    """From the gate on, a blocked candidate never gets near the alias."""
    quick.judged(outcome="fail")
    assert register.run(quick.context) is None
    with pytest.raises(NotThere):
        promote.run(quick.context, version="1", **WHO)
