"""Commands of a production stack: service, secrets."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pipelines import layout, quiet
from pipelines.cli import voice
from pipelines.cli.options import JSON
from pipelines.errors import Unavailable

REPOSITORY_VARIABLE = "CLEW_REPOSITORY"


@click.command()
@click.argument("name", envvar="CLEW_SERVICE", default="")
@click.option("--healthy", is_flag=True, help="Ask whether it works; exit 6 when it does not.")
@click.option("--show", is_flag=True, help="Print its command and variables, and start nothing.")
@JSON
def service(name: str, healthy: bool, show: bool, as_json: bool) -> None:
    """Become one service of a production stack: NAME, else CLEW_SERVICE. `prepare` comes first."""
    from pipelines.stack import production, production_prepare

    state = layout.state()
    named = os.environ.get(REPOSITORY_VARIABLE)
    repository = Path(named) if named else layout.repository()
    settings, inherited = production.read(state), quiet.environment(state)
    if name == "prepare":
        voice.record(
            {"commit": production_prepare.run(state, repository, settings, inherited)},
            as_json=as_json,
        )
        return
    chosen = production.chosen(production.stack(state, repository, settings, inherited), name)
    if show:
        own = {k: v for k, v in chosen.environment.items() if os.environ.get(k) != v}
        voice.record({"command": " ".join(chosen.command)} | own, as_json=as_json)
    elif healthy:
        from pipelines.stack.production_health import well

        if not well(chosen):
            raise Unavailable("the service is not healthy", where=name, hint="see its log")
    else:
        production_prepare.require(repository)
        os.chdir(chosen.folder)
        os.execve(chosen.command[0], chosen.command, dict(chosen.environment))  # noqa: S606


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def secrets(folder: Path) -> None:
    """Write the files of secrets of a production stack into FOLDER, each with mode 0600."""
    from pipelines.stack import production_secrets

    for name in production_secrets.write(folder):
        click.echo(folder / name)
