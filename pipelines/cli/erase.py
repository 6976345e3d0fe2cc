"""The command `erase`, and what Airflow's tasks share with it: a plan, and carrying it out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.canonical import sha256_json
from pipelines.cli import voice
from pipelines.cli.options import JSON, YES, Place, here, open_ledger
from pipelines.cli.release import PERSON, REASON
from pipelines.errors import BadRequest, GateRefused, NotThere
from pipelines.typed import plain

if TYPE_CHECKING:
    from pipelines.decisions import rights
    from pipelines.ledger.log import Ledger
    from pipelines.records import Json
    from pipelines.release.policy import Policy
    from pipelines.runs.training_data import Held

LEFT_OUT = "left_out"
YOURS = "files that land, and those written elsewhere by `clew score --out` and `clew export`"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What erasing a person comes to: in the ledger (None: nothing there), in training data."""

    pack: Policy
    planned: rights.Plan | None
    held: tuple[Held, ...]

    @property
    def excludes(self) -> bool:
        """Whether the person is left out of what lands from now on."""
        rule = self.pack.training_data
        return bool(self.held) and rule is not None and rule.on_erasure == "exclude"

    @property
    def erases(self) -> bool:
        return bool(self.planned and self.planned.now)

    def lines(self) -> list[str]:
        """Return the plan for a person to read; it names nobody."""
        told = self.planned.lines() if self.planned else ["records    none in the ledger"]
        told += [f"training   {each.line()}" for each in self.held]
        if self.held:
            what = "left out" if self.excludes else "not left out: the pack says to list"
            told.append(f"from now on {what}, whenever data land")
        if self.held and self.pack.training_data:
            told.append(f"held because {self.pack.training_data.because}")
        told.append("copies     cut from the files of batches in the state folder")
        return [*told, f"yours      {YOURS}"]

    @property
    def digest(self) -> str:
        """What names this plan: a plan that says anything else has another."""
        return sha256_json(plain(self.lines()))


def prepare(place: Place, ledger: Ledger, subject: str) -> Prepared:
    """Return the plan of erasing a person today. Raises NotThere when nothing is held of them."""
    from datetime import UTC, datetime

    from pipelines.decisions import rights
    from pipelines.release import policy
    from pipelines.runs import training_data

    known = params.read(place.layout.params)
    pack = policy.read(place.layout, known.policy)
    try:
        planned = rights.plan(ledger, subject, pack, datetime.now(UTC).date())
    except NotThere:
        planned = None
    held = training_data.holding(place.root, place.state, subject, pack.training_data)
    if held:
        versions = wiring.registry(place.state)(known.model_name).versions()
        held = training_data.behind(held, versions)
    if planned is None and not held:
        raise rights.nothing_recorded()
    return Prepared(pack, planned, held)


def refuse(prepared: Prepared) -> None:
    """Raise GateRefused where nothing of a plan may be carried out today."""
    planned = prepared.planned
    if planned and planned.hold:
        raise GateRefused("the person is under a legal hold", hint="clew hold SUBJECT --lift")
    if not prepared.erases and not prepared.excludes:
        days = planned.deferred.values() if planned else ()
        first = f"erasure from {min(days)} on" if days else "nothing that may be erased"
        raise GateRefused("the law wants these records kept", expected=first)


def carry_out(
    place: Place, ledger: Ledger, subject: str, prepared: Prepared, person: str, reason: str
) -> dict[str, Json]:
    """Carry out a plan; return what was done. Who did and why is recorded first.

    Done twice it comes to the same. Raises GateRefused on a legal hold, BadRequest where the
    database's role may not erase.
    """
    from pipelines.data import exclude
    from pipelines.decisions import rights, scored
    from pipelines.ledger.erasure import refuse_without_right

    refuse(prepared)
    if prepared.erases:
        refuse_without_right(ledger)
    answer: dict[str, Json] = {"erased": 0, "tombstone": None, "key_epoch": None}
    if prepared.excludes:
        rights.record_act(ledger, LEFT_OUT, person, reason)
        exclude.add(place.state, subject)
    copies = scored.forget(place.state.scored, subject)
    if prepared.erases:
        answer |= erase_recorded(ledger, subject, prepared.pack, person, reason)
    deferred = prepared.planned.deferred if prepared.planned else {}
    return answer | {
        "copies": copies,
        "deferred": {bucket: str(day) for bucket, day in deferred.items()},
        "training_data": [plain_held(each) for each in prepared.held],
        LEFT_OUT: prepared.excludes,
    }


def erase_recorded(
    ledger: Ledger, subject: str, pack: Policy, person: str, reason: str
) -> dict[str, Json]:
    """Erase what the ledger holds and may let go; an erasure that was cut short is finished first.

    Where that was all, there is no other tombstone than the one recorded then.
    """
    from datetime import UTC, datetime

    from pipelines.decisions import rights
    from pipelines.ledger.erasure import finish_erasures

    left = finish_erasures(ledger)
    try:
        planned = rights.plan(ledger, subject, pack, datetime.now(UTC).date())
    except NotThere:
        planned = None
    if planned is None or not planned.now:
        return {"erased": left}
    done = rights.erase(ledger, subject, planned, pack, person, reason)
    tombstone = done.receipt.id.hex()
    return {"erased": left + done.parts, "tombstone": tombstone, "key_epoch": done.epoch}


def plain_held(held: Held) -> dict[str, Json]:
    """Return data that hold the person as JSON."""
    named = {"snapshot": held.snapshot, "runs": list(held.runs), "versions": list(held.versions)}
    return named | {"rows": held.rows, "until": str(held.until) if held.until else None}


@contextmanager
def prepared_for(subject: str) -> Iterator[tuple[Place, Ledger, Prepared]]:
    """Give the ledger of this machine and the plan of erasing a person."""
    place = here()
    with open_ledger(place.state) as ledger:
        yield place, ledger, prepare(place, ledger, subject)


@click.command()
@click.argument("subject")
@PERSON
@REASON
@click.option("--refer", is_flag=True, help="Erase nothing: print a reference for erase_subject.")
@YES
@JSON
def erase(subject: str, person: str, reason: str, refer: bool, yes: bool, as_json: bool) -> None:
    """Erase what is recorded about SUBJECT, as far as law and holds allow; exit 4 when not at all.

    What must be kept is named with the day until which it must; so are the training data that
    hold the person. All proofs stay whole. With `-` SUBJECT is read from stdin.
    """
    named = subject_of(subject)
    if refer:
        from pipelines.decisions import erasure_requests

        folder = here().state.erasure_requests
        reference = erasure_requests.create(folder, named, person, reason)
        voice.record({"reference": reference}, as_json=as_json)
        return
    with prepared_for(named) as (place, ledger, prepared):
        voice.confirm([*prepared.lines(), f"by         {person}"], yes=yes)
        answer = carry_out(place, ledger, named, prepared, person, reason)
    voice.record(answer, as_json=as_json)


def subject_of(word: str) -> str:
    """Return whom a command line names: the word, or for ``-`` the first line of stdin."""
    if word != "-":
        return word
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise BadRequest("no subject on stdin")
    return line
