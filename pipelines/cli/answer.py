"""Commands that answer for a decision: trace."""

from __future__ import annotations

import getpass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, Place, here, open_ledger

if TYPE_CHECKING:
    from pipelines.account.knots import Servers
    from pipelines.account.original import Opened

WHO = click.option(
    *("--by", "--person", "person"),
    default=getpass.getuser,
    help="Who looks: it stays on record. Default: your login.",
)
ID = click.argument("decision_id", metavar="ID")
CLI = "command line"


@click.command()
@ID
@WHO
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw it into a file.")
@JSON
def trace(decision_id: str, person: str, svg: Path | None, as_json: bool) -> None:
    """Show what the decision ID rests on, each by its content id, back to the files as received.

    The record is shown to stand in the sealed log. That you looked is recorded.
    """
    from pipelines.account import trace as tracing
    from pipelines.decisions.record import Recorder, as_number
    from pipelines.lineage.decision import drawn
    from pipelines.lineage.picture import draw
    from pipelines.typed import plain

    place, number = here(), as_number(decision_id)
    with open_ledger(place.state) as ledger:
        Recorder(ledger).look(number, person, CLI)
        found = tracing.trace(ledger, opened(place), number, place.state, servers(place))
    if svg:
        svg.write_text(draw(drawn(found)), encoding="utf-8")
        voice.note(f"wrote {svg}")
    if as_json:
        voice.record(plain(found), as_json=True)
        return
    rows = [{"what": k.kind, "id": k.id, "told": k.told, "link": k.link} for k in found.knots]
    voice.result(rows, as_json=False)
    for each in found.later:
        voice.note(f"later: {each.kind} {each.id}{f' by {each.by}' if each.by else ''}")
    seal = found.sealed
    voice.note(f"sealed: entry {seal.index} of {seal.size} in {seal.log}, root {seal.root}")


def opened(place: Place) -> Opened:
    """Return how to open the registry, which takes seconds, for who may not need it."""
    name = params.read(place.layout.params).model_name
    return partial(wiring.registry(place.state), name)


def servers(place: Place) -> Servers:
    """Return the addresses of what runs here, or what ``production.yaml`` names, for links."""
    from pipelines.account.knots import Servers
    from pipelines.errors import ClewError
    from pipelines.stack import production, record

    if told := production.told(place.state):
        found_run = partial(_airflow_run, place)
        return Servers(told.mlflow_url.rstrip("/"), told.airflow_url.rstrip("/"), found_run)
    try:
        found = record.ready(place.state)
    except ClewError:
        return Servers()
    return Servers(found.mlflow, found.airflow, partial(_airflow_run, place))


def _airflow_run(place: Place, run_id: str) -> str:
    """Return the id that Airflow knows a run by, as lineage tells it."""
    from pipelines.errors import ClewError
    from pipelines.lineage.thread import read

    try:
        events = read(place.state.lineage)
    except ClewError:
        return ""
    facets = (each.get("run", {}).get("facets", {}).get("clew_run", {}) for each in events)
    return next((f.get("airflowRunId", "") for f in facets if f.get("id") == run_id), "")
