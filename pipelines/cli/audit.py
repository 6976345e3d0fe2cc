"""The commands for auditors: audit bundle, audit blind."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines import contract, params, wiring
from pipelines.cli import voice
from pipelines.cli.contest import BY
from pipelines.cli.options import JSON, Group, here, open_ledger
from pipelines.cli.release import REASON
from pipelines.errors import BadRequest
from pipelines.typed import plain

if TYPE_CHECKING:
    from pipelines.account.sandbox import Kind

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SANDBOXES = ("bubblewrap", "container", "network", "process")


@click.group(cls=Group)
def audit() -> None:
    """Hand a third party what it needs, and no more."""


@audit.command()
@click.option("--from", "start", required=True, help="First day, or a time with its offset.")
@click.option("--to", "end", required=True, help="The day, or time, before which it ends.")
@click.option("--out", required=True, type=FOLDER, help="A new folder.")
@click.option("--redact", multiple=True, metavar="FIELD", help="A column or field to leave out.")
@click.option("--with-model", is_flag=True, help="Put the model files themselves in as well.")
@BY
@REASON
@JSON
def bundle(
    start: str,
    end: str,
    out: Path,
    redact: tuple[str, ...],
    with_model: bool,
    person: str,
    reason: str,
    as_json: bool,
) -> None:
    """Write all that is needed to check a period offline: log, records, versions, verifier.

    What is left out stays committed by a salted digest; files that show a column that is left out
    are withheld, with their digest. The audit itself is recorded first.
    """
    from pipelines.account import audit as account
    from pipelines.account.left_out import left
    from pipelines.ledger import stamps
    from pipelines.runs import reports

    place = here()
    known = params.read(place.layout.params)
    chosen = left(redact, contract.read(place.layout.contract))
    stamped = stamps.folder(place.state.ledger)
    asked = account.Asked(
        *(_moment(start), _moment(end), chosen, person, reason, with_model, stamped),
        watched=place.state.watch / known.model_name,
        reports=partial(reports.of_version, place.root, place.state),
    )
    registry = wiring.registry(place.state)(known.model_name)
    with open_ledger(place.state) as ledger:
        trusted = place.state.ledger_policy
        made = account.run(ledger, registry, place.layout, trusted, asked, out)
    check = f"python {out}/check.py {out} --policy {trusted}"
    answer: dict[str, object] = {"bundle": str(out), "records": made.records}
    answer |= {"erased": made.erased, "windows": made.windows, "withheld": len(made.withheld)}
    answer |= {"entry": made.entry, "check": check}
    for each in made.unreported:
        voice.note(f"version {each}: its run left no reports on this machine")
    voice.record(answer, as_json=as_json)


@audit.command()
@click.option("--data", "source", required=True, type=FILE, help="The auditor's rows, and targets.")
@click.option("--version", required=True, help="The model version to ask.")
@click.option("--ask", default="bias,error,calibration", help="Which figures; default: all.")
@click.option("--out", required=True, type=FOLDER, help="A new folder for report and proof.")
@click.option("--sandbox", type=click.Choice(SANDBOXES), help="Default: the strictest there is.")
@BY
@JSON
def blind(
    source: Path,
    version: str,
    ask: str,
    out: Path,
    sandbox: Kind | None,
    person: str,
    as_json: bool,
) -> None:
    """Let an auditor's DATA meet a model in a sandbox without network; only figures come out.

    Neither side sees the other's. The report is recorded, and its proof signed by the log's key.
    """
    from pipelines.account import blind as account

    place, wanted = here(), account.asked(ask)
    known = params.read(place.layout.params)
    registry = wiring.registry(place.state)(known.model_name)
    wish = account.Wish(source, version, wanted, person, sandbox)
    with open_ledger(place.state) as ledger:
        made = account.run(ledger, registry, known.decide, known.audit, wish, out)
    voice.record(plain(made), as_json=as_json)


def _moment(text: str) -> datetime:
    """Return the start of a day in UTC, or a time with its offset. Raises BadRequest."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is not None and len(text) == len("2026-11-22"):
        found = found.replace(tzinfo=UTC)
    if found is None or found.tzinfo is None:
        raise BadRequest(
            "neither a day nor a time with its offset",
            where="--from, --to",
            observed=text,
            expected="2026-11-22 or 2026-11-22T09:30:00+00:00",
        )
    return found
