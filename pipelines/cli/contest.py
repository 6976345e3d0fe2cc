"""Commands for a person who disagrees: contest, override, contests."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines import params
from pipelines.cli import voice
from pipelines.cli.options import JSON, here, open_ledger
from pipelines.cli.release import PERSON, REASON
from pipelines.errors import BadRequest

BY = PERSON
TEXT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("decision_id", metavar="ID")
@click.option("--statement-file", "file", required=True, type=TEXT, help="The statement, UTF-8.")
@BY
@JSON
def contest(decision_id: str, file: Path, person: str, as_json: bool) -> None:
    """Record a person's own statement against decision ID; print until when it is answered.

    The statement is encrypted under the person's data key. The deadline is the policy pack's.
    """
    from pipelines.account import contest as account
    from pipelines.decisions.record import as_number
    from pipelines.release import policy

    place, number = here(), as_number(decision_id)
    pack = policy.read(place.layout, params.read(place.layout.params).policy)
    try:
        statement = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadRequest("not text in UTF-8", where="--statement-file") from None
    with open_ledger(place.state) as ledger:
        made, said = account.contest(ledger, number, statement, person, pack)
    answer = {"contest": made, "decision": said.decision_id, "due": str(said.due)}
    voice.record(answer, as_json=as_json)


@click.command()
@click.argument("decision_id", metavar="ID")
@click.option("--decision", "outcome", required=True, help="approve, decline or refer.")
@BY
@REASON
@JSON
def override(decision_id: str, outcome: str, person: str, reason: str, as_json: bool) -> None:
    """Record a named person's review of decision ID: what holds from now on, and why.

    Four eyes: whoever asked for the decision, or reviewed it before, is refused (exit 4).
    """
    from pipelines.account import contest as account
    from pipelines.decisions.record import as_number

    number = as_number(decision_id)
    with open_ledger(here().state) as ledger:
        made, said = account.override(ledger, number, outcome, person, reason)
    answer: dict[str, object] = {"override": made, "decision": said.decision_id}
    answer |= {"outcome": said.outcome, "answered": list(said.contests)}
    voice.record(answer, as_json=as_json)


@click.command()
@JSON
def contests(as_json: bool) -> None:
    """List the contests that wait for an answer; exit 4 when one waits longer than its deadline."""
    from pipelines.account import contest as account
    from pipelines.account.afterwards import now

    today = now().date()
    with open_ledger(here().state) as ledger:
        found = account.waiting(ledger)
    rows = [
        {
            "decision": each.decision_id,
            "since": str(each.since),
            "due": str(each.due),
            "days_left": each.left(today),
        }
        for each in found
    ]
    voice.result(rows, as_json=as_json)
    if not rows:
        voice.note("no contest waits for an answer")
    late = account.overdue(found, today)
    if late:
        raise late
