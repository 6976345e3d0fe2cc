"""The stop switch: while it is on, every answer is `refer`, whatever the model says.

It is a small file beside the databases, looked at for every decision, so that any process of the
machine can throw it at once and a restart does not lift it. Stopping writes the file first and
the record second; resuming records first. Whatever cannot be read counts as stopped.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Literal

import msgspec

from pipelines.decisions.records import STAFF, Stop
from pipelines.errors import BadRequest, Unavailable
from pipelines.ledger.entry import Body, Draft
from pipelines.ledger.log import Ledger
from pipelines.release.approve import named, reasoned
from pipelines.whole_file import write_whole

PURPOSE = "operation"


class NotStopped(BadRequest):
    """Nobody stopped deciding, so nothing is to be resumed."""


class Thrown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The switch as it was thrown last: on or off, by whom, why and when."""

    stopped: bool
    person: str
    reason: str
    at: str


class StopSwitch:
    """The switch in one file; it is read again only when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path, self._name = path, str(path)
        self._stamp: tuple[int, int, int] | None = None
        self._state: Thrown | None = None

    def on(self) -> Stop | None:
        """Return who stopped deciding and why; None while it is not stopped."""
        state = self.state()
        if state is None or not state.stopped:
            return None
        return Stop(person=state.person, reason=state.reason, at=state.at)

    def state(self) -> Thrown | None:
        """Return what was said last; None before anything was said.

        A file that was there and is gone, or cannot be read, counts as stopped.
        """
        try:
            stat = os.stat(self._name)  # noqa: PTH116 - asked for every decision
        except FileNotFoundError:
            if self._stamp is not None:
                return _unreadable("the file of the stop switch is gone")
            return None
        except OSError:
            return _unreadable("the file of the stop switch cannot be read")
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if stamp != self._stamp:
            self._state, self._stamp = self._read(), stamp
        return self._state

    def _read(self) -> Thrown:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Thrown)
        except (OSError, msgspec.DecodeError):
            return _unreadable("the file of the stop switch is broken")

    def write(self, state: Thrown) -> None:
        """Replace the file, durably. Raises Unavailable."""
        try:
            write_whole(self._path, msgspec.json.encode(state))
        except OSError as error:
            where = str(self._path)
            raise Unavailable("the stop switch cannot be written", where=where) from error


def stop(switch: StopSwitch, ledger: Ledger, person: str, reason: str) -> str:
    """Stop deciding, then record who did and why; return the record's id.

    Raises Unavailable when it could not be recorded: deciding is stopped all the same.
    """
    state = _said(person, reason, stopped=True)
    switch.write(state)
    return _record(ledger, "stop", state)


def resume(switch: StopSwitch, ledger: Ledger, person: str, reason: str) -> str:
    """Record who resumes deciding and why, then resume; return the record's id."""
    state = _said(person, reason, stopped=False)
    if switch.on() is None:
        raise NotStopped("deciding is not stopped")
    number = _record(ledger, "resume", state)
    switch.write(state)
    return number


def _said(person: str, reason: str, *, stopped: bool) -> Thrown:
    at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    return Thrown(stopped=stopped, person=named(person), reason=reasoned(reason), at=at)


def _record(ledger: Ledger, kind: Literal["stop", "resume"], state: Thrown) -> str:
    body = Body(f"{STAFF}{state.person}", PURPOSE, msgspec.json.encode(state))
    return ledger.record(Draft(kind, {}, (body,))).id.hex()


def _unreadable(reason: str) -> Thrown:
    return Thrown(stopped=True, person="the service", reason=reason, at="")
