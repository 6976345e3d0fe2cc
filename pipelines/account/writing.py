"""What a letter says about a case, section by section; nothing that the record does not hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from pipelines.account.afterwards import Contest, Course, Override, Redecision
from pipelines.account.case import Case, Change
from pipelines.account.letter import (
    Block,
    Items,
    Letter,
    Line,
    Paragraph,
    Run,
    Section,
    Table,
    said,
)
from pipelines.account.speech import Speech, day, filled, joined
from pipelines.account.words import Words, apart, words
from pipelines.decisions.decide import BY_MARGIN
from pipelines.decisions.records import Decided
from pipelines.errors import BadRequest
from pipelines.params import LetterParams

MOST_REASONS: Final = 4  # 12 CFR 1002.9, comment 9(b)(2)-1


def letter(case: Case, settings: LetterParams, language: str, today: dt.date) -> Letter:
    """Return the letter about a case as of today. Raises BadRequest when nobody answers for it."""
    named(settings)
    speak = Speech(words(language), settings, case.contract)
    say = speak.words.say
    sections = (
        Section(say("result.heading"), tuple(map(said, _result(case.course, speak.words)))),
        Section(say("how.heading"), tuple(map(said, procedure(case.made.decided, speak.words)))),
        *_reasons(case, speak),
        *_changes(case, speak),
        Section(say("data.heading"), tuple(_data(case, speak))),
        Section(say("contest.heading"), tuple(map(said, _contest(case, speak)))),
        Section(say("responsible.heading"), (said(_responsible(speak)),)),
        *_notice(case, speak),
        Section(say("proof.heading"), (said(_proof(case, speak.words)),)),
    )
    return Letter(
        language=language,
        title=say("title"),
        sender=(settings.organisation, settings.address),
        marks=(
            say("reference", id=case.course.id),
            say("written", date=speak.words.date(today)),
        ),
        sections=sections,
    )


def _result(course: Course, words: Words) -> Iterator[str]:
    first = course.first.made
    yield words.say(f"result.{first.decided.outcome}", date=day(words, first.at))
    for step in course.steps:
        told = step.said
        if isinstance(told, Override):
            values = {"person": told.person, "reason": told.reason}
            yield words.say(f"review.{told.outcome}", date=day(words, told.at), **values)
        elif isinstance(told, Redecision):
            yield words.say("again.lead", date=day(words, told.at))
            yield words.say(f"again.{told.outcome}")


def procedure(decided: Decided, words: Words) -> Iterator[str]:
    """Yield how a decision came about: who decided, by which score against which cut-off."""
    name = {"model": decided.model.model_name, "version": decided.model.version}
    yield words.say("how.looked" if decided.outcome == "refer" else "how.machine", **name)
    if decided.because not in BY_MARGIN or decided.margin is None:
        yield words.say(f"how.{decided.because}")
        return
    score, below, start = (
        float.fromhex(each)
        for each in (decided.margin, decided.decline_below, decided.approve_from)
    )
    told = apart(words, score, start, *([below] if below != start else []))
    if below == start:
        yield words.say("how.cutoff", approve=told[1], score=told[0])
    else:
        yield words.say("how.score", approve=told[1], decline=told[2], score=told[0])


def _reasons(case: Case, speak: Speech) -> Iterator[Section]:
    decided, say = case.made.decided, speak.words.say
    if case.course.outcome == "approve" or not decided.reasons:
        return
    values = decided.values or {}
    codes = case.policy.letter is not None and case.policy.letter.codes
    lines = tuple(
        speak.reason(reason, values.get(reason.column), code=codes)
        for reason in decided.reasons[:MOST_REASONS]
    )
    lead = said(say(f"reasons.{decided.outcome}"))
    yield Section(say("reasons.heading"), (lead, Items(lines, ordered=True)))


def _changes(case: Case, speak: Speech) -> Iterator[Section]:
    if case.course.outcome == "approve" or case.made.decided.because not in BY_MARGIN:
        return
    say, found = speak.words.say, case.changes
    blocks: tuple[Block, ...]
    if found is None:
        blocks = (said(say("change.ask")),)
    elif not found.ways:
        blocks = (said(say("change.capped" if found.capped else "change.none")),)
    else:
        ways = tuple(_way(way, speak) for way in found.ways)
        blocks = (said(say("change.lead")), Items(ways), said(say("change.alone")))
    yield Section(say("change.heading"), blocks)


def _way(way: tuple[Change, ...], speak: Speech) -> Line:
    runs: list[Run] = []
    for change in way:
        if runs:
            runs.append(Run(speak.words.messages["and"]))
        column = speak.contract.column(change.column)
        parts: dict[str, Line] = {
            "what": (speak.column(change.column),),
            "new": speak.value(column, change.new),
            "old": speak.value(column, change.old),
        }
        runs += filled(speak.words.messages["change.one"], parts)
    return tuple(runs)


def _data(case: Case, speak: Speech) -> Iterator[Block]:
    say, values = speak.words.say, case.made.decided.values or {}
    used = [column for column in case.contract.columns if column.name in case.features]
    rows = tuple(
        ((speak.column(column.name),), speak.value(column, values.get(column.name)))
        for column in used
    )
    yield said(say("data.lead"))
    yield Table(say("data.caption"), (say("data.what"), say("data.value")), rows)
    subject = case.contract.subject.name
    unused = [
        speak.column(name)
        for name, value in values.items()
        if value is not None and name not in case.features and name != subject
    ]
    if unused:
        names = tuple(joined(unused, speak.words.messages["join"]))
        yield Paragraph(tuple(filled(speak.words.messages["data.unused"], {"names": names})))


def _contest(case: Case, speak: Speech) -> Iterator[str]:
    say = speak.words.say
    yield say("contest.how", contact=speak.settings.contact)
    if case.policy.contest is not None:
        yield say("contest.days", days=case.policy.contest.days)
    for step in case.course.open:
        if isinstance(step.said, Contest):
            since, due = day(speak.words, step.said.at), speak.words.date(step.said.due)
            yield say("contest.open", date=since, due=due)


def _responsible(speak: Speech) -> str:
    given = speak.settings
    values = {name: getattr(given, name) for name in ("organisation", "address", "contact")}
    return speak.words.say("responsible", **values)


def _notice(case: Case, speak: Speech) -> Iterator[Section]:
    """Yield the notice that the pack asks for, in its own words. Raises BadRequest."""
    if case.policy.letter is None or not case.policy.letter.notice:
        return
    notices, language = case.policy.letter.notice, speak.words.language
    own = language if language in notices else next(iter(notices))
    text = notices[own]
    if "{agency}" in text and not speak.settings.agency.strip():
        raise BadRequest(
            "the policy pack's notice names an authority, and nobody said which",
            where="params.yaml: letter.agency",
            expected=f"the authority that {case.policy.name} means",
            hint="docs/how-to/answer-a-person.md",
        )
    text = text.replace("{agency}", speak.settings.agency.strip())
    run = Run(text.strip(), None if own == language else own)
    yield Section(speak.words.say("notice.heading"), (Paragraph((run,)),))


def _proof(case: Case, words: Words) -> str:
    return words.say("proof", index=case.course.first.index, log=case.log)


def named(settings: LetterParams) -> None:
    """Raise BadRequest unless somebody answers for the decisions."""
    for name in ("organisation", "address", "contact"):
        if not getattr(settings, name).strip():
            raise BadRequest(
                "a letter names who answers for the decision",
                where=f"params.yaml: letter.{name}",
                expected="words that a person can use",
                hint="docs/how-to/answer-a-person.md",
            )
