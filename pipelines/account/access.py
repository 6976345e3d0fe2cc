"""All that is recorded about a person, as a page for that person (GDPR, Article 15).

The machine-readable export beside it holds the same with every technical detail. Words come from
the catalogue and from the files of the version that decided; where they cannot be had
a column is shown by its name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from pipelines.account.afterwards import CONTEST, OVERRIDE, REDECISION
from pipelines.account.letter import Block, Items, Letter, Line, Section, Table, line, said
from pipelines.account.original import Opened, original
from pipelines.account.replay import REPLAY
from pipelines.account.speech import Speech
from pipelines.account.words import Words, words
from pipelines.account.writing import procedure
from pipelines.contract import Contract
from pipelines.decisions.record import DECISION, LOOK, Decision, Origin
from pipelines.decisions.records import Decided, Refusal
from pipelines.decisions.rights import EXPORT
from pipelines.errors import ClewError
from pipelines.layout import State
from pipelines.params import LetterParams
from pipelines.records import Candidate, Json
from pipelines.typed import read_json

OUTCOME: Final = "outcome"
TOLD: Final = (DECISION, CONTEST, OVERRIDE, REDECISION, OUTCOME, REPLAY, LOOK, EXPORT)


@dataclass(frozen=True, slots=True)
class Known:
    """What a version's own files say of columns: their words, and which the model reads."""

    contract: Contract
    features: tuple[str, ...]


Versions = Callable[[Origin], Known | None]


def access(
    exported: Mapping[str, Any],
    versions: Versions,
    settings: LetterParams,
    language: str,
    today: dt.date,
) -> Letter:
    """Return an export (`rights.export`) as a page to read. Raises BadRequest for the language.

    `versions` tells of the version that decided, None where it cannot be had.
    """
    speak = words(language)
    records: Sequence[Mapping[str, Any]] = exported["records"]
    lead = speak.say("access.lead", date=speak.date(today), count=len(records))
    sections = (_section(each, versions, settings, speak) for each in records)
    asking = [speak.say("access.ask", contact=settings.contact)] if settings.contact else []
    return Letter(
        language=language,
        title=speak.say("access.title"),
        sender=tuple(filter(None, (settings.organisation, settings.address))),
        marks=(lead, *asking),
        sections=tuple(sections),
    )


def versions(opened: Opened, state: State) -> Versions:
    """Return what tells of a decision's version, each version asked for once."""

    @cache
    def found(origin: Origin) -> Known | None:
        try:
            files = original(opened, origin, state).files
            features = read_json(files.record, Candidate).features
            return Known(read_json(files.contract, Contract), features)
        except ClewError:
            return None  # a person's access does not wait for the registry

    return found


def _section(
    record: Mapping[str, Any], versions: Versions, settings: LetterParams, speak: Words
) -> Section:
    content, kind = record["content"], record["kind"]
    at = speak.value(record["at"])
    if kind == DECISION:
        made = msgspec.convert({**content, "request": None}, Decision)
        blocks = tuple(_decision(made, record["id"], versions(made.origin), settings, speak))
    else:
        blocks = tuple(_other(kind, content, speak))
    title = speak.say(f"access.heading.{kind}") if kind in TOLD else kind
    return Section(f"{at}: {title}", blocks)


def _decision(
    made: Decision, number: str, known: Known | None, settings: LetterParams, speak: Words
) -> Iterator[Block]:
    decided = made.decided
    yield said(speak.say(f"access.outcome.{decided.outcome}"))
    yield said(speak.say("access.reference", id=number))
    yield said(speak.say("access.asked", caller=made.call.caller, purpose=made.call.purpose))
    if decided.outcome == "refuse":
        yield Items(tuple(line(f"{each.field}: {each.rule}") for each in _refused(decided)))
    else:
        for each in procedure(decided, speak):
            yield said(each)
    if decided.reasons:
        yield said(speak.say("access.reasons"))
        yield Items(tuple(line(each.words) for each in decided.reasons), ordered=True)
    given = {name: value for name, value in (decided.values or {}).items() if value is not None}
    read = {name: value for name, value in given.items() if known and name in known.features}
    others = {name: value for name, value in given.items() if name not in read}
    told = Speech(speak, settings, known.contract) if known else None
    if read:
        yield _table(speak.say("data.caption"), read, speak, told)
    if others:
        caption = speak.say("access.unread" if known else "access.given")
        yield _table(caption, others, speak, told)


def _refused(decided: Decided) -> Iterator[Refusal]:
    yield from (each for each in decided.problems if isinstance(each, Refusal))


def _table(
    caption: str, values: Mapping[str, Json], speak: Words, told: Speech | None = None
) -> Table:
    head = (speak.say("data.what"), speak.say("data.value"))
    return Table(caption, head, tuple(_row(*each, speak, told) for each in values.items()))


def _row(name: str, value: Json, speak: Words, told: Speech | None) -> tuple[Line, Line]:
    if told is None:
        return line(name), line(speak.value(value))
    return (told.column(name),), told.value(told.contract.column(name), value)


def _other(kind: str, content: Mapping[str, Any], speak: Words) -> Iterator[Block]:
    """Yield what a later entry says, in a sentence where its kind is known."""
    say = speak.say
    number = content.get("decision_id")
    if number:
        yield said(say("access.about", id=number))
    if kind == CONTEST:
        due = speak.date(dt.date.fromisoformat(content["due"]))
        yield said(say("access.contest", statement=content["statement"], due=due))
    elif kind in {OVERRIDE, REDECISION}:
        outcome = content["outcome"]
        yield said(say(f"access.now.{outcome}"))
        yield said(say("access.by", person=content["person"], reason=content["reason"]))
    elif kind == OUTCOME:
        became = content["favourable"]
        yield said(say("access.became.good" if became else "access.became.bad"))
    elif kind == REPLAY:
        result = content["result"]
        yield said(say(f"access.replay.{result}"))
    elif kind in {LOOK, EXPORT}:
        yield said(say("access.who", person=content["caller"]))
    else:
        plain = {name: each for name, each in content.items() if not isinstance(each, dict | list)}
        yield _table(say("access.given"), plain, speak)
