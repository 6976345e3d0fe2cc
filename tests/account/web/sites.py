"""A record site over a small world: a registry in memory, a real ledger, decisions to look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from pipelines.account.web import serve
from pipelines.account.web.app import create
from pipelines.account.web.site import Site
from pipelines.decisions.service.settings import ServiceSettings
from pipelines.layout import Layout, State
from pipelines.params import Params, read
from tests.account.world import ROOT, World
from tests.account.worlds import PACK

LOCAL = "http://127.0.0.1:8391"
TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


def params() -> Params:
    """Return the default parameters."""
    return read(ROOT / "params.yaml")


def site(world: World, **changes: Any) -> Site:
    """Return the site of a world; keys are those of its state folder, if any."""
    settings = ServiceSettings(**changes)
    return Site(
        ledger=world.ledger,
        registry=world.opened,
        layout=Layout(Path(ROOT)),
        state=world.state,
        params=params(),
        gate=serve.gate(State(world.state.home), settings),
        policies=lambda _: PACK,
    )


class Browser(TestClient):
    """A client with a cookie jar that fills in the token of the page it saw last."""

    def __init__(self, made: Site, host: str = LOCAL) -> None:
        super().__init__(create(made), base_url=host)
        self.seen = ""

    def see(self, path: str, status: int = 200) -> str:
        """Open a page and return its HTML."""
        answer = self.get(path)
        assert status == answer.status_code, answer.text
        self.seen = answer.text
        return self.seen

    def fill(self, path: str, status: int = 200, **fields: str) -> str:
        """Send a form with the last page's token and return what came."""
        found = TOKEN.search(self.seen)
        token = {"token": found[1]} if found else {}
        answer = self.post(path, data=token | fields)
        assert status == answer.status_code, answer.text
        self.seen = answer.text
        return self.seen


def local(made: Site) -> Browser:
    """Return a browser on this machine, which needs no key."""
    browser = Browser(made)
    browser.see("/record/login?next=/record/")
    return browser


def with_key(made: Site, key: str) -> Browser:
    """Return a browser that logged in with a key."""
    browser = Browser(made)
    browser.fill("/record/login", key=key, next="/record/")
    browser.see("/record/")
    return browser
