"""Letters to everybody whose decision an incident changed, one file each, named by the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipelines.account import explain
from pipelines.account.again import Where
from pipelines.account.case import case_of
from pipelines.account.would_change import would_change
from pipelines.decisions.record import Recorder
from pipelines.layout import Layout
from pipelines.ledger.log import Ledger
from pipelines.params import LetterParams
from pipelines.release import policy


@dataclass(frozen=True, slots=True)
class Office:
    """What letters are written from."""

    ledger: Ledger
    where: Where
    layout: Layout
    settings: LetterParams


def run(
    office: Office, ids: Sequence[str], folder: Path, kind: str, language: str, person: str
) -> int:
    """Write a letter for each decision; return how many. Each is a recorded look.

    A letter that is there already is written again: it says how the decision stands now.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    recorder, packs = Recorder(office.ledger), partial(policy.read, office.layout)
    where = office.where
    for number in ids:
        course = explain.looked(recorder, bytes.fromhex(number), person)
        case = case_of(course, office.ledger, where.registry, where.state, packs)
        case = replace(case, changes=would_change(where, course))
        made = explain.run(case, office.settings, language, kind)
        (folder / f"{number}.{kind}").write_bytes(made)
    return len(ids)
