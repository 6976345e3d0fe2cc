"""What the pages and the JSON answers work with: the ledger, the registry, and who may come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pipelines.account.again import Where
from pipelines.account.knots import Servers
from pipelines.account.original import Opened, Original, original
from pipelines.account.web.gate import Gate
from pipelines.decisions.record import Origin, Recorder
from pipelines.layout import Layout, State
from pipelines.ledger.log import Ledger
from pipelines.params import Params
from pipelines.release.policy import Policy

T = TypeVar("T")
WORKERS: Final = 4


@dataclass(frozen=True, slots=True)
class Found:
    """One question that the watch asked of a window, and its answer."""

    check: str
    of: str
    measure: str
    status: str
    said: str
    value: float | None
    bound: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the watch found in one window, as its page shows it: the worst first."""

    start: str
    end: str
    version: str
    decisions: int
    action: str
    findings: tuple[Found, ...]

    def worst(self, check: str) -> str:
        """Return the status that counts for a check; empty where it was not asked."""
        return next((each.status for each in self.findings if each.check == check), "")

    def under(self, checks: Sequence[str], status: str) -> list[str]:
        """Return the checks whose worst answer is so."""
        return [check for check in checks if self.worst(check) == status]

    def count(self, status: str) -> int:
        """Return how many answers are so."""
        return sum(each.status == status for each in self.findings)


def no_reports() -> Sequence[Report]:
    """Return that the watch has reported nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class Site:
    """One record site.

    `policies` reads a policy pack by name, `servers` says where other pages stand now, `reports`
    what the watch found; they are called at each use, for all of them change while this runs.
    """

    ledger: Ledger
    registry: Opened
    layout: Layout
    state: State
    params: Params
    gate: Gate
    policies: Callable[[str], Policy]
    servers: Callable[[], Servers] = Servers
    reports: Callable[[], Sequence[Report]] = no_reports
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(WORKERS, thread_name_prefix="pages")
    )

    @property
    def recorder(self) -> Recorder:
        return Recorder(self.ledger)

    @property
    def where(self) -> Where:
        """What deciding again works on."""
        return Where(self.state, self.layout.root, self.registry)

    def version(self, origin: Origin) -> Original:
        """Return the version that a decision names, checked. Raises IntegrityBroken."""
        return original(self.registry, origin, self.state)

    async def aside(self, work: Callable[..., T], *words: object) -> T:
        """Run blocking work in a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work, *words)

    def close(self) -> None:
        """Let the threads end."""
        self.pool.shutdown(cancel_futures=True)
