"""The page of a document in a real Chromium: axe's rules, a narrow window, nobody asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.release.documents import page, template, write
from pipelines.release.documents.fact import Fact, Known, Row, Source, Table
from tests.account.web.browser import Reader, axe, chromium

SOURCE = Source("metrics", "a" * 64)


def filled(kind: str) -> Known:
    """Return something for every other place of a template, so that both kinds of place show."""
    known: Known = {}
    for section in template.read(kind).sections:
        known |= {name: Fact("said " * 30, SOURCE) for name in [*section.fields.values()][::2]}
        for name in [*section.tables.values()][::2]:
            row = Row(("bias", "0.8", "x" * 200), SOURCE, "../checks/bias.html")
            known[name] = Table(f"Table {name}", ("check", "value", "words"), (row, row))
    return known


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe(tmp_path_factory.mktemp("axe"))


def test_axe_finds_nothing_on_a_document(source: str, tmp_path: Path) -> None:
    """Each kind, wide and narrow: no violation, no complaint, no request but for the page."""
    wrong: list[object] = []
    with chromium() as browser:
        for kind in template.names():
            path = tmp_path / f"{kind}.html"
            path.write_text(page.write(write.document(kind, filled(kind), "loans version 1")))
            for width in (1200, 360):
                context = browser.new_context(viewport={"width": width, "height": 800})
                found = Reader(context.new_page(), "", source)
                found.page.goto(path.as_uri())
                wide = found.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                wrong += [(kind, width, "too wide", wide)] if wide > 0 else []
                wrong += [(kind, width, each) for each in found.violations()]
                wrong += [(kind, each) for each in (*found.said, *found.asked[1:])]
                context.close()
    assert [] == wrong
