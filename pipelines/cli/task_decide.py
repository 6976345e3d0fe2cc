"""The tasks around decisions: decide about a file, stop and resume deciding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pipelines.cli.options import Place, here, open_ledger
from pipelines.cli.score import CHALLENGER, decide_file
from pipelines.cli.voice import tell
from pipelines.errors import BadRequest, NotThere

FORMATS = ("parquet", "jsonl")
PRIVATE = 0o700


@click.command()
@click.option("--file", "named", help="A file of the landing folder, by its name there.")
@click.option("--snapshot", help="A run id or commit whose snapshot is decided about.")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0])
@CHALLENGER
def score(named: str | None, snapshot: str | None, form: str, challenger: str | None) -> None:
    """Decide about a file of the landing folder, or a run's snapshot; every row is recorded.

    Killed and started again it goes on where the ledger ends.
    """
    place = here()
    if bool(named) == bool(snapshot):
        raise BadRequest("one file or one snapshot is decided about", expected="one of the two")
    from pipelines.decisions.batch import batch_name

    with landed(place, named) if named else pinned(place, snapshot or "") as file:
        called = batch_name(file)
        place.state.scored.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        out = place.state.scored / f"{called[:16]}.{form}"
        done = decide_file(place, file, out, called, challenger or None)
    tell(
        batch=done.batch,
        version=done.version,
        out=str(out),
        rows=sum(done.counts.values()),
        counts=done.counts,
    )


@contextmanager
def landed(place: Place, named: str) -> Iterator[Path]:
    """Give a file of the landing folder. Raises BadRequest outside of it, NotThere."""
    folder = place.state.landing.resolve()
    file = (folder / named).resolve()
    if not file.is_relative_to(folder):
        raise BadRequest("a file outside the landing folder", expected=f"a file in {folder}")
    if not file.is_file():
        raise NotThere("no such file in the landing folder", where=str(folder))
    yield file


@contextmanager
def pinned(place: Place, name: str) -> Iterator[Path]:
    """Give the rows of a run's snapshot, by run id or commit. Raises NotThere."""
    from pipelines import runs
    from pipelines.runs.git import Git

    git = Git(place.root)
    commit = git.tip(name) or git.resolve(name)
    run_id = git.run_of(commit)
    if run_id is None:
        raise NotThere("no run made this commit", observed=name, hint="clew lineage")
    try:
        with runs.opened(
            place.root, place.state, run_id=run_id, commit=commit, only=("snapshot",)
        ) as context:
            if not context.layout.snapshot_rows.is_file():
                raise NotThere("this run has no snapshot", observed=name, hint="clew ingest")
            yield context.layout.snapshot_rows
    finally:
        runs.finish(place.root, place.state, run_id)


@click.command()
@click.option("--action", type=click.Choice(["stop", "resume"]), required=True)
@click.option("--person", default="", help="Who; a stop is carried out even if nobody is named.")
@click.option("--reason", required=True)
def switch(action: str, person: str, reason: str) -> None:
    """Stop deciding, or resume it: recorded with who and why."""
    from pipelines.decisions.service import stop as service

    state = here().state
    if action == "resume" and not person:
        raise BadRequest("nobody is named who resumes deciding", hint="trigger it as a user")
    with open_ledger(state) as ledger:
        thrown = service.StopSwitch(state.stop_switch)
        act = service.stop if action == "stop" else service.resume
        number = act(thrown, ledger, person or "somebody not named", reason)
    tell(stopped=action == "stop", recorded=number)
