"""The letter: what the record holds, in plain words, in two languages, in three formats."""

from __future__ import annotations

import datetime as dt
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import count

import msgspec
import pytest

from pipelines.account import afterwards, contest, explain, letter_text, writing
from pipelines.account.case import Case, Change, Changes, case_of
from pipelines.account.letter import Run
from pipelines.account.speech import Speech
from pipelines.account.words import FOLDER, LANGUAGES, apart, slots, words
from pipelines.contract import Column, Contract
from pipelines.decisions.record import as_number
from pipelines.errors import BadRequest, DataRefused
from pipelines.params import LetterParams
from pipelines.release.policy import Policy
from pipelines.typed import read_yaml
from tests.account.worlds import DAY, PACK, World

PEOPLE = (f"reader-{number}" for number in count())
LENDER = LetterParams(
    organisation="The <b>Lender</b>",
    address="1 Street",
    contact="desk@lender.example",
    agency="the Bureau",
    translations={"de": {"income": "das Einkommen", "self": "die Schulden"}},
)
EVIL = '<script>x</script> [a](http://x) *b* #panic("c") | `d` $e$'


def packs(name: str) -> Policy:
    assert name == PACK.name
    return PACK


def declined(world: World) -> bytes:
    """Record a decline about somebody new."""
    for income in (31.25, 5.0, 1.0, 0.0, 900.0):
        number = world.decide(next(PEOPLE), income=income)
        if world.recorder.read(number).made.decided.outcome == "decline":
            return number
    raise AssertionError("nobody is declined")


def approved(world: World) -> bytes:
    """Record an approval of somebody new."""
    for income in (31.25, 900.0, 300.0, 5.0, 0.0):
        number = world.decide(next(PEOPLE), income=income)
        if world.recorder.read(number).made.decided.outcome == "approve":
            return number
    raise AssertionError("nobody is approved")


def case(world: World, number: bytes) -> Case:
    course = afterwards.course(world.ledger, number)
    return case_of(course, world.ledger, world.bench.opened, world.state, packs)


def text(world: World, number: bytes, language: str = "en", **changes: object) -> str:
    """Return the letter as Markdown with nothing escaped."""
    found = replace(case(world, number), **changes)  # type: ignore[arg-type]
    told = writing.letter(found, LENDER, language, DAY.date())
    return re.sub(r"\\(.)", r"\1", letter_text.markdown(told))


# The catalogues.


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_missing_in_a_language(language: str) -> None:
    """Every catalogue has the ids, and each message the values, of the English one."""
    first, other = words("en").messages, words(language).messages
    assert first.keys() == other.keys()
    different = [each for each in first if slots(first[each]) != slots(other[each])]
    assert [] == different
    assert 12 == len(other["months"].split())
    assert [] == [each for each, said in other.items() if not said.strip() or "<" in said]


def test_every_message_that_is_said_exists() -> None:
    """Ids in the code are in the catalogue, and no catalogue keeps one that nobody says."""
    code = "".join(
        (FOLDER.parent / f"{name}.py").read_text()
        for name in ("writing", "words", "speech", "access")
    )
    said = set(re.findall(r'(?:say\(|messages\[)\s*f?"([\w.{}-]+)"', code))
    said |= set(re.findall(r'"((?:how|change|value|access)\.[\w.-]*)" (?:if|else)', code))
    said |= set(re.findall(r'else "((?:how|change|value|access)\.[\w.-]*)"', code))
    patterns = [re.sub(r"\\\{[^}]*\}", r"[\\w-]+", re.escape(each)) for each in said]
    known = set(read_yaml(FOLDER / "en.yaml", dict[str, str]))
    for pattern in patterns:
        assert any(re.fullmatch(pattern, each) for each in known), pattern
    unused = {each for each in known if not any(re.fullmatch(p, each) for p in patterns)}
    assert set() == unused


def test_a_message_takes_its_values_and_no_other() -> None:
    """A value too many or too few is a fault of the program, never a hole in a letter."""
    for values in ({}, {"id": "1", "other": "2"}):
        with pytest.raises(ValueError, match="reference"):
            words("en").say("reference", **values)


