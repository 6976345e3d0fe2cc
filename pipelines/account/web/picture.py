"""The thread of a decision as a picture: one SVG, coloured by the page's own style sheet."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.account.knots import Knot

WIDTH, HEIGHT = 240, 80
GAP_X, GAP_Y = 18, 34
MARGIN: Final = 4
DIGEST: Final = re.compile("[0-9a-f]{16,}")
SHOWN_ID, SHOWN_NAME, SHOWN_WORDS, SHOWN_LINES = 12, 28, 32, 2


@dataclass(frozen=True, slots=True)
class Box:
    """One knot and where its box starts."""

    knot: Knot
    x: int
    y: int


def depths(knots: Sequence[Knot]) -> dict[str, int]:
    """Return how far each knot is from the decision, by the longest way; what hangs on none is out.

    Raises nothing on a circle: a knot is no further away than there are knots.
    """
    found = {knots[0].kind: 0}
    for _ in knots:
        for knot in knots:
            for kind in knot.of:
                if knot.kind in found and found.get(kind, -1) <= found[knot.kind] < len(knots):
                    found[kind] = found[knot.kind] + 1
    return {knot.kind: found[knot.kind] for knot in knots if knot.kind in found}


def boxes(knots: Sequence[Knot]) -> tuple[Box, ...]:
    """Return where each knot stands: the decision on top, a row for each distance from it.

    Rows start on the left, where a narrow window begins.
    """
    deep = depths(knots)
    rows: dict[int, list[Knot]] = {}
    for knot in knots:
        if knot.kind in deep:
            rows.setdefault(deep[knot.kind], []).append(knot)
    placed = []
    for depth, row in rows.items():
        for number, knot in enumerate(row):
            x = MARGIN + number * (WIDTH + GAP_X)
            placed.append(Box(knot, x, MARGIN + depth * (HEIGHT + GAP_Y)))
    return tuple(placed)


def svg(knots: Sequence[Knot]) -> str:
    """Return the picture of a thread; the table beside it says the same in words."""
    placed = boxes(knots)
    wide = max(box.x for box in placed) + WIDTH + MARGIN
    high = max(box.y for box in placed) + HEIGHT + MARGIN
    return (
        f'<svg class="thread" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img"'
        ' aria-labelledby="thread-title thread-words"><title id="thread-title">The thread of this'
        f' decision</title><desc id="thread-words">{html.escape(words(knots))}</desc>'
        f"{''.join(_lines(placed))}{''.join(map(_box, placed))}</svg>"
    )


def words(knots: Sequence[Knot]) -> str:
    """Return the picture in words: what comes from what."""
    told = [f"{each.kind} from {' and '.join(each.of)}" for each in knots if each.of]
    return "; ".join(told) + "."


def _lines(placed: Sequence[Box]) -> Iterator[str]:
    at = {box.knot.kind: box for box in placed}
    for box in placed:
        for kind in box.knot.of:
            if kind in at:
                yield _line(box, at[kind])


def _line(upper: Box, lower: Box) -> str:
    x1, y1 = upper.x + WIDTH // 2, upper.y + HEIGHT
    x2, y2 = lower.x + WIDTH // 2, lower.y
    bend = (y1 + min(y2, y1 + GAP_Y)) // 2
    return f'<path class="line" d="M{x1} {y1}C{x1} {bend} {x2} {bend} {x2} {y2}"/>'


def _box(box: Box) -> str:
    knot = box.knot
    x, y = box.x + 10, box.y
    return (
        f'<rect class="knot" x="{box.x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text class="kind" x="{x}" y="{y + 19}">{html.escape(knot.kind)}</text>'
        f'<text class="id" x="{x}" y="{y + 37}">{html.escape(_id(knot.id))}</text>'
        f"{''.join(_told(knot.told, x, y + 54))}"
    )


def _id(text: str) -> str:
    """Return the start of a digest; a name is shown as far as there is room."""
    if DIGEST.fullmatch(text):
        return text[:SHOWN_ID]
    return text if len(text) <= SHOWN_NAME else f"{text[: SHOWN_NAME - 1]}…"


def _told(text: str, x: int, y: int) -> Iterator[str]:
    """Yield the lines that say what a knot is, as many as its box has room for."""
    lines = textwrap.wrap(
        text, SHOWN_WORDS, max_lines=SHOWN_LINES, placeholder="…", break_on_hyphens=False
    )
    for number, line in enumerate(lines):
        yield f'<text class="told" x="{x}" y="{y + 16 * number}">{html.escape(line)}</text>'
