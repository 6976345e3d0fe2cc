"""Start the stack in order, restart what dies, and leave nothing behind."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path

from pipelines import quiet
from pipelines.errors import Unavailable
from pipelines.layout import State
from pipelines.stack import credentials, processes, record
from pipelines.stack.folder import only_one, prepare
from pipelines.stack.health import healthy
from pipelines.stack.services import MLFLOW, Service, airflow_environment, migration, stack
from pipelines.stack.settings import Settings

START_SECONDS = 240.0
LOOK_SECONDS = 0.1
HEALTH_SECONDS = 15.0
SICK_SECONDS = 60.0
DEATHS_WINDOW_SECONDS = 60.0
DEATHS_ALLOWED = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
GIVEN_UP_SECONDS = 60.0
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Tell = Callable[[str], None]


def delay(deaths: int) -> float:
    """Return the seconds to wait before a restart: doubled with each death in the last minute."""
    return float(min(FIRST_DELAY_SECONDS * 2 ** (deaths - 1), LONGEST_DELAY_SECONDS))


def recent(deaths: Sequence[float], now: float) -> list[float]:
    """Return the times of death inside the window that counts."""
    return [when for when in deaths if now - when < DEATHS_WINDOW_SECONDS]


@dataclass
class Kept:
    """One service and what has become of it."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    start_at: float = 0.0
    well_at: float = 0.0

    def start(self) -> None:
        self.process = processes.start(self.service)
        self.well_at = time.monotonic()

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0


