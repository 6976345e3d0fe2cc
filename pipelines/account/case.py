"""The case of one decision: its course, its contract, what the model read, and the policy pack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.account.afterwards import Course, Redecision
from pipelines.account.original import Opened, original
from pipelines.contract import Contract
from pipelines.decisions.record import Decision
from pipelines.errors import NotThere
from pipelines.layout import State
from pipelines.ledger.log import Ledger
from pipelines.records import Candidate, Json
from pipelines.release.policy import Policy
from pipelines.typed import read_json


@dataclass(frozen=True, slots=True)
class Change:
    """One column that would have to be another."""

    column: str
    old: Json
    new: Json


@dataclass(frozen=True, slots=True)
class Changes:
    """Ways to another result, each of them verified; `capped` where the search was limited."""

    ways: tuple[tuple[Change, ...], ...]
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """All that a letter speaks of. `features` are what the model reads.

    `log` is the ledger's origin. `changes` is None where nobody worked them out.
    """

    course: Course
    contract: Contract
    features: tuple[str, ...]
    policy: Policy
    log: str
    changes: Changes | None = None

    @property
    def made(self) -> Decision:
        """The machine's last word."""
        return last_word(self.course)


def last_word(course: Course) -> Decision:
    """Return the machine's last word: the decision, or what was decided again."""
    again = [said.made for _, said in course.of(Redecision)]
    return again[-1] if again else course.first.made


def case_of(
    course: Course,
    ledger: Ledger,
    opened: Opened,
    state: State,
    packs: Callable[[str], Policy],
) -> Case:
    """Return the case of a decision, with contract and inputs of the version that decided last.

    `packs` reads a policy pack by name; one that is gone is taken from the version's own files.
    """
    origin = last_word(course).origin
    files = original(opened, origin, state).files
    try:
        policy = packs(origin.policy)
    except NotThere:
        policy = read_json(files.policy, Policy)
    return Case(
        course=course,
        contract=read_json(files.contract, Contract),
        features=read_json(files.record, Candidate).features,
        policy=policy,
        log=ledger.origin,
    )
