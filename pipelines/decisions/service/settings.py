"""What a machine may choose about its decision service: ``service.yaml`` in the state folder."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import msgspec

from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.typed import read_yaml

CONTEST = (
    "You may ask for a person to look at this decision again, say what you think of it and hand in"
    " what was missing: answer to whoever sent it to you, and name the decision's id."
)


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One decision service. `contest` tells a person, in words, how to contest a decision.

    A caller may make `requests_per_second` for long and `burst` at once, counted in applications;
    `largest_request` is in bytes.
    """

    host: str = "127.0.0.1"
    port: int = 8390
    requests_per_second: float = 2000.0
    burst: int = 4000
    largest_request: int = 1 << 20
    most_in_one_request: int = 1000
    poll_seconds: float = 5.0
    contest: str = CONTEST

    def __post_init__(self) -> None:
        for name in ("requests_per_second", "burst", "largest_request", "most_in_one_request"):
            if getattr(self, name) <= 0:
                raise BadRequest("a limit that lets nothing through", where=f"service.yaml: {name}")
        if not self.contest.strip():
            raise BadRequest("nobody would know how to contest", where="service.yaml: contest")


def read(state: State) -> ServiceSettings:
    """Read the settings; without a file, the defaults. Raises BadRequest."""
    if not state.service_settings.exists():
        return ServiceSettings()
    return read_yaml(state.service_settings, ServiceSettings)


@lru_cache(maxsize=64)
def loopback(host: str) -> bool:
    """Say whether nobody but this machine can reach a service that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
