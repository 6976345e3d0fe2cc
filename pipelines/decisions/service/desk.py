"""The service's work without HTTP: take applications, decide, record, wait for the seal, answer."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from pipelines.decisions.decide import Holdout, decide
from pipelines.decisions.load import Standing
from pipelines.decisions.record import DECISION, Call, Pending, Prepared, Recorded, Recorder
from pipelines.decisions.records import Stop
from pipelines.decisions.service.in_force import InForce, Loaded, Seen
from pipelines.decisions.service.stop import StopSwitch
from pipelines.errors import ClewError, Unavailable
from pipelines.ledger.entry import Draft
from pipelines.ledger.group import SEAL_SECONDS, Group, Ticket
from pipelines.ledger.log import Ledger
from pipelines.ledger.store import Stopped
from pipelines.typed import plain

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop
Future = asyncio.Future[Ticket]
WORKERS: Final = 4
TROUBLE_SECONDS: Final = 10.0
FEW: Final = 8


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One request: the applications' bytes, who asks, and the idempotency key."""

    applications: Sequence[bytes]
    caller: str
    request_id: str
    key: str | None = None

    def __repr__(self) -> str:
        return f"Asked(caller={self.caller!r}, request_id={self.request_id!r})"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no decision could be recorded, and when. A stopped ledger stays so until a restart."""

    what: str
    at: float
    for_good: bool

    def lasts(self) -> bool:
        """Say whether it still counts: else it is worth trying again."""
        return self.for_good or time.monotonic() - self.at < TROUBLE_SECONDS


class Desk:
    """Decides and records, for many requests at once."""

    def __init__(
        self,
        in_force: InForce,
        recorder: Recorder,
        switch: StopSwitch,
        contest: str,
        holdout_share: float = 0.0,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        """Decide by what is in force; `give_up` is called when the ledger has stopped for good."""
        self.in_force, self.recorder, self.switch = in_force, recorder, switch
        self._holdout = Holdout(holdout_share, recorder.ledger.keys.ref("draw of the holdout"))
        self._trouble: Trouble | None = None
        self._contest = contest
        self._give_up = give_up
        self._seals = Seals(recorder.ledger)
        # One thread decides: more would only hand Python's lock around among themselves.
        self._decider = ThreadPoolExecutor(1, thread_name_prefix="decide")
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="aside")

    async def decide(self, asked: Asked) -> list[Recorded]:
        """Return a sealed decision for each application. Raises Unavailable: none is given out.

        All of them are decided by the one model that stood when the request came in.
        """
        try:
            if self._at_once(asked):
                taken = self._take(asked)
            else:
                loop = asyncio.get_running_loop()
                taken = await loop.run_in_executor(self._decider, self._take, asked)
            waits = [
                None if isinstance(each, Recorded) else self._seals.hand_in(each.draft)
                for each in taken
            ]
            found = [
                await self._sealed(*each)
                for each in zip(taken, waits, asked.applications, strict=True)
            ]
        except Unavailable as error:
            self._trouble = Trouble(error.what, time.monotonic(), isinstance(error, Stopped))
            if self.gave_up and self._give_up is not None:
                self._give_up()
            raise
        self._trouble = None
        return found

    async def aside(self, work: Callable[..., T], *words: object) -> T:
        """Run blocking work in a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *words)

    def _at_once(self, asked: Asked) -> bool:
        """Say whether deciding takes so little that handing it to a thread would take longer.

        An idempotency key is looked up in the database, and without a plan a score takes
        milliseconds: neither may hold up the others.
        """
        loaded = self.in_force.seen.loaded
        quick = loaded is None or loaded.model.name.scorer == "plan"
        return quick and asked.key is None and len(asked.applications) <= FEW

    def _take(self, asked: Asked) -> list[Prepared | Recorded]:
        """Decide each application, or find it decided already."""
        seen = self.in_force.seen
        if seen.loaded is None:
            raise Unavailable("no model is in force", observed=seen.trouble, hint="clew history")
        standing = Standing(seen.loaded.model, seen.challenger, self.stopped(seen))
        call = Call(
            caller=asked.caller,
            purpose=DECISION,
            request_id=asked.request_id,
            notice=self._contest,
        )
        return [
            self._one(data, place, asked, call, seen.loaded, standing)
            for place, data in enumerate(asked.applications)
        ]

    def _one(
        self, data: bytes, place: int, asked: Asked, call: Call, loaded: Loaded, standing: Standing
    ) -> Prepared | Recorded:
        number = self.recorder.number(asked.caller, asked.key, place)
        if asked.key is not None and (found := self.recorder.repeated(number, data)):
            return found
        # A repeated request draws the same number, whoever the holdout's draw chooses.
        decided = decide(standing, data, number.hex(), self._holdout)
        return self.recorder.prepare(data, decided, loaded.origin, call, number)

    def stopped(self, seen: Seen) -> Stop | None:
        """Return why everything is referred now: the stop switch, or a registry put by hand."""
        thrown = self.switch.on()
        if thrown is None and seen.broken:
            return Stop(person="the service", reason=seen.trouble, at="")
        return thrown

    async def _sealed(
        self, taken: Prepared | Recorded, wait: Future | None, data: bytes
    ) -> Recorded:
        """Wait for the seal without holding a thread."""
        if isinstance(taken, Recorded) or wait is None:
            return taken  # type: ignore[return-value]
        ticket = await wait
        return self.recorder.finish(Pending(taken.made, taken.number, ticket), data, 0.0)

    @property
    def gave_up(self) -> bool:
        """Say whether the ledger has stopped for good."""
        return self._trouble is not None and self._trouble.for_good

    def health(self) -> dict[str, Any]:
        """Return whether decisions are given, by which model, and what is wrong."""
        seen, stop = self.in_force.seen, self.switch.on()
        trouble = self._trouble
        ledger = trouble.what if trouble is not None and trouble.lasts() else ""
        try:
            size = self.recorder.ledger.checkpoint()[0].size
        except ClewError as error:
            size, ledger = None, error.what
        name = seen.loaded.model.name if seen.loaded else None
        return {
            "decides": seen.loaded is not None and not ledger,
            "model": plain(name),
            "registry": seen.trouble or "in order",
            "refers_everything": "stopped" if stop else "registry" if seen.broken else None,
            "ledger": {"entries": size, "state": ledger or "in order"},
        }

    def close(self) -> None:
        """Let the threads end."""
        self._decider.shutdown()
        self._pool.shutdown()


