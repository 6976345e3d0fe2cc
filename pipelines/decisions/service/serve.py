"""Run the decision service in this process."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

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

COLLECT_AFTER: Final = 10_000  # objects made and kept: Python's own 700 are a few requests


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage in cycles seldom, and not among what was there before serving."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


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

    from pipelines.decisions.service.connection import bounded

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
            http=bounded(settings.largest_request),
            ws="none",
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
        with suppress(KeyboardInterrupt), seldom_collected():
            server.run()
    finally:
        watch.close()
        desk.close()
    if desk.gave_up:
        raise Stopped("the ledger has stopped", hint="start the service anew")
    if not server.started:
        raise Unavailable("the service did not start", hint="its log says why")


class Together(logging.StreamHandler[TextIO]):
    """Writes the lines of one turn of an event loop at its end, all at once; others at once.

    A group's answers go out in one turn, and each line by itself would cost a write.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line until the turn is over, unless it tells of trouble. The lock is held."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            loop = None if record.levelno > logging.INFO else _running_loop()
            if loop is None:
                self.flush()
            elif len(self._lines) == 1:
                loop.call_soon(self.flush)
        except Exception:  # noqa: BLE001 - as the base class does
            self.handleError(record)

    def flush(self) -> None:
        """Write what was kept."""
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            self.stream.write("".join(lines))
        finally:
            self.release()
        super().flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Line(logging.Formatter):
    """A line of the log; the text of a second is made once."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")
        self._second, self._told = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as the base class writes it."""
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        return f"{self.formatTime(record)} {record.name} {record.levelname} {record.getMessage()}"

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
    "handlers": {"out": {"()": Together, "formatter": "line"}},
    "loggers": {
        name: {"handlers": ["out"], "level": "INFO", "propagate": False}
        for name in ("clew.service", "clew.access", "uvicorn.error")
    },
}
