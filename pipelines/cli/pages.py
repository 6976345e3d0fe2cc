"""The command that serves the record's pages."""

from __future__ import annotations

from functools import partial

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import here, open_ledger


@click.command()
@click.option("--host", help="Address to listen on; default: service.yaml, else 127.0.0.1.")
@click.option("--port", type=int, help="Port to listen on; default: 8391.")
def pages(host: str | None, port: int | None) -> None:
    """Serve the record as web pages, and the same answers as JSON, until Ctrl-C."""
    import msgspec

    from pipelines.account.web import serve
    from pipelines.account.web.site import Site
    from pipelines.decisions.service.settings import read
    from pipelines.release import policy

    place = here()
    known = params.read(place.layout.params)
    settings = read(place.state)
    settings = msgspec.structs.replace(settings, host=host or settings.host)
    at = port or serve.PORT
    gate = serve.gate(place.state, settings)
    voice.note(f"the record at http://{settings.host}:{at}/record/")
    with open_ledger(place.state) as ledger:
        site = Site(
            ledger=ledger,
            registry=partial(wiring.registry(place.state), known.model_name),
            layout=place.layout,
            state=place.state,
            params=known,
            gate=gate,
            policies=partial(policy.read, place.layout),
        )
        serve.run(site, settings.host, at)
