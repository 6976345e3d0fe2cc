"""Commands of a production stack: service, secrets."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli import voice
from pipelines.cli.options import JSON
from pipelines.errors import Unavailable


@click.command()
@click.argument("name", envvar="CLEW_SERVICE", default="")
@click.option("--healthy", is_flag=True, help="Ask whether it works; exit 6 when it does not.")
@click.option("--show", is_flag=True, help="Print its command and variables, and start nothing.")
@JSON
def service(name: str, healthy: bool, show: bool, as_json: bool) -> None:
    """Become one service of a production stack: NAME, else CLEW_SERVICE. `prepare` comes first."""
    from pipelines.stack import production_run as this

    place = this.place()
    if name == "prepare":
        voice.record({"commit": this.prepare(place)}, as_json=as_json)
        return
    chosen = this.chosen(place, name)
    if show:
        voice.record({"command": " ".join(chosen.command)} | this.own(chosen), as_json=as_json)
    elif not healthy:
        this.become(place, chosen)
    elif not this.well(chosen):
        raise Unavailable("the service is not healthy", where=name, hint="see its log")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def secrets(folder: Path) -> None:
    """Write the files of secrets of a production stack into FOLDER, each with mode 0600."""
    from pipelines.stack import production_secrets

    for name in production_secrets.write(folder):
        click.echo(folder / name)
