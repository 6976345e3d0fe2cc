"""A text in Markdown is shown as it is, wherever it came from."""

from __future__ import annotations

import markdown_it
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.markdown import SPACE, plain

READER = markdown_it.MarkdownIt("gfm-like", {"html": True})
EVIL = "<script>x</script> | [go](http://x) ![y](z) `y` **z**\n# head\r- item\u2028> quote"
MARKS = st.text(alphabet="<>&|[]()`*_#~$:/.=+-\\!\"' \n\r\t\u2028ab1w0", max_size=24)


def shown(text: str) -> str | None:
    """Return what a reader of Markdown shows of one paragraph of text alone, None of all else."""
    found = READER.parse(text)
    if [each.type for each in found] != ["paragraph_open", "inline", "paragraph_close"]:
        return None
    parts = found[1].children or []
    same = {each.type for each in parts} == {"text"}
    return "".join(each.content for each in parts) if same else None


@given(MARKS)
def test_no_text_becomes_markup(text: str) -> None:
    """Read by a Markdown parser, a text is one paragraph without markup, as it was on one line."""
    one_line = SPACE.sub(" ", text).strip(" ")
    assert (one_line or None) == shown(plain(text))


@given(MARKS)
def test_no_text_leaves_its_cell(text: str) -> None:
    """In a table the text is one cell, and the row has no other."""
    rows = READER.parse(f"| a | b |\n| --- | --- |\n| {plain(text)} | x |\n")
    cells = [each.content for each in rows if each.type == "inline"]
    assert ["a", "b", "x"] == [cells[0], cells[1], cells[3]]
    assert 4 == len(cells)


@pytest.mark.parametrize(
    "text",
    [
        *("- x", "+ x", "# x", "12) x", "3. x", "---", "===", "22. November", "2.5", "-0.04"),
        *("http://x.example", "www.x.example", "&lt;", "a_b_c", "x!", "f(x): y", "US$ 5 or $6"),
    ],
)
def test_what_looks_like_markup_is_shown(text: str) -> None:
    """Lists, headings, rules, addresses, entities and formulas are words here."""
    assert text == shown(plain(text))


def test_several_lines_become_one() -> None:
    """Whatever ends a line ends no cell, list or paragraph."""
    assert " ".join(EVIL.split()) == shown(plain(EVIL))
    assert "a\xa0b" == plain(" a\xa0b\x85")


def test_it_can_be_read_as_it_stands() -> None:
    """On a terminal a sentence has no marks that Markdown does not need."""
    for text in ("Paid: 0.5 (half), on 3 May. So!", "a-b", "desk@lender.example", "-12,000"):
        assert text == plain(text)
