"""Ask a service's own health page whether it works."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from http import HTTPStatus

from pipelines.stack.services import Health

PROBE_SECONDS = 3.0
LARGEST_PAGE = 1 << 16


def healthy(health: Health) -> bool:
    """Return whether the page answers as `Health` says it must.

    No answer, an error, or a page without what is named: False.
    """
    status, page = _fetch(health.url)
    try:
        if status == HTTPStatus.SERVICE_UNAVAILABLE and health.waits:
            return health.waits in dict(json.loads(page))
        if status != HTTPStatus.OK:
            return False
        return not health.component or json.loads(page)[health.component]["status"] == "healthy"
    except (ValueError, KeyError, TypeError):
        return False


def said(health: Health) -> dict[str, object]:
    """Return the JSON object that a health page holds; an empty one when it holds none."""
    try:
        return dict(json.loads(_fetch(health.url)[1]))
    except (ValueError, TypeError):
        return {}


def _fetch(url: str) -> tuple[int, bytes]:
    """Return a page's status and body; status 0 when nobody answers."""
    # A proxy of the machine's must never stand between loopback addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PROBE_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(LARGEST_PAGE)
    except (OSError, http.client.HTTPException, ValueError):
        return 0, b""