@pytest.mark.parametrize(
    ("value", "english", "german"),
    [
        (None, "not given", "nicht angegeben"),
        (True, "yes", "ja"),
        (31.25, "31.25", "31,25"),
        (1250, "1250", "1250"),
        (1234567.5, "1,234,567.5", "1.234.567,5"),
        (-12000, "-12,000", "-12.000"),
        (10.600000381469727, "10.6", "10,6"),
        (0.7523809671401978, "0.752381", "0,752381"),
        (1234567.891, "1,234,567.89", "1.234.567,89"),
        (1.5e-9, "0.0000000015", "0,0000000015"),
        (3.0, "3", "3"),
        (1e-7, "0.0000001", "0,0000001"),
        (1e22, "10,000,000,000,000,000,000,000", "10.000.000.000.000.000.000.000"),
        ("2011-03-04", "4 March 2011", "4. März 2011"),
        ("2011-03-04T23:05:00.7+00:00", "4 March 2011, 23:05 UTC", "4. März 2011, 23:05 Uhr (UTC)"),
        ("20110304", "20110304", "20110304"),
        ("cook", "cook", "cook"),
    ],
)
def test_values_are_written_as_people_write_them(value: object, english: str, german: str) -> None:
    """Numbers, dates and answers in the language's own way, without a machine's artefacts."""
    assert (english, german) == (words("en").value(value), words("de").value(value))


def test_numbers_that_differ_look_different() -> None:
    """A score just under the cut-off is never shown as equal to it."""
    assert ["1.234", "1.235"] == apart(words("en"), 1.2341, 1.2349)
    assert ["1.20", "1.30"] == apart(words("en"), 1.2, 1.3)


# What it says.


def test_a_declined_person_learns_all_that_the_law_asks(shared: World) -> None:
    """Result, machine, reasons with codes, data, contest, deadline, who answers, the notice."""
    number = declined(shared)
    found, told = shared.recorder.read(number).made.decided, text(shared, number)
    assert 1 <= len(found.reasons) <= 4
    for reason in found.reasons:
        assert f"{reason.words}: " in told
        if reason.reg_b_code:
            assert f" ({reason.reg_b_code})" in told
    for expected in (
        "your application was declined",
        "An automated system made this decision: the model people, version 1.",
        "No person took part",
        "within 28 days",
        "desk@lender.example",
        "A notice, by the Bureau.",
        number.hex(),
        shared.ledger.origin,
    ):
        assert expected in told


def test_a_letter_shows_the_persons_own_values_and_what_was_not_used(shared: World) -> None:
    """Each input of the model with its value; what was recorded besides is named as not used."""
    number = shared.decide(next(PEOPLE), income=12345.5 / 100, origin="north", years=44)
    told = text(shared, number)
    assert "| the income | 123.455 |" in told
    assert "| owning a home | yes |" in told
    unused = next(line for line in told.splitlines() if "did not use them" in line)
    assert "origin" in unused
    assert "income" not in unused


def test_reasons_are_four_at_most(shared: World) -> None:
    """However many were recorded, a letter gives the four strongest."""
    number = declined(shared)
    found = case(shared, number)
    decided = found.made.decided
    many = msgspec.structs.replace(decided, reasons=decided.reasons[:1] * 9)
    made = msgspec.structs.replace(found.made, decided=many)
    course = afterwards.Course(msgspec.structs.replace(found.course.first, made=made), ())
    told = writing.letter(replace(found, course=course), LENDER, "en", DAY.date())
    reasons = next(each for each in told.sections if each.heading == "The principal reasons")
    assert 4 == len(reasons.blocks[1].lines)  # type: ignore[union-attr]


def test_an_approved_person_gets_no_reasons_against(shared: World) -> None:
    """Nobody who was approved reads what counted against them, or what would have changed it."""
    told = text(shared, approved(shared))
    assert "your application was approved" in told
    assert "principal reasons" not in told
    assert "What would have changed" not in told


