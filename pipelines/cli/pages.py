"""The command that serves the record's pages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from pipelines import params
from pipelines.cli import voice
from pipelines.cli.answer import opened, servers
from pipelines.cli.options import Place, here, open_ledger

if TYPE_CHECKING:
    from pipelines.account.web.site import Report


@click.command()
@click.option("--host", help="Address to listen on; default: service.yaml, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; default: 8391.")
def pages(host: str | None, port: int | None) -> None:
    """Serve the record as web pages, and the same answers as JSON, until Ctrl-C."""
    import msgspec

    from pipelines.account.web import serve
    from pipelines.account.web.site import Site
    from pipelines.decisions.service.settings import read
    from pipelines.release import policy

    place = here()
    settings = read(place.state)
    settings = msgspec.structs.replace(settings, host=host or settings.host)
    at = port or serve.PORT
    gate = serve.gate(place.state, settings)
    voice.note(f"the record at http://{settings.host}:{at}/record/")
    with open_ledger(place.state) as ledger:
        site = Site(
            ledger=ledger,
            registry=opened(place),
            layout=place.layout,
            state=place.state,
            params=params.read(place.layout.params),
            gate=gate,
            policies=partial(policy.read, place.layout),
            servers=partial(servers, place),
            reports=partial(watched, place),
        )
        serve.run(site, settings.host, at)


def watched(place: Place) -> list[Report]:
    """Return the newest report of each window that the watch looked at, the newest window first."""
    from pipelines.account.web.site import Found, Report
    from pipelines.typed import read_json
    from pipelines.watch.findings import WatchReport
    from pipelines.watch.places import Places

    files = Places(place.state, params.read(place.layout.params).model_name).watched
    read = [read_json(path, WatchReport) for path in files.every()]
    made = [
        Report(
            start=each.start,
            end=each.end,
            version=each.version,
            decisions=each.decisions,
            action=each.action,
            findings=tuple(
                Found(f.check, f.of, f.measure, f.status, f.said, f.value, f.bound, f.n)
                for f in each.findings
            ),
        )
        for each in read
    ]
    return sorted(made, key=lambda each: each.start, reverse=True)
