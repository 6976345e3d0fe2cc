"""Policy packs, and whether their thresholds are older than the run."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from pipelines.errors import BadRequest, NotThere
from pipelines.layout import Layout
from pipelines.release import checks as catalogue
from pipelines.release import policy as packs
from tests.conftest import ROOT, git
from tests.release import cases

PACKS = sorted(path.stem for path in Layout(ROOT).policies.glob("*.yaml"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return a repository whose one commit holds the test pack."""
    layout = Layout(tmp_path / "repo")
    cases.write_committed(layout)
    return layout


def edited(layout: Layout, old: str, new: str) -> None:
    path = packs.pack_path(layout, cases.PACK)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("name", PACKS)
def test_every_pack_names_exactly_the_checks_that_exist(name: str) -> None:
    """A pack that ships says of every check whether it gates, with thresholds of its type."""
    policy = packs.read(Layout(ROOT), name)
    assert set(catalogue.names()) == set(policy.checks)
    for check in policy.checks:
        packs.thresholds(policy, check, catalogue.load(check).thresholds)


@pytest.mark.parametrize("name", PACKS)
def test_every_pack_gives_its_sources(name: str) -> None:
    """A pack that ships names the texts of law it rests on, and wants a person's approval."""
    policy = packs.read(Layout(ROOT), name)
    assert policy.sources
    assert policy.approval_required


def test_an_unknown_threshold_is_refused_with_the_closest(layout: Layout) -> None:
    """A mistyped threshold is no threshold: it is refused, and the right name is offered."""
    edited(layout, "min_roc_auc", "min_roc_acu")
    policy = packs.read(layout, cases.PACK)
    with pytest.raises(BadRequest) as caught:
        packs.thresholds(policy, "performance", catalogue.load("performance").thresholds)
    assert caught.value.hint == "did you mean 'min_roc_auc'?"


def test_a_missing_threshold_is_refused(layout: Layout) -> None:
    """No threshold has a default: a pack that leaves one out is refused."""
    edited(layout, "min_roc_auc: 0.7, ", "")
    policy = packs.read(layout, cases.PACK)
    with pytest.raises(BadRequest, match="min_roc_auc"):
        packs.thresholds(policy, "performance", catalogue.load("performance").thresholds)


def test_a_threshold_of_another_type_is_refused(layout: Layout) -> None:
    """A threshold written as text is refused, not compared as text."""
    edited(layout, "min_roc_auc: 0.7", "min_roc_auc: '0.7'")
    policy = packs.read(layout, cases.PACK)
    with pytest.raises(BadRequest, match="float"):
        packs.thresholds(policy, "performance", catalogue.load("performance").thresholds)


def test_an_unknown_key_of_a_rule_is_refused(layout: Layout) -> None:
    """A mistyped 'gates' would open the gate; it is refused instead."""
    edited(layout, "gates: true", "gate: true")
    with pytest.raises(BadRequest) as caught:
        packs.read(layout, cases.PACK)
    assert caught.value.hint == "did you mean 'gates'?"


def test_a_rule_without_a_reason_is_refused(layout: Layout) -> None:
    """A pack says of each check why it gates or does not."""
    edited(layout, "because: test", "because: ' '")
    with pytest.raises(BadRequest, match="reason"):
        packs.read(layout, cases.PACK)


def test_a_pack_under_another_name_is_refused(layout: Layout) -> None:
    """A pack copied to a new name still says which it is, and is refused."""
    shutil.copyfile(packs.pack_path(layout, cases.PACK), packs.pack_path(layout, "other"))
    with pytest.raises(BadRequest, match="named as its file is"):
        packs.read(layout, "other")


def test_a_missing_pack_is_answered_with_the_closest(layout: Layout) -> None:
    """A mistyped pack is answered with the one that was meant."""
    with pytest.raises(NotThere) as caught:
        packs.read(layout, "test-2026-1")
    assert caught.value.hint == f"did you mean '{cases.PACK}'?"


def test_a_committed_pack_may_judge(layout: Layout) -> None:
    """A pack as it was committed before the run speaks for itself: no reason against it."""
    policy = packs.read(layout, cases.PACK)
    head = git(layout.root, "rev-parse", "HEAD")
    assert () == packs.thresholds_committed(layout, policy, None)
    assert () == packs.thresholds_committed(layout, policy, head)


def test_a_pack_changed_since_blocks(layout: Layout) -> None:
    """One byte of the pack changed after the run's commit blocks, a comment's too."""
    path = packs.pack_path(layout, cases.PACK)
    path.write_text(path.read_text(encoding="utf-8") + "# eased\n", encoding="utf-8")
    (reason,) = packs.thresholds_committed(layout, packs.read(layout, cases.PACK), None)
    assert "was changed after" in reason