def test_a_letter_in_german_is_german(shared: World) -> None:
    """Headings, messages and translated columns; what has no translation keeps the contract's."""
    told = text(shared, declined(shared), "de")
    for expected in ("wurde Ihr Antrag abgelehnt", "das Einkommen", "innerhalb von 28 Tagen"):
        assert expected in told
    assert "Ein Hinweis, von the Bureau." in told
    assert "the town" in told


def test_what_would_have_changed_the_result_is_told_with_its_bound(shared: World) -> None:
    """Each way is a list of changes; none found is said, and a limited search is said too."""
    number = declined(shared)
    way = (Change("income", 5.0, 42.5), Change("self", 3, 1))
    told = text(shared, number, changes=Changes((way,)))
    assert "the income: 42.5 instead of 5; and the debts: 1 instead of 3" in told
    assert "changes only together with them" in told
    assert "There is no change" in text(shared, number, changes=Changes(()))
    assert "search was limited" in text(shared, number, changes=Changes((), capped=True))
    assert "You may ask us" in text(shared, number)


def test_a_contest_and_its_answer_stand_in_the_letter(shared: World) -> None:
    """An open contest with its deadline; after the review the new result and its reason."""
    number = declined(shared)
    contest.contest(shared.ledger, number, "no", "Ada", PACK, DAY)
    assert "You get an answer by 20 December 2026." in text(shared, number)
    contest.override(shared.ledger, number, "approve", "Grace", "a mistake of ours")
    told = text(shared, number)
    assert "Grace reviewed this decision" in told
    assert "your application is approved. The reason given: a mistake of ours" in told
    assert "principal reasons" not in told


def test_nobody_answers_nobody_is_written_to(shared: World) -> None:
    """Without an organisation, an address, a contact, or the notice's agency there is no letter."""
    found = case(shared, declined(shared))
    for name in ("organisation", "address", "contact", "agency"):
        silent = msgspec.structs.replace(LENDER, **{name: " "})
        with pytest.raises(BadRequest):
            writing.letter(found, silent, "en", DAY.date())


def test_every_letter_is_a_recorded_look(shared: World) -> None:
    """Who had a letter written stands in the log, before the letter does."""
    number, size = declined(shared), shared.bench.size()
    explain.looked(shared.recorder, number, "Ada")
    row = shared.ledger.row(shared.bench.size() - 1)
    assert b'"t":"look"' in row.entry
    assert b"Ada" in shared.ledger.read(row.id).content
    assert size + 1 <= shared.bench.size()


def test_what_was_sent_back_gets_no_letter(shared: World) -> None:
    """Nobody was decided about."""
    number = shared.decide(next(PEOPLE), income="many")
    with pytest.raises(BadRequest, match="sent back"):
        explain.looked(shared.recorder, number, "Ada")