class Seals:
    """Between event loops and the ledger's writer: drafts in, one call back for each group.

    What is handed in during one turn of a loop goes to the writer together. Committed one by one
    the same drafts would cost as many signatures and waits for the disk.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._gathered: dict[Loop, list[tuple[Draft, Future]]] = {}
        self._waiting: dict[tuple[Loop, Group], list[tuple[Ticket, Future]]] = {}

    def hand_in(self, draft: Draft) -> Future:
        """Return what gives the draft's ticket once it is sealed, or has failed, or is late."""
        loop = asyncio.get_running_loop()
        if loop not in self._gathered:
            self._gathered[loop] = []
            loop.call_soon(self._hand_over, loop)
        future: Future = loop.create_future()
        self._gathered[loop].append((draft, future))
        return future

    def _hand_over(self, loop: Loop) -> None:
        gathered = self._gathered.pop(loop)
        try:
            tickets = self._ledger.submit_many([draft for draft, _ in gathered])
        except ClewError as error:
            for _, future in gathered:
                if not future.done():
                    future.set_exception(copy.copy(error))
                    future.exception()  # of several in one request, the first one is told
            return
        for ticket, (_, future) in zip(tickets, gathered, strict=True):
            self._wait(loop, ticket, future)

    def _wait(self, loop: Loop, ticket: Ticket, future: Future) -> None:
        key = (loop, ticket.group)
        if key in self._waiting:
            self._waiting[key].append((ticket, future))
            return
        self._waiting[key] = [(ticket, future)]
        late = loop.call_later(SEAL_SECONDS, self._wake, key)

        def sealed() -> None:
            loop.call_soon_threadsafe(self._wake, key, late)

        ticket.when_done(sealed)

    def _wake(self, key: tuple[Loop, Group], *timers: asyncio.TimerHandle) -> None:
        for timer in timers:
            timer.cancel()
        for ticket, future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(ticket)
