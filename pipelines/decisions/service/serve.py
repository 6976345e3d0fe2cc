"""Run the decision service in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pipelines.decisions.record import Recorder
from pipelines.decisions.service.api_keys import ApiKeys
from pipelines.decisions.service.app import Service, create
from pipelines.decisions.service.desk import Desk
from pipelines.decisions.service.in_force import InForce
from pipelines.decisions.service.limits import RateLimit
from pipelines.decisions.service.settings import ServiceSettings, loopback
from pipelines.decisions.service.stop import StopSwitch
from pipelines.errors import BadRequest, Unavailable
from pipelines.layout import State
from pipelines.ledger.store import Stopped
from pipelines.params import Params
from pipelines.ports import Registry


def api_keys(state: State, settings: ServiceSettings) -> ApiKeys:
    """Return the keys that callers need: none on loopback as long as no key was made.

    Raises BadRequest for a service that others could reach and anybody could use.
    """
    if not (loopback(settings.host) or state.api_keys.exists()):
        raise BadRequest(
            "a service that others can reach needs API keys",
            where=f"host {settings.host}",
            hint="clew apikey NAME --role decide",
        )
    return ApiKeys(state.api_keys, open_before=loopback(settings.host))


def run(
    state: State,
    params: Params,
    settings: ServiceSettings,
    open_registry: Callable[[], Registry],
    recorder: Recorder,
    challenger: str | None = None,
) -> None:
    """Serve until the process is told to end; what is under way is sealed and answered first.

    Raises Stopped once the ledger has stopped for good and whoever waits has been told so: only a
    new process may write to it again, and whatever supervises this one starts it.
    """
    import uvicorn

    keys = api_keys(state, settings)
    watch = InForce(open_registry, params.decide, state.temporary, challenger)
    switch = StopSwitch(state.stop_switch)

    def give_up() -> None:
        server.should_exit = True

    contest = settings.contest
    desk = Desk(watch, recorder, switch, contest, params.decide.holdout_share, give_up)
    limit = RateLimit(settings.requests_per_second, settings.burst)
    server = uvicorn.Server(
        uvicorn.Config(
            create(Service(desk, settings, keys, limit)),
            host=settings.host,
            port=settings.port,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            log_config=LOGGING,
        )
    )
    # No line names a thread or a process, so none is looked up.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    watch.start(settings.poll_seconds)
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    finally:
        watch.close()
        desk.close()
    if desk.gave_up:
        raise Stopped("the ledger has stopped", hint="start the service anew")
    if not server.started:
        raise Unavailable("the service did not start", hint="its log says why")


class Line(logging.Formatter):
    """A line of the log; the text of a second is made once."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")
        self._second, self._told = -1, ""

    def formatTime(self, record: logging.LogRecord, _: str | None = None) -> str:  # noqa: N802
        """Return the time as the base class writes it. The handler's lock is held."""
        second = int(record.created)
        if second != self._second:
            self._told = time.strftime(self.default_time_format, self.converter(second))
            self._second = second
        return f"{self._told},{int(record.msecs):03d}"


# Uvicorn's own loggers name addresses and start-up alone; its access log would hold paths.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": Line}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        name: {"handlers": ["out"], "level": "INFO", "propagate": False}
        for name in ("clew.service", "clew.access", "uvicorn.error")
    },
}
