"""A named person's word, with a reason, on one verdict."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import BadRequest, NotThere
from pipelines.release import approve
from tests.release.versions import Bench


def answered(bench: Bench, **changes: Any) -> Any:
    """Answer about a registered version."""
    version = bench.registered()
    said = {
        "version": version.version,
        "verdict_id": version.verdict_id,
        "chosen": ["Approve"],
        "person": "Ada",
        "reason": "the reports are in order",
        "at": "2026-11-22T09:00:00+00:00",
    }
    return approve.run(bench.context, **(said | changes))


def test_an_answer_is_kept_with_the_version(bench: Bench) -> None:
    """The record is what was said, and it comes back from the registry."""
    found = answered(bench, person=" Ada ", reason=" good\n")
    assert (True, "Ada", "good") == (found.approved, found.person, found.reason)
    assert [found] == list(bench.registry.approvals("1"))


def test_the_same_answer_is_kept_once(quick: Bench) -> None:
    """A task that is run again does not make a second approval."""
    assert answered(quick) == answered(quick)
    assert 1 == len(quick.registry.approvals("1"))


def test_a_rejection_is_kept_too(quick: Bench) -> None:
    """Who said no, and why, is part of the record."""
    found = answered(quick, chosen=["Reject"])
    assert not found.approved
    assert [found] == list(quick.registry.approvals("1"))


REFUSED: dict[str, dict[str, Any]] = {
    "no reason": {"reason": ""},
    "white space for a reason": {"reason": " \t\n"},
    "a reason too long to keep": {"reason": "x" * 2001},
    "nobody": {"person": ""},
    "white space for a name": {"person": "  "},
    "a name that breaks a line": {"person": "Ada\nBob"},
    "a name that a terminal carries out": {"person": "Ada\x1b[2J"},
    "a server without log-in": {"person": "Anonymous"},
    "the same in small letters": {"person": "anonymous"},
    "another verdict": {"verdict_id": "f" * 64},
    "nothing chosen": {"chosen": []},
    "both chosen": {"chosen": ["Approve", "Reject"]},
    "something else chosen": {"chosen": ["approve"]},
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_answer_that_cannot_count_is_refused(quick: Bench, what: str) -> None:
    """Without a name, a reason, this verdict and one choice there is no approval."""
    with pytest.raises(BadRequest):
        answered(quick, **REFUSED[what])
    assert [] == list(quick.registry.approvals("1"))


def test_a_version_that_is_not_there_cannot_be_approved(quick: Bench) -> None:
    """An answer about an unknown version is refused."""
    with pytest.raises(NotThere):
        answered(quick, version="7")