def test_a_pack_committed_later_than_the_run_blocks(layout: Layout) -> None:
    """Thresholds committed while the run was under way are newer than the run."""
    before = git(layout.root, "rev-parse", "HEAD")
    edited(layout, "min_roc_auc: 0.7", "min_roc_auc: 0.5")
    git(layout.root, "commit", "--quiet", "--all", "--message", "ease")
    policy = packs.read(layout, cases.PACK)
    assert () == packs.thresholds_committed(layout, policy, None)
    (reason,) = packs.thresholds_committed(layout, policy, before)
    assert "was changed after" in reason


def test_a_pack_that_is_not_committed_blocks(layout: Layout) -> None:
    """A pack that git does not hold has no age, and blocks."""
    text = packs.pack_path(layout, cases.PACK).read_text(encoding="utf-8")
    fresh = packs.pack_path(layout, "fresh")
    fresh.write_text(text.replace(f"name: {cases.PACK}", "name: fresh"), encoding="utf-8")
    (reason,) = packs.thresholds_committed(layout, packs.read(layout, "fresh"), None)
    assert "is not committed" in reason


def test_a_commit_from_elsewhere_blocks(layout: Layout) -> None:
    """A run that names a commit beside the checkout's history is not judged by it."""
    git(layout.root, "checkout", "--quiet", "-b", "side")
    git(layout.root, "commit", "--quiet", "--allow-empty", "--message", "side")
    side = git(layout.root, "rev-parse", "HEAD")
    git(layout.root, "checkout", "--quiet", "main")
    (reason,) = packs.thresholds_committed(layout, packs.read(layout, cases.PACK), side)
    assert "not an ancestor" in reason


def test_an_unknown_commit_blocks(layout: Layout) -> None:
    """A commit that git does not know says nothing, and blocks."""
    policy = packs.read(layout, cases.PACK)
    (reason,) = packs.thresholds_committed(layout, policy, "0" * 40)
    assert "cannot be known" in reason


def test_no_git_blocks(layout: Layout) -> None:
    """Without git the age of the thresholds cannot be known, and that blocks."""
    policy = packs.read(layout, cases.PACK)
    shutil.rmtree(layout.root / ".git")
    (reason,) = packs.thresholds_committed(layout, policy, None)
    assert "cannot be known" in reason


def test_git_that_cannot_be_started_blocks(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine without the git program cannot tell the thresholds' age, and that blocks."""
    policy = packs.read(layout, cases.PACK)
    monkeypatch.setenv("PATH", str(tmp_path))
    (reason,) = packs.thresholds_committed(layout, policy, None)
    assert "git did not answer" in reason


def test_a_pack_not_yet_in_force_blocks(layout: Layout) -> None:
    """A pack judges runs from the day it is in force, counted by the run's commit."""
    edited(layout, "in_force_from: 2020-01-01", "in_force_from: 2999-01-01")
    git(layout.root, "commit", "--quiet", "--all", "--message", "later")
    (reason,) = packs.thresholds_committed(layout, packs.read(layout, cases.PACK), None)
    assert "not in force" in reason


def test_a_pack_is_in_force_on_both_of_its_dates(layout: Layout) -> None:
    """The first and the last day belong to the pack, the days around them do not."""
    edited(layout, "in_force_until: null", "in_force_until: 2020-01-02")
    policy = packs.read(layout, cases.PACK)
    days = [dt.date(2019, 12, 31) + dt.timedelta(days=number) for number in range(4)]
    assert [False, True, True, False] == [policy.in_force(day) for day in days]


@pytest.mark.parametrize("name", PACKS)
def test_every_pack_has_a_risk_register_and_an_envelope(name: str) -> None:
    """A pack that ships names risks, each with a guard, and says which changes are foreseen."""
    policy = packs.read(Layout(ROOT), name)
    assert policy.risks
    assert policy.envelope is not None
    assert [] == [each.risk for each in policy.risks if not (*each.checks, *each.watch)]


@pytest.mark.parametrize("guard", ["checks: [biass], watch: []", "checks: [], watch: [biass]"])
def test_a_risk_with_a_guard_that_is_not_there_is_refused(layout: Layout, guard: str) -> None:
    """A risk that nothing guards does not look guarded; the right name is offered."""
    risk = f"risks: [{{risk: unfair, {guard}, because: test}}]\nchecks:\n"
    edited(layout, "checks:\n", risk)
    with pytest.raises(BadRequest) as caught:
        packs.read(layout, cases.PACK)
    assert caught.value.hint == "did you mean 'bias'?"
