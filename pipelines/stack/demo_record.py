"""The demo ends: one declined applicant's decision is replayed, and its page can be opened."""

from __future__ import annotations

import http.cookiejar
import json
import os
import sys
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pipelines.errors import IntegrityBroken, NotThere, Unavailable

SECONDS: Final = 300.0
DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY")
Tell = Callable[[str], None]


def play(pages: str, decided: Path, tell: Tell) -> dict[str, object]:
    """Replay the first declined decision through the record's pages; return where to look.

    Raises IntegrityBroken when it does not come out again bit for bit.
    """
    if not pages:
        return {}
    number = declined(decided)
    page = f"{pages}decisions/{number}"
    tell(f"replaying decision {number} of a declined applicant in its original environment")
    site = f"{urlsplit(pages).scheme}://{urlsplit(pages).netloc}"
    receipt = replayed(f"{site}/v1/decisions/{number}/replay")
    tell(f"replayed: {receipt['result']}, in a sandbox: {receipt['surroundings']['sandbox']}")
    if receipt["result"] != "identical":
        raise IntegrityBroken("a decision of the demo did not come out again", where=number)
    shown = f"{page}/replays/{receipt['sealed']['id']}"
    opened(pages, shown)
    return {"declined applicant": page, "replay of it": shown}


def declined(decided: Path) -> str:
    """Return the id of the first declined decision of a file that `clew score` wrote."""
    with decided.open(encoding="utf-8") as lines:
        for line in lines:
            found = json.loads(line)
            if found["decision"] == "decline":
                return str(found["decision_id"])
    raise NotThere("nobody was declined", where=str(decided))


def replayed(address: str) -> dict[str, Any]:
    """Replay over HTTP and return the receipt."""
    return dict(json.loads(_answer(urllib.request.Request(address, b"", method="POST"))))  # noqa: S310


def opened(pages: str, page: str) -> None:
    """Open a page as a browser on this machine does: a session first, then the page."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    _answer(urllib.request.Request(f"{pages}login"), jar)  # noqa: S310
    _answer(urllib.request.Request(page), jar)  # noqa: S310


def show(page: object) -> None:
    """Show a page in this person's browser, where they sit before one."""
    sits = sys.stdout.isatty() and (sys.platform == "darwin" or any(map(os.environ.get, DISPLAYS)))
    if page and sits:
        webbrowser.open(str(page))


def _answer(request: urllib.request.Request, *handlers: urllib.request.BaseHandler) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        told = f"HTTP {error.code}"
    except OSError as error:
        told = type(error).__name__
    raise Unavailable("the record's pages did not answer", observed=told, hint="clew doctor")
