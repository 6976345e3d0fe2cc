"""A real headless Chromium on a real server of the record's pages, and axe's rules."""

from __future__ import annotations

import functools
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from pipelines.account.web.app import create
from pipelines.account.web.site import Site
from tests.registries import free_port
from tests.system import require

LOCK = Path(__file__).with_name("axe")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 30
# Everything that axe knows, the rules for good practice among it.
RUN = "() => axe.run(document, {resultTypes: ['violations']})"


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve a site on a port of its own, in a thread; give its address."""
    port = free_port()
    config = uvicorn.Config(create(site), host="127.0.0.1", port=port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + SECONDS
    while not server.started:
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        site.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium."""
    found = shutil.which("chromium")
    require(found, "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@functools.cache
def axe(folder: Path) -> str:
    """Return axe's source, installed from its lock, by its hash."""
    require(shutil.which("npm"), "nodejs npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCK / name, folder / name)
    command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Reader:
    """Somebody at a window; what the browser complained about and asked for is kept."""

    page: Page
    address: str
    source: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda told: self.said.append(told.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, path: str) -> None:
        """Open a page."""
        answer = self.page.goto(f"{self.address}{path}")
        assert answer is not None

    def enter(self) -> None:
        """Come in by the first page, which opens a session on this machine."""
        self.open("/record/")
        self.page.wait_for_selector("nav")

    def press(self, name: str) -> None:
        """Press a button by its name, and wait for the page that it leads to."""
        with self.page.expect_navigation(timeout=1000 * SECONDS):
            self.page.get_by_role("button", name=name, exact=True).click()

    def complaints(self) -> list[str]:
        """Return what the browser complained of; a refused page is no complaint of its own."""
        return [each for each in self.said if not each.startswith("Failed to load resource")]

    def violations(self) -> list[str]:
        """Return what axe finds on this page, with everything folded out."""
        self.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        self.page.evaluate(self.source)
        found: dict[str, Any] = self.page.evaluate(RUN)
        return [
            f"{each['id']}: {each['help']}: {node['target']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]
