"""Commands that prove, and show a person what is recorded: verify, receipt, export."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.answer import opened
from pipelines.cli.options import here, open_ledger
from pipelines.cli.release import PERSON
from pipelines.errors import ClewError, Erased, IntegrityBroken, NotThere, Unavailable
from pipelines.layout import State

if TYPE_CHECKING:
    from pipelines.ledger.log import Ledger

# What the verifier's exit codes are in Clew's tree.
FOUND: Final[dict[int, type[ClewError]]] = {
    1: IntegrityBroken,
    2: IntegrityBroken,
    3: Erased,
    4: IntegrityBroken,
    5: Unavailable,
}
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

OUT = click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write, made where there is none.",
)


@click.command()
@click.argument("bundle", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--policy", type=FILE, help="The log keys you trust; default: this machine's own.")
@click.option("--known", multiple=True, type=FILE, help="A checkpoint that somebody kept.")
def verify(bundle: Path | None, policy: Path | None, known: tuple[Path, ...]) -> None:
    """Verify the whole log, or one BUNDLE, with the one-file verifier. Exit 5 when tampered."""
    from pipelines.ledger import verify as verifier

    state = here().state
    trusted = policy or state.ledger_policy
    if bundle is not None:
        click.echo(f"fine: {_fine(verifier.verify(bundle, trusted, known))}")
        return
    if not trusted.exists():
        raise NotThere("no ledger here", where=str(state.ledger), hint="clew serve")
    click.echo(f"fine: {whole_log(state, trusted, known)}")


def whole_log(state: State, trusted: Path, known: tuple[Path, ...] = ()) -> str:
    """Verify a copy of the whole log and return what was found, or raise it."""
    from pipelines.ledger import verify as verifier
    from pipelines.ledger.bundle import copy_keys, copy_log

    with TemporaryDirectory() as folder:
        copy = Path(folder) / "log.db"
        store = wiring.ledger_store(state)
        try:
            copy_log(store, copy)
        finally:
            store.close()
        keys = copy_keys(wiring.key_store(state), Path(folder) / "keys.db")
        return _fine(verifier.verify(copy, trusted, known, keys))


def _fine(found: tuple[int, str]) -> str:
    """Return what the verifier says, or raise what it found."""
    code, text = found
    if code in FOUND:
        raise FOUND[code](text)
    return text


@click.command()
@click.argument("decision_id", metavar="ID")
@OUT
@click.option("--disclose/--no-disclose", default=True, help="Put the record itself in as well.")
@PERSON
def receipt(decision_id: str, out: Path, disclose: bool, person: str) -> None:
    """Write a bundle of one decision that anybody can check with the one-file verifier.

    A bundle that discloses the record counts as a look at it, and the look is recorded first.
    """
    from pipelines.decisions.record import Recorder, as_number
    from pipelines.ledger import stamps
    from pipelines.ledger.bundle import write_bundle

    number, state = as_number(decision_id), here().state
    with open_ledger(state) as ledger:
        recorder = Recorder(ledger)
        if disclose:
            try:
                recorder.look(number, person, "receipt")
            except Erased:
                voice.note("this record was erased: the bundle shows the tombstone")
        note = cosigned(ledger, ledger.find(number))
        folder = write_bundle(ledger, number, out, disclose=disclose, note=note)
        stamps.add_to_bundle(ledger, ledger.find(number), stamps.folder(state.ledger), folder)
    check = f"python {folder}/verify.py {folder} --policy {state.ledger_policy}"
    voice.record({"bundle": folder, "check": check}, as_json=False)


def cosigned(ledger: Ledger, index: int) -> str | None:
    """Return the newest checkpoint over an entry that witnesses cosigned; None without one."""
    notes = [note for size, note in ledger.store.cosigned() if size > index]
    return notes[-1] if notes else None


@click.command()
@click.argument("subject")
@OUT
@click.option("--language", default="", help="en or de; default: letter.language of params.yaml.")
@PERSON
def export(subject: str, out: Path, language: str, person: str) -> None:
    """Write all that is recorded about SUBJECT: export.json, and export.html to read.

    That it was exported, and by whom, is recorded.
    """
    import json

    from pipelines.account.access import access, versions
    from pipelines.account.letter_text import page
    from pipelines.account.words import words
    from pipelines.decisions import rights

    place = here()
    settings = params.read(place.layout.params).letter
    chosen = words(language or settings.language).language
    with open_ledger(place.state) as ledger:
        found = rights.export(ledger, subject, person)
    told = access(
        found,
        versions(opened(place), place.state),
        settings,
        chosen,
        dt.datetime.now(dt.UTC).date(),
    )
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (out / "export.json").write_text(text, encoding="utf-8")
    (out / "export.html").write_text(page(told), encoding="utf-8")
    voice.record({"records": len(found["records"]), "out": str(out)}, as_json=False)
