"""The command timestamp: a third party's word for when the log was how long."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli import voice
from pipelines.cli.options import JSON, Group, here, open_ledger
from pipelines.errors import NotThere

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
AUTHORITY = click.option(
    "--authority", required=True, type=FILE, help="The authority's own certificate, PEM or DER."
)


@click.group(cls=Group)
def timestamp() -> None:
    """Have the newest checkpoint stamped by an authority (RFC 3161), or check stamps."""


@timestamp.command()
@click.argument("url")
@AUTHORITY
@JSON
def pull(url: str, authority: Path, as_json: bool) -> None:
    """Have the authority at URL stamp the newest checkpoint; keep its answer beside the log.

    Only the checkpoint's SHA-256 is sent. Done again for the same checkpoint it asks nobody.
    """
    from pipelines.ledger import stamps
    from pipelines.ledger.timestamp import read_authority, verify

    state, certificate = here().state, read_authority(authority)
    place = stamps.folder(state.ledger)
    with open_ledger(state) as ledger:
        note = stamps.newest(ledger)
    known = [each for each in stamps.kept(place) if each.note == note]
    stamp = known[0] if known else stamps.ask(url, note, certificate)
    at = verify(stamp.answer, note.encode(), certificate)
    if not known:
        stamps.keep(place, stamp)
    found = {"stamped": stamp.size, "at": at.isoformat(), "asked": not known}
    voice.record(found | {"in": str(place)}, as_json=as_json)


@timestamp.command()
@click.argument("bundle", required=False, type=click.Path(exists=True, path_type=Path))
@AUTHORITY
@click.option("--policy", type=FILE, help="The log keys you trust; default: this machine's own.")
@JSON
def check(bundle: Path | None, authority: Path, policy: Path | None, as_json: bool) -> None:
    """Check the stamp in the BUNDLE of one decision, or a folder of stamps; default: the log's.

    Exit 5 when a stamp is of another checkpoint or another authority, or was changed.
    """
    from pipelines.ledger import stamps
    from pipelines.ledger.proof import Policy
    from pipelines.ledger.timestamp import read_authority

    state, certificate = here().state, read_authority(authority)
    trusted = Policy.parse((policy or state.ledger_policy).read_text())
    place = bundle or stamps.folder(state.ledger)
    if (place / stamps.PROOF).exists():
        found = [stamps.check_bundle(place, trusted, certificate)]
    else:
        found = [stamps.check(each, trusted, certificate) for each in stamps.kept(place)]
    if not found:
        raise NotThere("no timestamp", where=str(place), hint="clew timestamp pull URL")
    shown = [{"entries": size, "in the log by": at.isoformat()} for size, at in found]
    voice.result(shown, as_json=as_json)
