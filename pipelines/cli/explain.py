"""The command `explain`: a letter about one decision."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from pipelines import params
from pipelines.cli import voice
from pipelines.cli.contest import BY
from pipelines.cli.options import here, open_ledger
from pipelines.cli.what_if import where
from pipelines.errors import BadRequest


@click.command()
@click.argument("decision_id", metavar="ID")
@click.option("--format", "kind", default="md", help="md, html or pdf; default: md.")
@click.option("--language", default="", help="en or de; default: letter.language of params.yaml.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: stdout.")
@BY
def explain(decision_id: str, kind: str, language: str, out: Path | None, person: str) -> None:
    """Write the letter about decision ID: result, reasons, data used, what to do about it.

    It holds the person's own data, so that it was written, and by whom, is recorded first.
    """
    from pipelines.account import explain as account
    from pipelines.account.case import case_of
    from pipelines.account.would_change import would_change
    from pipelines.decisions.record import Recorder, as_number
    from pipelines.release import policy

    place, number = here(), as_number(decision_id)
    known = params.read(place.layout.params)
    if kind == "pdf" and out is None:
        raise BadRequest("a PDF goes into a file", where="--format pdf", hint="--out letter.pdf")
    account.checked(known.letter, language, kind)
    asked = where(place)
    packs = partial(policy.read, place.layout)
    with open_ledger(place.state) as ledger:
        course = account.looked(Recorder(ledger), number, person)
        case = case_of(course, ledger, asked.registry, place.state, packs)
        changes = would_change(asked, course)
    made = account.run(replace(case, changes=changes), known.letter, language, kind)
    if out is None:
        sys.stdout.write(made.decode())
        return
    out.touch(mode=0o600)
    out.write_bytes(made)
    voice.record({"letter": str(out)}, as_json=False)