# How it is shown.


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def evil(world: World) -> Case:
    """Return a case where contract, person and reviewer all write markup."""
    number = world.decide(next(PEOPLE), town=EVIL)
    contest.override(world.ledger, number, "decline", EVIL, EVIL)
    found = case(world, number)
    columns = tuple(
        msgspec.structs.replace(column, words=EVIL, unit=EVIL) for column in found.contract.columns
    )
    contract = msgspec.structs.replace(found.contract, columns=columns)
    return replace(found, contract=contract, log=EVIL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_value_becomes_markup_in_html(shared: World, language: str) -> None:
    """Whoever wrote it, it is text: the page's tags are those of a harmless letter."""
    lender = msgspec.structs.replace(LENDER, contact=EVIL, address=EVIL, agency=EVIL)
    made = explain.run(evil(shared), lender, language, "html").decode()
    found = Page(made)
    assert "script" not in {tag for tag, _ in found.tags}
    assert "a" not in {tag for tag, _ in found.tags}
    assert EVIL in found.text
    assert html.escape(EVIL) in made


def test_no_value_becomes_markup_in_markdown(shared: World) -> None:
    """Every mark of Markdown and HTML is escaped."""
    lender = msgspec.structs.replace(LENDER, contact=EVIL)
    made = explain.run(evil(shared), lender, "en", "md").decode()
    assert "<script>" not in made
    assert not re.search(r"(?<!\\)\]\(", made)
    rows = sum(each.startswith("| ") for each in made.splitlines())
    for mark, ours in {"<": 0, "`": 0, "*": 0, "|": 3 * rows}.items():
        assert ours == len(re.findall(rf"(?<!\\){re.escape(mark)}", made)), mark


def test_a_page_is_accessible_and_asks_for_nothing(shared: World) -> None:
    """Language, one first heading, second ones in order, a caption, scopes; and no address."""
    made = explain.run(case(shared, declined(shared)), LENDER, "de", "html").decode()
    found = Page(made)
    tags = [tag for tag, _ in found.tags]
    attributes = [attribute for _, each in found.tags for attribute in each]
    assert ("html", {"lang": "de"}) == found.tags[0]
    assert (
        1 == tags.count("h1") == tags.count("title") == tags.count("caption") == tags.count("main")
    )
    assert "h1" == next(tag for tag in tags if re.fullmatch("h[1-6]", tag))
    assert set() == {"src", "href", "onclick"} & set(attributes)
    assert all("scope" in each for tag, each in found.tags if tag == "th")
    assert "http" not in made.replace('http-equiv="', "")


def test_a_pdf_is_tagged_and_says_its_language(shared: World) -> None:
    """PDF/UA-1 by Typst's own check, the same bytes for the same letter and time."""
    pytest.importorskip("typst")
    told = writing.letter(evil(shared), LENDER, "de", DAY.date())
    made = explain.render(told, "pdf", dt.datetime(2026, 11, 22, tzinfo=dt.UTC))
    assert made.startswith(b"%PDF-")
    for mark in (b"/MarkInfo", b"/StructTreeRoot", b"/Lang(de)", b"pdfuaid"):
        assert mark in made
    assert made == explain.render(told, "pdf", dt.datetime(2026, 11, 22, tzinfo=dt.UTC))


def test_what_no_font_of_a_pdf_shows_is_refused_without_being_repeated(shared: World) -> None:
    """A PDF never loses a sign of a letter: it is refused, and the other formats are named."""
    pytest.importorskip("typst")
    lender = msgspec.structs.replace(LENDER, organisation="\u674e")
    told = writing.letter(evil(shared), lender, "en", DAY.date())
    with pytest.raises(DataRefused) as refused:
        explain.render(told, "pdf", dt.datetime(2026, 11, 22, tzinfo=dt.UTC))
    assert "html" in refused.value.hint
    assert "\u674e" not in str(refused.value)


def test_an_unknown_format_or_language_is_refused_before_anybody_looks(shared: World) -> None:
    """A typing mistake opens nobody's record."""
    for language, kind in (("en", "docx"), ("fr", "md")):
        with pytest.raises(BadRequest):
            explain.checked(LENDER, language, kind)


def test_ids_of_letters_are_ids(shared: World) -> None:
    """The reference number that a person reads is the decision's id."""
    number = declined(shared)
    (found,) = set(re.findall(r"\b[0-9a-f]{32}\b", text(shared, number)))
    assert number == as_number(found)


def test_a_code_is_told_by_what_it_means() -> None:
    """A code stands in a letter as the words for it, translated where they are known."""
    column = Column(
        name="x", role="feature", kind="integer", meanings={"0": "no", "2": "two or more"}
    )
    contract = Contract(name="c", version="1", columns=(column,))
    known = msgspec.structs.replace(LENDER, translations={"de": {"no": "nein"}})
    told = [Speech(words("de"), known, contract).value(column, each) for each in (0, 2.0, 1, None)]
    missing = (Run("nicht angegeben"),)
    assert [(Run("nein"),), (Run("two or more", "en"),), (Run("1"),), missing] == told


def test_a_unit_is_translated_or_says_its_language() -> None:
    """A value carries its unit in the letter's language where it is known, else in its own."""
    column = Column(name="x", role="feature", kind="number", unit="months")
    contract = Contract(name="c", version="1", columns=(column,))
    known = msgspec.structs.replace(LENDER, translations={"de": {"months": "Monate"}})
    told = [Speech(words("de"), each, contract).value(column, 3) for each in (known, LENDER)]
    assert [(Run("3 "), Run("Monate")), (Run("3 "), Run("months", "en"))] == told
