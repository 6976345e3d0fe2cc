"""The command `score`: a file of applications in, recorded decisions out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, Place, here, open_ledger, recorder_here
from pipelines.errors import IntegrityBroken, Unavailable

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PURPOSE = "decision"
CALLER = "clew score"
CHALLENGER = click.option(
    "--challenger", help="A version that runs in shadow: recorded, never given out."
)


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of a file: its batch's name, the version that decided, how many of which."""

    batch: str
    version: str
    counts: dict[str, int]


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The decisions: .jsonl or .parquet.",
)
@click.option("--batch", "name", help="The batch's name; default: the file's digest.")
@CHALLENGER
@JSON
def score(file: Path, out: Path, name: str | None, challenger: str | None, as_json: bool) -> None:
    """Decide about every row of FILE (CSV, Parquet, JSON Lines); each is recorded first.

    Killed and started again it goes on, and decides about nobody twice: the same batch gives the
    same decisions.
    """
    done = decide_file(here(), file, out, name, challenger)
    voice.record({"out": str(out), "batch": done.batch, **done.counts}, as_json=as_json)


def decide_file(
    place: Place, file: Path, out: Path, name: str | None = None, challenger: str | None = None
) -> Scored:
    """Decide about every row of a file with the champion, write `out`, return what became of it.

    `name` is the batch's, by default the file's digest: the same batch is decided once. Raises
    Unavailable when no champion can be had or nothing can be recorded.
    """
    from pipelines.decisions import batch
    from pipelines.decisions.decide import Holdout
    from pipelines.decisions.load import Standing
    from pipelines.decisions.record import Call
    from pipelines.decisions.service import settings
    from pipelines.decisions.service.in_force import InForce
    from pipelines.decisions.service.stop import StopSwitch

    known = params.read(place.layout.params)
    opened = partial(wiring.registry(place.state), known.model_name)
    watch = InForce(opened, known.decide, place.state.temporary, challenger)
    watch.refresh()
    seen = watch.seen
    if seen.loaded is None or seen.trouble:
        kind = IntegrityBroken if seen.broken else Unavailable
        raise kind(seen.trouble, where=known.model_name, hint="clew history")
    called = name or batch.batch_name(file)
    version = seen.loaded.origin.version
    voice.note(f"{known.model_name} version {version}, batch {called[:16]}")
    notice = settings.read(place.state).contest
    with open_ledger(place.state) as ledger:
        asked = batch.Batch(
            source=file,
            name=called,
            standing=Standing(seen.loaded.model, seen.challenger),
            origin=seen.loaded.origin,
            call=Call(caller=CALLER, purpose=PURPOSE, request_id=called, notice=notice),
            holdout=Holdout(known.decide.holdout_share, ledger.keys.ref("draw of the holdout")),
            stopped=StopSwitch(place.state.stop_switch).on,
        )
        counts = batch.run(
            recorder_here(place, ledger), asked, out, lambda done: voice.note(f"{done} rows")
        )
    return Scored(called, version, counts)
