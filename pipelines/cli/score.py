"""The command `score`: a file of applications in, recorded decisions out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import JSON, here, open_ledger
from pipelines.errors import IntegrityBroken, Unavailable

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PURPOSE = "decision"


@click.command()
@click.argument("file", type=FILE)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--batch", "name", help="The batch's name; default: the file's digest.")
@JSON
def score(file: Path, out: Path, name: str | None, as_json: bool) -> None:
    """Decide about every row of FILE (CSV, Parquet, JSON Lines); each is recorded first.

    Killed and started again it goes on, and decides about nobody twice: the same batch gives the
    same decisions. OUT is written as .jsonl or .parquet.
    """
    from pipelines.decisions import batch
    from pipelines.decisions.decide import Holdout
    from pipelines.decisions.load import Standing
    from pipelines.decisions.record import Call, Recorder
    from pipelines.decisions.service import settings
    from pipelines.decisions.service.in_force import InForce
    from pipelines.decisions.service.stop import StopSwitch

    place = here()
    known = params.read(place.layout.params)
    opened = partial(wiring.registry(place.state), known.model_name)
    watch = InForce(opened, known.decide, place.state.temporary)
    watch.refresh()
    seen = watch.seen
    if seen.loaded is None or seen.trouble:
        kind = IntegrityBroken if seen.broken else Unavailable
        raise kind(seen.trouble, where=known.model_name, hint="clew history")
    called = name or batch.batch_name(file)
    voice.note(f"{known.model_name} version {seen.loaded.origin.version}, batch {called[:16]}")
    with open_ledger(place.state) as ledger:
        asked = batch.Batch(
            source=file,
            name=called,
            standing=Standing(seen.loaded.model),
            origin=seen.loaded.origin,
            call=Call(
                caller="clew score",
                purpose=PURPOSE,
                request_id=called,
                notice=settings.read(place.state).contest,
            ),
            holdout=Holdout(known.decide.holdout_share, ledger.keys.ref("draw of the holdout")),
            stopped=StopSwitch(place.state.stop_switch).on,
        )
        counts = batch.run(Recorder(ledger), asked, out, lambda done: voice.note(f"{done} rows"))
    voice.record({"out": str(out), "batch": called, **counts}, as_json=as_json)
