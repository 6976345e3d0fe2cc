"""Run the record's pages in this process."""

from __future__ import annotations

from pipelines.account.web.app import create
from pipelines.account.web.gate import Gate
from pipelines.account.web.session import Sessions
from pipelines.account.web.site import Site
from pipelines.decisions.service.limits import RateLimit
from pipelines.decisions.service.serve import LOGGING, api_keys
from pipelines.decisions.service.settings import ServiceSettings
from pipelines.layout import State

PORT = 8391
FORWARDED = "127.0.0.1"


def gate(state: State, settings: ServiceSettings) -> Gate:
    """Return who may come in: the decision service's own keys and limits.

    Raises BadRequest for pages that others could reach and anybody could read.
    """
    keys = api_keys(state, settings)
    limit = RateLimit(settings.requests_per_second, settings.burst)
    return Gate(keys, Sessions(keys), limit, settings.largest_request)


def run(site: Site, host: str, port: int) -> None:
    """Serve until the process is told to end."""
    import uvicorn

    from pipelines.decisions.service.connection import bounded

    try:
        uvicorn.run(
            create(site),
            host=host,
            port=port,
            http=bounded(site.gate.largest),
            ws="none",
            access_log=False,
            server_header=False,
            forwarded_allow_ips=FORWARDED,
            log_config=LOGGING,
        )
    finally:
        site.close()
