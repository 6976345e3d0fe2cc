"""The pages in a real Chromium: axe's rules, the keyboard, dark and narrow, nobody else asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from pipelines.decisions.record import Recorded
from tests.account.web import sites
from tests.account.web.browser import Reader, axe, chromium, serving
from tests.account.world import World
from tests.decisions import versions

SIZES = {"wide": (1280, 900), "narrow": (320, 640)}
Open = Callable[..., Reader]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def decided(world: World) -> list[Recorded]:
    sent = [
        versions.application(income=2.0, self=18),
        versions.application(person="out", town="Nowhere"),
        versions.application(person="back", job="pirate"),
    ]
    return world.decide(world.version(run_id="train_model__1"), sent)


@pytest.fixture(scope="module")
def address(world: World, decided: list[Recorded]) -> Iterator[str]:
    with serving(sites.site(world)) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def reader(browser: Browser, address: str, source: str) -> Iterator[Open]:
    contexts = []

    def opened(size: str = "wide", **options: Any) -> Reader:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        return Reader(context.new_page(), address, source)

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_axe_finds_nothing_on_any_page(
    reader: Open, decided: list[Recorded], size: str, scheme: str, tmp_path: Path
) -> None:
    """Every page, light and dark, wide and as narrow as a telephone, passes all of axe's rules.

    The browser complains of nothing, asks nobody else, and no page is wider than its window.
    """
    found = reader(size, color_scheme=scheme)
    paths = {
        "search": "/record/",
        "list": "/record/decisions",
        "declined": f"/record/decisions/{decided[0].id}",
        "outside": f"/record/decisions/{decided[1].id}",
        "refused": f"/record/decisions/{decided[2].id}",
        "models": "/record/models",
        "watch": "/record/watch",
        "missing": f"/record/decisions/{'0' * 32}",
    }
    wrong: list[object] = []
    found.enter()
    for name, path in paths.items():
        found.open(path)
        wide = found.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wrong += [(name, each) for each in found.violations()]
        wrong += [(name, "too wide")] if wide > 0 else []
        found.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    assert [] == wrong
    assert [] == found.complaints()
    assert {found.address} == {re.sub(r"(http://[^/]+).*", r"\1", each) for each in found.asked}


def test_axe_finds_nothing_on_what_the_buttons_lead_to(
    reader: Open, decided: list[Recorded], tmp_path: Path
) -> None:
    """What-if, refused and answered, nearest changes and a contested decision pass all rules."""
    found = reader("narrow", color_scheme="light")
    found.enter()
    wrong: list[object] = []

    def judge(name: str) -> None:
        wrong.extend((name, each) for each in found.violations())
        found.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    page = f"/record/decisions/{decided[0].id}"
    for name, value in (("answered", "400"), ("refused", "-5")):
        found.open(page)
        found.page.get_by_text("What if the application had been another?").click()
        found.page.get_by_label("The income").fill(value)
        found.press("Ask the model")
        judge(name)
    found.open(page)
    found.press("Find the nearest changes")
    judge("nearest")
    found.open(page)
    found.page.get_by_text("Review this decision").click()
    found.page.get_by_label("What holds from now on").select_option("approve")
    found.page.get_by_role("textbox", name="Why").fill("The payslip says so.")
    found.page.get_by_label("Reviewed by").fill("Rita")
    found.press("Record the review")
    judge("reviewed")
    assert [] == wrong
    assert "What holds now: approved, by a person's review" in found.page.inner_text("main")
    assert [] == found.complaints()


def test_the_keyboard_reaches_everything(reader: Open, decided: list[Recorded]) -> None:
    """The first tab is the way past the menu; focus can be seen; a form is sent by Enter."""
    found = reader()
    found.enter()
    found.page.keyboard.press("Tab")
    focused = "document.activeElement"
    assert "Skip to the content" == found.page.evaluate(f"{focused}.textContent")
    found.page.keyboard.press("Enter")
    assert "main" == found.page.evaluate(f"{focused}.id")
    found.page.keyboard.press("Tab")
    assert "id" == found.page.evaluate(f"{focused}.id")
    assert "3px" == found.page.evaluate(f"getComputedStyle({focused}).outlineWidth")
    found.page.keyboard.type(decided[0].id)
    with found.page.expect_navigation():
        found.page.keyboard.press("Enter")
    assert found.page.url.endswith(f"/record/decisions/{decided[0].id}")


def test_who_comes_from_elsewhere_ends_where_they_wanted(
    reader: Open, decided: list[Recorded]
) -> None:
    """Without a cookie yet, the address of a decision leads through the login to that decision."""
    found = reader()
    found.open(f"/record/decisions/{decided[0].id}")
    found.page.wait_for_selector("#thread")
    assert decided[0].id in found.page.inner_text("h1")


def test_forms_work_without_a_line_of_script(reader: Open, decided: list[Recorded]) -> None:
    """With JavaScript switched off a person is found, and a statement is taken down."""
    found = reader(java_script_enabled=False)
    found.enter()
    found.page.fill("#subject", "p-marked-7261")
    found.press("Find decisions")
    assert "p-marked" not in found.page.url
    with found.page.expect_navigation():
        found.page.get_by_role("link", name=decided[0].id).click()
    found.page.get_by_text("Take down a person's statement").click()
    found.page.fill("#statement", "That is not so.")
    found.page.fill("#taken-by", "Cora")
    found.press("Record the statement")
    assert "1 contest waits for an answer" in found.page.inner_text("main")