@dataclass
class Supervisor:
    """Keeps services running until it is told to stop."""

    state: State
    settings: Settings
    kept: tuple[Kept, ...]
    tell: Tell
    stopping: bool = False
    status: record.Status = "starting"
    begun: float = field(default_factory=time.monotonic)

    def age(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.begun

    def stop(self, *_: object) -> None:
        """Ask for the end; safe to call from a signal handler, any number of times."""
        self.stopping = True

    def start(self, tables: Service) -> None:
        """Start what needs no tables, and make the tables. Raises Unavailable when that fails."""
        for one in self.kept:
            if one.service.name == MLFLOW:
                one.start()
        process = processes.start(tables)
        while process.poll() is None and not self.stopping:
            time.sleep(LOOK_SECONDS)
        if process.returncode and not self.stopping:
            raise _failed(tables, f"exit code {process.returncode}")
        self.tell(_progress(tables, self.age()))

    def wait_until_healthy(self) -> None:
        """Wait for every service's health page. Raises Unavailable after START_SECONDS.

        One that is not vital is waited for until it has died once.
        """
        waiting = list(self.kept)
        while waiting and not self.stopping:
            self.revive()
            for one in [one for one in waiting if healthy(one.service.health)]:
                waiting.remove(one)
                self.tell(_progress(one.service, self.age()))
            for one in [one for one in waiting if one.deaths and not one.service.vital]:
                waiting.remove(one)
                self.tell(f"going on without {one.service.name}: see {one.service.log}")
            if self.age() > START_SECONDS:
                raise _failed(waiting[0].service, f"not healthy after {START_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)

    def keep(self) -> None:
        """Restart what dies or stays sick, until told to stop."""
        checked = time.monotonic()
        while not self.stopping:
            self.revive()
            if time.monotonic() - checked > HEALTH_SECONDS:
                self.end_the_sick()
                checked = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def revive(self) -> None:
        """Note what died and start again what has waited long enough."""
        now = time.monotonic()
        for one in self.kept:
            if one.process and one.process.poll() is not None:
                self.bury(one, now)
            if one.process is None and now >= one.start_at and not self.stopping:
                one.start()
                self.write()
        processes.reap(one.pid for one in self.kept)

    def bury(self, one: Kept, now: float) -> None:
        """Take down what a dead service left and set the time of its restart.

        A vital one that has died too often raises Unavailable: it must be seen. Another is left
        alone for a minute, for what works must not end with it.
        """
        code = one.process.returncode if one.process else None
        processes.signal_group(one.pid, signal.SIGKILL)
        one.process = None
        self.kill_strays()
        one.deaths = [*recent(one.deaths, now), now]
        wait = delay(len(one.deaths))
        if len(one.deaths) >= DEATHS_ALLOWED:
            if one.service.vital:
                raise _failed(one.service, f"{len(one.deaths)} deaths within a minute")
            wait = GIVEN_UP_SECONDS
        one.start_at = now + wait
        self.tell(f"{one.service.name} ended (exit code {code}); starting it again in {wait} s")

    def kill_strays(self) -> None:
        """Kill adopted orphans: whatever is below this process and below no living service."""
        living = {one.pid for one in self.kept if one.process}
        owned = living.union(*(processes.descendants(pid) for pid in living))
        for pid in processes.descendants(getpid()):
            if pid not in owned:
                processes.kill(pid)

    def end_the_sick(self) -> None:
        """Kill a service that runs without being healthy for SICK_SECONDS; it is restarted."""
        now = time.monotonic()
        for one in self.kept:
            if one.process is None or healthy(one.service.health):
                one.well_at = now
            elif now - one.well_at > SICK_SECONDS:
                self.tell(f"{one.service.name} runs but is not healthy: ending it")
                processes.signal_group(one.pid, signal.SIGKILL)
                one.well_at = now

    def take_down(self) -> None:
        """End everything: first what runs tasks, then the servers it reports to, then the rest."""
        servers = [one for one in self.kept if one.service.address]
        doers = [one for one in self.kept if not one.service.address]
        for group in (doers, servers):
            self.ask_to_end(group)
        left = processes.kill_below(getpid())
        if left:
            raise Unavailable("processes that will not end", observed=sorted(left))

    def ask_to_end(self, group: Sequence[Kept]) -> None:
        """Ask services to end, and wait for them no longer than the grace time."""
        for one in group:
            if one.process and one.process.poll() is None:
                with suppress(ProcessLookupError):
                    one.process.terminate()
        end = time.monotonic() + self.settings.grace_seconds
        while time.monotonic() < end and any(
            one.process and one.process.poll() is None for one in group
        ):
            time.sleep(LOOK_SECONDS)

    def write(self, status: record.Status | None = None) -> record.Services:
        """Write `services.json`, with a new status where one is given; return what it says."""
        self.status = status or self.status
        services = tuple(
            record.running(one.service.name, one.pid, one.service.log, one.service.address)
            for one in self.kept
            if one.process and self.status != "stopped"
        )
        own = record.running("supervisor", getpid(), self.state.services)
        now = record.Services(self.status, self.settings.host, self.settings.ports, own, services)
        record.write(self.state, now)
        return now


def _failed(service: Service, observed: str) -> Unavailable:
    return Unavailable(
        f"{service.name} does not run",
        where=str(service.log),
        observed=observed,
        expected="a healthy service",
        hint=f"tail -n 50 {service.log}",
    )


def _progress(service: Service, seconds: float) -> str:
    return f"{service.name:<22} ready after {seconds:4.1f} s  {service.address}".rstrip()


@contextmanager
def signals_handled(supervisor: Supervisor) -> Iterator[None]:
    """Stop on each signal that ends a process, even one that was ignored at the start."""
    former = {number: signal.signal(number, supervisor.stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def run(
    state: State,
    repository: Path,
    settings: Settings,
    tell: Tell,
    when_ready: Callable[[record.Services], None],
) -> None:
    """Start the stack, call `when_ready`, keep it until a signal comes, and take all of it down.

    Raises BadRequest when a stack runs on the folder, Unavailable when a service cannot live.
    """
    with only_one(state):
        chosen = prepare(state, settings)
        secrets, inherited = credentials.ensure_secrets(state), quiet.environment(state)
        services = stack(state, repository, chosen, secrets, inherited)
        airflow = airflow_environment(state, repository, chosen, secrets, inherited)
        supervisor = Supervisor(state, chosen, tuple(map(Kept, services)), tell)
        supervise(supervisor, migration(state, airflow), when_ready)


def supervise(
    supervisor: Supervisor, tables: Service, when_ready: Callable[[record.Services], None]
) -> None:
    """Bring services up, keep them until a signal comes or one cannot live, take all down."""
    processes.adopt_orphans()
    with signals_handled(supervisor):
        try:
            supervisor.write("starting")
            supervisor.start(tables)
            supervisor.wait_until_healthy()
            if not supervisor.stopping:
                when_ready(supervisor.write("ready"))
                supervisor.keep()
        finally:
            supervisor.tell("stopping")
            supervisor.take_down()
            supervisor.write("stopped")
