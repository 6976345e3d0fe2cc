"""Commands that keep the log honest and its keys fresh: witness, keys, hold."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from pipelines import wiring
from pipelines.cli import voice
from pipelines.cli.erase import subject_of
from pipelines.cli.options import JSON, YES, Group, here, open_ledger
from pipelines.cli.release import PERSON, REASON
from pipelines.errors import BadRequest

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
PORT = 8391
SHOWN = 8


@click.group(cls=Group)
def witness() -> None:
    """Serve a witness of logs, make its key, or have the newest checkpoint cosigned by one."""


@witness.command()
@click.argument("name")
@click.option("--key", required=True, type=NEW_FILE, help="Where the private key goes.")
def keygen(name: str, key: Path) -> None:
    """Make a witness's key, NAME like witness.example/w1; print the public half (a vkey)."""
    from pipelines.ledger.note import Algorithm
    from pipelines.ledger.secret_files import create_signer

    signer = create_signer(key, name, Algorithm.COSIGNATURE)
    voice.note(f"the private key is in {key}: it stays with the witness")
    click.echo(signer.verifier.vkey())


@witness.command(name="serve")
@click.option("--key", required=True, type=FILE, help="The key that `keygen` made.")
@click.option("--logs", required=True, type=FILE, help="A policy with the log lines to follow.")
@click.option("--memory", required=True, type=NEW_FILE, help="Where the last checkpoints stand.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=PORT, show_default=True)
def witness_serve(key: Path, logs: Path, memory: Path, host: str, port: int) -> None:
    """Cosign checkpoints that continue what was seen (C2SP tlog-witness), until Ctrl-C."""
    from pipelines.ledger import trust
    from pipelines.ledger.note import Algorithm
    from pipelines.ledger.secret_files import read_signer
    from pipelines.ledger.witness import Witness, server

    signer = read_signer(key)
    if signer.algorithm is not Algorithm.COSIGNATURE:
        raise BadRequest("not a witness's key", where=str(key), hint="clew witness keygen")
    known = trust.log_keys(logs.read_text())
    if not known:
        raise BadRequest("a policy without a log", where=str(logs), expected="log VKEY")
    memory.parent.mkdir(parents=True, exist_ok=True)
    with server(Witness(signer, known, memory), host, port) as running:
        address = f"http://{host}:{running.server_port}"
        voice.note(f"witness {signer.name} of {len(known)} log keys at {address}")
        running.serve_forever()


@witness.command()
@click.argument("url")
@click.argument("vkey")
@click.option("--require", metavar="NAME", help="Ask for it from now on, under this name.")
@JSON
def pull(url: str, vkey: str, require: str | None, as_json: bool) -> None:
    """Have the witness at URL, whose key is VKEY, cosign the newest checkpoint; keep it.

    With --require this machine's policy names the witness and its quorum is that witness: what
    no cosignature covers does not verify any more. Exit 5 when it saw another history.
    """
    from pipelines.ledger import trust
    from pipelines.ledger.note import Checkpoint, Note, Verifier
    from pipelines.ledger.witness import ask

    state, key = here().state, Verifier.parse(vkey)
    with open_ledger(state) as ledger:
        text = state.ledger_policy.read_text()
        wanted = trust.with_witness(text, require, key) if require else text
        note = ask(ledger, url, key)
    trust.write(state.ledger_policy, wanted)
    size = Checkpoint.parse(Note.parse(note).text).size
    voice.record({"cosigned": size, "by": key.name, "log": ledger.origin}, as_json=as_json)


@click.group(cls=Group)
def keys() -> None:
    """Rotate the keys of the ledger, or move them into a database."""


@keys.command()
@click.option("--log", "signing", is_flag=True, help="The key that signs checkpoints instead.")
@PERSON
@REASON
@YES
def rotate(signing: bool, person: str, reason: str, yes: bool) -> None:
    """Make the key that wraps the data keys anew, destroy the former; or, with --log, the signer.

    A former signer's checkpoints verify on; what it signs past the end that the policy then names
    does not. Other processes end and must open the log anew: `clew up` starts its service again.
    """
    from pipelines.decisions import rights
    from pipelines.ledger import rotation

    what = "the log's signing key" if signing else "the key that wraps the data keys"
    voice.confirm([f"rotate     {what}", f"by         {person}"], yes=yes)
    state = here().state
    if not signing:
        with open_ledger(state) as ledger:
            ledger.keys.refuse_to_destroy()
            rights.record_act(ledger, "rotate_wrapping", person, reason)
            voice.record({"key_epoch": ledger.keys.rotate()}, as_json=False)
        return
    wiring.prepare_ledger(state)
    opened, told = partial(wiring.ledger_signed_by, state), rights.act(person, reason)
    fresh = rotation.rotate(state.ledger_signer, state.ledger_policy, opened, told)
    voice.note(f"give {state.ledger_policy} to whoever verifies, on another way than the bundles")
    voice.record({"vkey": fresh.vkey(), "policy": state.ledger_policy}, as_json=False)


@keys.command()
@PERSON
@REASON
@YES
def move(person: str, reason: str, yes: bool) -> None:
    """Move the data keys from their file into the database at CLEW_KEYS_URL; delete the file.

    End every process that records before. It wants the eraser's role. Rotate afterwards, so that
    old copies of the file open nothing.
    """
    from pipelines.decisions import rights

    state = here().state
    voice.confirm(
        [f"move       {state.data_keys} into a database", f"by         {person}"], yes=yes
    )
    moved = wiring.move_keys(state)
    with open_ledger(state) as ledger:
        number = rights.record_act(ledger, "keys_moved", person, reason)
    voice.record({"moved": moved, "recorded": number}, as_json=False)


@click.command()
@click.argument("subject", required=False)
@click.option("--by", "--person", "person", help="Who does this: a name that stays on record.")
@click.option("--reason", help="Why: it stays on record. Name no person.")
@click.option("--lift", is_flag=True, help="End the hold.")
@JSON
def hold(
    subject: str | None, person: str | None, reason: str | None, lift: bool, as_json: bool
) -> None:
    """Put SUBJECT under a legal hold, so that nothing is erased; or list the holds.

    A list names nobody: what stands for a person there is a keyed hash. With `-` SUBJECT is read
    from stdin.
    """
    from pipelines.decisions import rights

    with open_ledger(here().state) as ledger:
        store = ledger.keys.store
        if subject is None:
            found = [{"person": ref.hex()[:SHOWN], "reason": why} for ref, why in store.holds()]
            voice.result(found, as_json=as_json)
            return
        if not person or not reason:
            raise BadRequest("who does this, and why?", expected="--person NAME --reason WHY")
        ref = ledger.keys.ref(subject_of(subject))
        if lift:
            ledger.keys.refuse_to_destroy()
            if not store.hold(ref):
                raise BadRequest("this person is under no hold")
        number = rights.record_act(ledger, "hold_lifted" if lift else "hold", person, reason)
        since = f"{reason} ({person}, {datetime.now(UTC).date()})"
        store.set_hold(ref, "" if lift else since)
    voice.record({"held": not lift, "recorded": number}, as_json=as_json)
