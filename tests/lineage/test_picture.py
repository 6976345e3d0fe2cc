"""The thread's picture: well-formed, told in text too, and safe whatever a name holds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipelines import flow
from pipelines.adapters.openlineage import MemoryLineage
from pipelines.lineage import layers, picture, thread
from pipelines.lineage.graph import StepRun, Thread, Version, build
from pipelines.ports import Run
from tests.lineage import checkout

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</text><script>alert(1)</script>&\"'\x00\x0b\ud800"


@pytest.fixture
def drawn(tmp_path: Path) -> ET.Element:
    sink = MemoryLineage()
    checkout.whole_run(checkout.context(tmp_path, Run("run-a", checkout.COMMIT)), sink)
    return parsed(thread.thread(build(sink.events), "run-a"))


def parsed(found: Thread) -> ET.Element:
    return ET.fromstring(picture.draw(found).encode())  # noqa: S314 - our own drawing


def texts(svg: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in svg.iter(f"{SVG}text")]


def test_every_step_is_drawn_and_described(drawn: ET.Element) -> None:
    """Each step stands in the picture by name, and in its description in a sentence."""
    description = drawn.findtext(f"{SVG}desc") or ""
    assert set(flow.NAMES) <= set(texts(drawn))
    assert [] == [name for name in flow.NAMES if f"{name} (complete, " not in description]
    assert "img" == drawn.get("role")
    assert "title desc" == drawn.get("aria-labelledby")


def test_names_are_escaped() -> None:
    """Markup, quotes and characters that XML cannot hold in a name do no harm."""
    version = Version("n", EVIL, EVIL)
    run = StepRun("r", EVIL, EVIL, EVIL, "", EVIL, EVIL, (version.key,), ())
    found = Thread(EVIL, (run,), {version.key: version}, frozenset({("run", "r")}))
    svg = parsed(found)
    assert [] == list(svg.iter(f"{SVG}script"))
    assert 4 == len(texts(svg))


def test_boxes_do_not_cover_one_another(drawn: ET.Element) -> None:
    """No two boxes of the picture overlap, and all lie inside it."""
    left, top, width, height = (float(word) for word in drawn.attrib["viewBox"].split())
    boxes = [
        tuple(float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        for group in drawn.iter(f"{SVG}g")
        for box in group.iter(f"{SVG}rect")
    ]
    for number, (x, y, w, h) in enumerate(boxes):
        assert left <= x
        assert top <= y
        assert x + w <= left + width
        assert y + h <= top + height
        for x2, y2, w2, h2 in boxes[:number]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_ranks_follow_the_arrows() -> None:
    """Each arrow leads downward; a node stands right above its first reader."""
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("lock", "c")]
    assert {"a": 0, "b": 1, "c": 2, "lock": 1} == layers.ranks(["a", "b", "c", "lock"], edges)


def test_a_circle_ends() -> None:
    """A version made again after it was read closes a circle; it is drawn all the same."""
    edges = [("a", "b"), ("b", "a"), ("b", "c")]
    at, lines = layers.place(["a", "b", "c"], edges, wide=10, bend=2, tall=5)
    assert {"a", "b", "c"} == set(at)
    assert set(edges) == set(lines)


def test_a_long_chain_ends() -> None:
    """Thousands of steps in a row are placed without running out of stack."""
    names = [str(number) for number in range(5000)]
    ranked = layers.ranks(names, list(pairwise(names)))
    assert 4999 == ranked["4999"]
