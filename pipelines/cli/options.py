"""Options that several commands share, and what they work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.layout import Layout, State, repository, state

if TYPE_CHECKING:
    from pipelines.decisions.record import Recorder
    from pipelines.ledger.log import Ledger

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
YES = click.option("--yes", is_flag=True, help="Do what the plan says without asking.")
RUN_ID = click.option("--run-id", help="Name of the run; default: made from the time.")


class Group(click.Group):
    """Commands of a command, each with the whole first sentence of what it does."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        found = [(name, self.get_command(ctx, name)) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl([(n, c.get_short_help_str(limit=500)) for n, c in found if c])


@dataclass(frozen=True, slots=True)
class Place:
    """The checkout and the state folder that a command works on."""

    root: Path
    state: State

    @property
    def layout(self) -> Layout:
        return Layout(self.root)


def here() -> Place:
    """Return the checkout of the working directory and its state folder."""
    root = repository()
    return Place(root, state(root))


@contextmanager
def open_ledger(state: State) -> Iterator[Ledger]:
    """Open the ledger of this machine, made where there is none, and close it in the end."""
    from pipelines import wiring

    wiring.prepare_ledger(state)
    ledger = wiring.ledger(state)
    try:
        yield ledger
    finally:
        ledger.close()
        ledger.store.close()


def recorder_here(place: Place, ledger: Ledger) -> Recorder:
    """Return what records this process's decisions; its surroundings are recorded first."""
    from pipelines.decisions import surroundings
    from pipelines.decisions.record import Recorder

    found = surroundings.observed(place.layout.model_lock)
    return Recorder(ledger, surroundings.record(ledger, found))


def new_run_id(kind: str) -> str:
    """Return a fresh run id: the kind, the time in UTC, four random digits."""
    import secrets
    from datetime import UTC, datetime

    return f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
