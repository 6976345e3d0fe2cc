"""The thread as an SVG picture: data in outlined boxes, steps in filled ones, from top to bottom.

Everything is told by text too, for those who do not see the picture or its colours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from pipelines.lineage.graph import Key, StepRun, Thread
from pipelines.lineage.layers import Edge, Point, place
from pipelines.lineage.thread import label

WIDTH, HEIGHT = 212.0, 46.0
GAP, BEND_GAP, RANK = 28.0, 26.0, 92.0
MARGIN = 24.0
LONGEST = 30
NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1b1b1b; text-anchor: middle }
.name { font-weight: 600 }
.data rect { fill: #ffffff; stroke: #5b6770; stroke-width: 1.2 }
.step rect { fill: #dcebf7; stroke: #1f5f8b; stroke-width: 1.2 }
.bad rect { fill: #fbe3df; stroke: #a3271b }
.cached rect { fill: #eef1f3; stroke: #5b6770; stroke-dasharray: 4 3 }
.asked rect { stroke-width: 3 }
path { fill: none; stroke: #5b6770; stroke-width: 1.2 }
"""
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" style="fill:#5b6770;stroke:none"/>'
    "</marker></defs>"
)


def draw(found: Thread) -> str:
    """Return the thread as the text of an SVG document."""
    runs = {each.id: each for each in found.runs}
    data = {_name(key): key for key in found.versions}
    edges = _edges(found)
    at, lines = place([*data, *runs], edges, wide=WIDTH + GAP, bend=BEND_GAP, tall=RANK)
    every = [*at.values(), *(point for line in lines.values() for point in line)]
    left = min((x for x, _ in every), default=0.0) - WIDTH / 2 - MARGIN
    right = max((x for x, _ in every), default=0.0) + WIDTH / 2 + MARGIN
    bottom = max((y for _, y in every), default=0.0) + HEIGHT + 2 * MARGIN
    asked = {name if kind == "run" else _name(name) for kind, name in found.start}
    top = -HEIGHT / 2 - MARGIN
    area = f'width="{right - left:.0f}" height="{bottom:.0f}"'
    title = _text(f"The thread through {found.identity}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {area} role="img" aria-labelledby="title desc"',
        f'viewBox="{left:.0f} {top:.0f} {right - left:.0f} {bottom:.0f}">',
        f'<title id="title">{title}</title><desc id="desc">{_text(describe(found))}</desc>',
        f"<style>{STYLE}</style>{ARROW}",
        f'<rect x="{left:.0f}" y="{top:.0f}" {area} fill="#ffffff"/>',
        *(_line(lines[edge]) for edge in edges),
        *(_data(found, key, at[name], asked=name in asked) for name, key in data.items()),
        *(_step(run, at[name], asked=name in asked) for name, run in runs.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def describe(found: Thread) -> str:
    """Return the picture in words: one sentence a step, oldest first."""
    sentences = []
    for each in found.runs:
        read = ", ".join(label(found.versions[key]) for key in each.inputs) or "nothing"
        made = ", ".join(label(found.versions[key]) for key in each.outputs) or "nothing"
        sentences.append(f"{each.step} ({each.state}, {each.started}) read {read}; made {made}.")
    return " ".join(sentences) or "No step."


def _edges(found: Thread) -> list[Edge]:
    pairs = [(_name(key), each.id) for each in found.runs for key in each.inputs]
    pairs += [(each.id, _name(key)) for each in found.runs for key in each.outputs]
    return list(dict.fromkeys(pairs))


def _name(key: Key) -> str:
    return "\0".join(("data", *key))


def _line(points: Sequence[Point]) -> str:
    """Return a smooth line from the bottom of its first box to the top of its last."""
    down = 1 if points[-1][1] > points[0][1] else -1
    (x, y), *inner = points
    ends = [(x, y + down * HEIGHT / 2), *inner[:-1]]
    ends.append((inner[-1][0], inner[-1][1] - down * HEIGHT / 2))
    path = [f"M{ends[0][0]:.1f} {ends[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(ends):
        half = (y0 + y1) / 2
        path.append(f"C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}")
    return f'<path d="{" ".join(path)}" marker-end="url(#arrow)"/>'


def _data(found: Thread, key: Key, at: Point, *, asked: bool) -> str:
    version = found.versions[key]
    short = label(version).removeprefix(f"{version.name}@")
    return _box("data", at, version.name, short, version.version, rounded=0, asked=asked)


def _step(run: StepRun, at: Point, *, asked: bool) -> str:
    bad = run.state.startswith(("blocked", "failed", "aborted", "started"))
    kind = "step bad" if bad else "step cached" if run.state == "cached" else "step"
    whole = f"run {run.run or run.id}, commit {run.commit or 'unknown'}, {run.started}"
    return _box(kind, at, run.step, run.state, whole, rounded=10, asked=asked)


def _box(
    kind: str, at: Point, name: str, below: str, whole: str, *, rounded: int, asked: bool
) -> str:
    x, y = at[0] - WIDTH / 2, at[1] - HEIGHT / 2
    marked = " asked" if asked else ""
    return (
        f'<g class="{kind}{marked}"><title>{_text(f"{name}: {below}; {whole}")}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="{rounded}"/>'
        f'<text class="name" x="{at[0]:.1f}" y="{at[1] - 4:.1f}">{_text(_cut(name))}</text>'
        f'<text x="{at[0]:.1f}" y="{at[1] + 13:.1f}">{_text(_cut(below))}</text></g>'
    )


def _text(text: str) -> str:
    """Return text for XML: escaped, with a mark for what XML cannot hold."""
    return escape(NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
