"""The inventory: every version once, where it stands, and what is known of its use."""

from __future__ import annotations

from pipelines.release import approve, promote
from pipelines.release.documents.inventory import Watched, entries
from tests.release.versions import Bench

SEEN = Watched(until="2026-11-01T00:00:00+00:00", report="a" * 64, alarms=2, action="alert")


def test_every_version_is_there_with_its_stage(quick: Bench) -> None:
    """Newest first: one just registered, one rejected, the champion; each with its verdict."""
    first = quick.registered("one")
    given = quick.approved(first)
    promote.run(quick.context, version="1", approval=given.id, person="Ada", reason="better")
    quick.approved(quick.registered("two"), approve.REJECT)
    third = quick.registered("three")
    found = entries(quick.registry, "2026-10", {"1": 7}, {"1": SEEN}, "2026-12-01")
    assert [("3", "registered"), ("2", "rejected"), ("1", "champion")] == [
        (each.version, each.stage) for each in found
    ]
    assert (third.verdict_id, "passed", "high") == (
        found[0].verdict_id,
        found[0].verdict,
        found[0].tier,
    )
    assert ("Ada", 7, SEEN, "2026-12-01") == (
        found[2].by,
        found[2].decisions,
        found[2].watched,
        found[2].next_watch,
    )
    assert (0, None, None) == (found[0].decisions, found[0].watched, found[0].next_watch)


def test_without_a_ledger_nothing_is_counted(quick: Bench) -> None:
    """No ledger is no zero: the number of decisions is not known."""
    quick.registered()
    (found,) = entries(quick.registry, "2026-10", None, {}, "2026-12-01")
    assert found.decisions is None
