"""The picture of a thread: every knot once, every line between knots, nothing but text in it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from pipelines.account.knots import Knot
from pipelines.account.web import picture

SPACE = "{http://www.w3.org/2000/svg}"
KNOTS = (
    Knot(kind="decision", id="1" * 32, told="declined", of=("version",)),
    Knot(kind="version", id="2" * 64, told="<b>people</b> & others", of=("model", "verdict")),
    Knot(kind="verdict", id="3" * 64, told="passed", of=("model",)),
    Knot(kind="model", id="4" * 64, told="a very long description that does not fit a box"),
    Knot(kind="loose", id="5" * 64, told="on nothing"),
)


def drawn(knots: tuple[Knot, ...] = KNOTS) -> ET.Element:
    text = picture.svg(knots).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return ET.fromstring(text)  # noqa: S314 - our own picture


def test_every_knot_of_the_thread_has_a_box_and_every_tie_a_line() -> None:
    """Four knots hang together by four ties; what hangs on nothing is left to the table."""
    found = drawn()
    kinds = [each.text for each in found.iter(f"{SPACE}text") if each.get("class") == "kind"]
    assert ["decision", "version", "verdict", "model"] == kinds
    assert 4 == len(list(found.iter(f"{SPACE}rect")))
    assert 4 == len(list(found.iter(f"{SPACE}path")))


def test_what_something_comes_from_stands_below_it() -> None:
    """A knot is a row below everything that came from it, by the longest way."""
    assert {"decision": 0, "version": 1, "verdict": 2, "model": 3} == picture.depths(KNOTS)


def test_a_thread_in_a_circle_is_drawn_all_the_same() -> None:
    """Knots that name each other end in a picture and no endless loop."""
    circle = (
        Knot(kind="decision", id="1", told="", of=("a",)),
        Knot(kind="a", id="2", told="", of=("b",)),
        Knot(kind="b", id="3", told="", of=("a",)),
    )
    assert 3 == len(list(drawn(circle).iter(f"{SPACE}rect")))


def test_words_are_text_and_the_picture_says_itself_in_words() -> None:
    """Markup in a knot's words is shown as text; title and description are there to be read."""
    found = drawn()
    assert "<b>people</b> & others" in [each.text for each in found.iter(f"{SPACE}text")]
    told = found.find(f"{SPACE}desc")
    assert told is not None
    assert "decision from version; version from model and verdict" in str(told.text)
    assert "img" == found.get("role")
