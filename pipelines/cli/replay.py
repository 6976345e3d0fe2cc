"""Commands that decide again: replay, and keep, which stores what a replay needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.cli import voice
from pipelines.cli.answer import WHO, opened
from pipelines.cli.options import JSON, here, open_ledger
from pipelines.errors import BadRequest, IntegrityBroken
from pipelines.typed import plain

if TYPE_CHECKING:
    from pipelines.account.compare import Likeness
    from pipelines.account.replay import Receipt
    from pipelines.account.replay_many import ReceiptOfMany

KINDS = ("bubblewrap", "container", "network", "process")


@click.command()
@click.argument("decision_id", metavar="[ID]", required=False)
@click.option("--sample", type=click.IntRange(min=1), help="Replay so many drawn at random.")
@click.option("--seed", help="What the draw follows from; default: the log's checkpoint.")
@click.option("--version", help="Draw only decisions of this model version.")
@click.option("--sandbox", type=click.Choice(KINDS), help="Default: the strictest that works here.")
@click.option("--other-interpreter", is_flag=True, help="Go on with another build of Python.")
@click.option("--present-code", is_flag=True, help="Score with the code of today, not the run's.")
@click.option("--from-model", is_flag=True, help="Compile the plan out of the model again.")
@WHO
@JSON
def replay(
    decision_id: str | None,
    sample: int | None,
    seed: str | None,
    version: str | None,
    sandbox: str | None,
    other_interpreter: bool,
    present_code: bool,
    from_model: bool,
    person: str,
    as_json: bool,
) -> None:
    """Decide the decision ID again in its original environment, and compare bit by bit.

    The receipt is recorded. Exit 5 when what comes out differs from what is on record.
    """
    from pipelines.account import replay_many as bulk
    from pipelines.account.again import Where
    from pipelines.account.replay import replay as replay_one
    from pipelines.decisions.record import as_number

    if (decision_id is None) == (sample is None):
        raise BadRequest("replay one decision or a sample", expected="an ID, or --sample N")
    place = here()
    where = Where(
        state=place.state,
        repository=place.root,
        registry=opened(place),
        sandbox=sandbox,  # type: ignore[arg-type]
        other_interpreter=other_interpreter,
        present_code=present_code,
        from_model=from_model,
    )
    with open_ledger(place.state) as ledger:
        if decision_id is not None:
            done = replay_one(ledger, where, as_number(decision_id), person)
            _tell(done.receipt, done.id, as_json=as_json)
            return
        indices = bulk.drawn(ledger, sample or 0, seed, version)
        many = bulk.replay_many(ledger, where, indices, person)
    tell_many(many, as_json=as_json)
    bulk.refuse_differing(many)


def _tell(receipt: Receipt, number: str, *, as_json: bool) -> None:
    """Print one receipt, and raise where the decision did not come out again."""
    told = receipt.surroundings
    if as_json:
        voice.record(plain(receipt) | {"recorded": number}, as_json=True)
    else:
        voice.record(
            {
                "result": receipt.result,
                "version": receipt.version,
                "sandbox": f"{told.sandbox}, network {'on' if told.network else 'off'}, files "
                f"{'read-only' if told.read_only else 'writable'}",
                "scored": "by the kept plan" if told.loaded == "plan" else "by the loaded model",
                "code": f"{told.whose_code} {told.code}",
                "environment": f"Python {told.python}, lock {told.lock_sha256}",
                "processor": f"lacks {', '.join(told.missing)}" if told.missing else "no less",
                "recorded": number,
            },
            as_json=False,
        )
    for each in receipt.differences:
        far = "" if each.ulps is None else f": {each.ulps} units in the last place"
        voice.note(f"differs: {each.field}{far}")
    if receipt.result == "differs":
        raise IntegrityBroken(
            "a recorded decision does not come out again",
            where=receipt.decision_id,
            observed=", ".join(each.field for each in receipt.differences),
            expected="identical",
            hint=f"clew trace {receipt.decision_id}",
        )


def tell_many(many: ReceiptOfMany, *, as_json: bool) -> None:
    """Print what replaying many found: a row a version."""
    if as_json:
        voice.record(plain(many), as_json=True)
        return
    results: tuple[Likeness, ...] = ("identical", "within", "differs")
    rows = [
        {"version": version, **{result: counts.get(result, 0) for result in results}}
        for version, counts in many.counts.items()
    ]
    voice.result(rows, as_json=False)
    voice.note(f"erased {many.erased}, without a request {many.unkept}")


@click.command()
@click.argument("version")
@JSON
def keep(version: str, as_json: bool) -> None:
    """Keep the wheels that VERSION's lock pins, so that it can be replayed without an index."""
    import tempfile
    from pathlib import Path

    from pipelines.account.keep import keep as kept
    from pipelines.release.version_files import fetched

    place = here()
    registry = opened(place)()
    with tempfile.TemporaryDirectory() as folder:
        files = fetched(registry, registry.version(version), Path(folder) / "version")
        found = kept(files.lock, place.state)
    answer = {"wheels": found.wheels, "bytes": found.bytes, "folder": str(found.folder)}
    voice.record(answer | {"unchanged": found.unchanged}, as_json=as_json)
