"""Ask a service's own health page whether it works."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from pipelines.stack.services import Health

PROBE_SECONDS = 3.0


def healthy(health: Health) -> bool:
    """Return whether the page answers 200 and, where a component is named, calls it healthy.

    No answer, an error, or a page without that component: False.
    """
    page = _fetch(health.url)
    if page is None:
        return False
    if not health.component:
        return True
    try:
        status = json.loads(page)[health.component]["status"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(status == "healthy")


def _fetch(url: str) -> bytes | None:
    # A proxy of the machine's must never stand between loopback addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PROBE_SECONDS) as answer:
            page: bytes = answer.read()
            return page
    except (OSError, urllib.error.URLError, ValueError):
        return None
