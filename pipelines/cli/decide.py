"""Commands around the decision service: serve, stop, resume, apikey."""

from __future__ import annotations

from functools import partial

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import here, open_ledger, recorder_here
from pipelines.cli.release import PERSON, REASON

ROLES = ("decide", "read", "audit", "erase", "admin")


@click.command()
@click.option("--host", help="Address to listen on; default: service.yaml, else 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on; default: service.yaml, else 8390.",
)
@click.option("--challenger", help="A version that runs in shadow: recorded, never given out.")
def serve(host: str | None, port: int | None, challenger: str | None) -> None:
    """Serve recorded decisions of the champion over HTTP, until Ctrl-C."""
    import msgspec

    from pipelines.decisions.service import serve as service
    from pipelines.decisions.service.settings import read

    place = here()
    known = params.read(place.layout.params)
    given = {"host": host, "port": port}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = msgspec.structs.replace(read(place.state), **chosen)
    voice.note(f"decisions at http://{settings.host}:{settings.port}/docs")
    opened = partial(wiring.registry(place.state), known.model_name)
    service.api_keys(place.state, settings)
    with open_ledger(place.state) as ledger:
        recorder = recorder_here(place, ledger)
        service.run(place.state, known, settings, opened, recorder, challenger)


@click.command()
@PERSON
@REASON
def stop(person: str, reason: str) -> None:
    """Stop deciding: from now on every answer is `refer`. At once, and recorded."""
    from pipelines.decisions.service import stop as switch

    state = here().state
    with open_ledger(state) as ledger:
        number = switch.stop(switch.StopSwitch(state.stop_switch), ledger, person, reason)
    voice.record({"stopped": True, "recorded": number}, as_json=False)


@click.command()
@PERSON
@REASON
def resume(person: str, reason: str) -> None:
    """Decide again after a stop. Recorded first."""
    from pipelines.decisions.service import stop as switch

    state = here().state
    with open_ledger(state) as ledger:
        number = switch.resume(switch.StopSwitch(state.stop_switch), ledger, person, reason)
    voice.record({"stopped": False, "recorded": number}, as_json=False)


@click.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="What it may do.")
@click.option("--revoke", is_flag=True, help="Take the key of this name out of use.")
def apikey(name: str, roles: tuple[str, ...], revoke: bool) -> None:
    """Make a key of the decision service, shown this once; or revoke the key NAME."""
    from pipelines.decisions.service import api_keys

    path = here().state.api_keys
    if revoke:
        api_keys.revoke(path, name)
        voice.note(f"the key {name} is out of use")
        return
    key = api_keys.create(path, name, [api_keys.Role(each) for each in roles])
    voice.note("keep it: only its hash stays here")
    click.echo(key)
