"""Groups of entries that are committed together, by one thread, and the tickets callers wait on."""

from __future__ import annotations

import copy
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from pipelines.errors import ClewError, IntegrityBroken, Unavailable
from pipelines.ledger.entry import Draft, Sealed
from pipelines.ledger.proof import Proof
from pipelines.ledger.store import Stopped
from pipelines.ledger.tree import Growth

LOG = logging.getLogger("clew.ledger")
LARGEST_GROUP: Final = 1024
MOST_WAITING_GROUPS: Final = 16
SEAL_SECONDS: Final = 30.0


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """That an entry is in the log: its id, place and bytes, and the proof of it."""

    id: bytes
    index: int
    entry: bytes
    note: str
    growth: Growth

    @property
    def proof(self) -> Proof:
        return Proof(self.index, tuple(self.growth.inclusion(self.index)), self.note)


class Group:
    """Entries that are committed together, and what came of each: an error, or its index.

    `sealed` holds those of `asked` that are ready to be written, by their place.
    """

    __slots__ = ("_commits", "_lock", "_outcomes", "_watchers", "asked", "done", "sealed")

    def __init__(self) -> None:
        self.asked: list[Draft | Sealed] = []
        self.sealed: dict[int, Sealed] = {}
        self.done = False
        self._outcomes: dict[int, int | ClewError] = {}
        self._commits: list[tuple[str, Growth]] = []
        self._watchers: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def open_places(self) -> list[int]:
        """Return the places of entries of which nothing has come yet."""
        if not self._outcomes:
            return list(range(len(self.asked)))
        return [place for place in range(len(self.asked)) if place not in self._outcomes]

    def fail(self, error: ClewError, places: Iterable[int]) -> None:
        """Give these places an error."""
        self._outcomes.update((place, error) for place in places)

    def commit(self, places: Sequence[int], first: int, note: str, growth: Growth) -> None:
        """Give these places the log's indices from `first` on, under one checkpoint."""
        self._commits.append((note, growth))
        self._outcomes.update(zip(places, range(first, growth.size), strict=True))

    def outcome(self, place: int) -> Receipt:
        """Return the receipt of what is done, or raise its error."""
        found = self._outcomes[place]
        if isinstance(found, ClewError):
            raise copy.copy(found) from found
        sealed = self.sealed[place]
        note, growth = next(each for each in self._commits if found < each[1].size)
        return Receipt(sealed.id, found, sealed.entry, note, growth)

    def wait(self, timeout: float) -> bool:
        """Wait until the group is done; say whether it is."""
        if self.done:
            return True
        gate = threading.Lock()
        gate.acquire()
        self.watch(gate.release)
        return gate.acquire(timeout=timeout)

    def watch(self, call: Callable[[], object]) -> None:
        """Have `call` called once: when the group is done, or here if it is."""
        with self._lock:
            if not self.done:
                self._watchers.append(call)
                return
        call()

    def finish(self) -> None:
        """Wake everybody who waits. One who is gone, or fails, keeps nobody else waiting."""
        with self._lock:
            self.done = True
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            try:
                watcher()
            except Exception as error:  # noqa: BLE001 - the writer's thread must go on
                LOG.warning("a caller could not be woken: %s", type(error).__name__)


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """An entry that is on its way into the log, with a group: all of it is done at once."""

    group: Group
    place: int

    def result(self, timeout: float = SEAL_SECONDS) -> Receipt:
        """Wait until the entry is sealed and durable.

        Raises Unavailable when it is not, or not known to be: ask again under the same id.
        """
        if not (self.group.done or self.group.wait(timeout)):
            raise Unavailable("the ledger did not seal in time", expected=f"{timeout} s")
        return self.group.outcome(self.place)

    def when_done(self, call: Callable[[], None]) -> None:
        """Have `call` called once, in the thread that commits or here, when it is done."""
        self.group.watch(call)


class GroupWriter:
    """Commits what has gathered while the group before was committed, one group at a time.

    A thread of its own does it; a caller who finds it idle and would wait anyway does it itself.
    """

    def __init__(self, commit: Callable[[Group], None]) -> None:
        self._commit = commit
        self._waiting: deque[Group] = deque()
        self._change = threading.Condition()
        self._stopped: ClewError | None = None
        self._closing = self._at_work = False
        self._thread = threading.Thread(target=self._run, name="ledger writer", daemon=True)
        self._thread.start()

    def append(self, many: Sequence[Draft | Sealed]) -> list[Ticket]:
        """Take entries, in order. Raises Unavailable, having taken none, when there is no room."""
        with self._change:
            tickets = self._take(many)
            if not self._at_work:
                self._change.notify()
            return tickets

    def append_and_wait(self, one: Draft | Sealed) -> Receipt:
        """Take an entry and wait until it is sealed. Raises Unavailable, and why it is not."""
        with self._change:
            ticket = self._take([one])[0]
            group = None if self._at_work else self._next_group()
        if group is not None:
            self._work(group)
        return ticket.result()

    def _take(self, many: Sequence[Draft | Sealed]) -> list[Ticket]:
        self._refuse_when_stopped()
        if len(self._waiting) >= MOST_WAITING_GROUPS:
            raise Unavailable("too many entries wait for the ledger")
        tickets: list[Ticket] = []
        while len(tickets) < len(many):
            if not self._waiting or len(self._waiting[-1].asked) >= LARGEST_GROUP:
                self._waiting.append(Group())
            group = self._waiting[-1]
            first = len(group.asked)
            group.asked += many[len(tickets) : len(tickets) + LARGEST_GROUP - first]
            tickets += [Ticket(group, place) for place in range(first, len(group.asked))]
        return tickets

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                while self._at_work or not (self._waiting or self._closing):
                    self._change.wait()
                if not self._waiting:
                    return
                group = self._next_group()
            self._work(group)

    def _next_group(self) -> Group:
        """Take the group to commit now, under the lock."""
        self._at_work = True
        return self._waiting.popleft()

    def _work(self, group: Group) -> None:
        """Commit a group in this thread, and tell the writer's thread of what has gathered."""
        try:
            self._commit(group)
        except (Stopped, IntegrityBroken) as error:
            self._stop(error, group)
        except Unavailable as error:
            group.fail(error, group.open_places())
        except BaseException as error:
            self._stop(Stopped(f"the ledger's writer failed: {type(error).__name__}"), group)
            if not isinstance(error, Exception):
                raise  # whoever interrupts the process is heard
        finally:
            with self._change:
                self._at_work = False
                if self._waiting or self._closing:
                    self._change.notify()
            group.finish()

    def _stop(self, error: ClewError, current: Group) -> None:
        """Take nothing more, for good, and fail everything that waits."""
        with self._change:
            self._stopped = error
            waiting = list(self._waiting)
            self._waiting.clear()
        current.fail(_refusal(error), current.open_places())
        for group in waiting:
            group.fail(_refusal(error), group.open_places())
            group.finish()

    def _refuse_when_stopped(self) -> None:
        if self._stopped is not None:
            raise _refusal(self._stopped)
        if self._closing:
            raise Unavailable("the ledger is closed")


def _refusal(error: ClewError) -> ClewError:
    if isinstance(error, IntegrityBroken):
        return copy.copy(error)
    why = ": ".join(str(each) for each in (error.what, error.observed) if each)
    hint = "infra/runbook/ledger-stopped.md, then start it anew"
    return Stopped("the ledger has stopped", observed=why, hint=hint)
