"""Commands that start processes: up, demo."""

from __future__ import annotations

import runpy
import signal
import threading
from pathlib import Path

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import Place, here
from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.stack.settings import Settings
from pipelines.typed import read_yaml


@click.command()
def up() -> None:
    """Start Airflow, MLflow and what belongs to them on loopback, until Ctrl-C."""
    from pipelines.stack import up as stack

    place = here()
    stack.run(place.state, place.root, settings(place.state))


@click.command()
@click.option(
    "--land",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A script whose main(folder) lands the data.",
)
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    help="A recipe of params.yaml; several are trained in this order. Default: all.",
)
@click.option("--serve/--no-serve", default=True, help="Leave the pages up until Ctrl-C.")
def demo(land: Path, candidates: tuple[str, ...], serve: bool) -> None:
    """Run the main job on data that the script LAND brings, through a real Airflow scheduler."""
    from pipelines.stack import demo as play
    from pipelines.stack import demo_decisions, demo_record, demo_watch
    from pipelines.stack import up as stack

    place = here()
    known = params.read(place.layout.params)
    chosen = candidates or tuple(known.candidates)
    place.state.landing.mkdir(parents=True, exist_ok=True)
    voice.note(f"landing data with {land}")
    _land(land, place.state.landing)
    with stack.running(place.state, place.root, settings(place.state)) as running:
        found = play.play(place.root, place.state, chosen, voice.note)
        recorded = demo_decisions.play(place.root, place.state, running.mlflow, voice.note)
        versions = _versions(place, known.model_name)
        again, seen = demo_watch.play(place.root, place.state, running.mlflow, voice.note)
        shown = demo_record.play(running.pages, Path(str(recorded["decisions"])), voice.note)
        voice.note("")
        voice.result(play.rows(found, versions), as_json=False)
        click.echo("")
        where = play.addresses(running, found, place.state) | recorded | seen
        voice.record(where | {"retrained": again.run_id} | shown, as_json=False)
        if serve:
            voice.note("\nCtrl-C ends it; the state stays. `clew up` starts it again.")
            demo_record.show(shown.get("replay of it"))
            _until_asked()


def settings(state: State) -> Settings:
    """Return the stack's settings: those of the state folder, else the defaults."""
    return read_yaml(state.settings, Settings) if state.settings.exists() else Settings()


def _land(script: Path, folder: Path) -> None:
    """Call the script's `main(folder)`."""
    found = runpy.run_path(str(script)).get("main")
    if found is None:
        raise BadRequest(
            "this script does not land data", where=str(script), expected="a function main(folder)"
        )
    found(folder)


def _versions(place: Place, model_name: str) -> dict[str, str]:
    registry = wiring.registry(place.state)(model_name)
    return {each.candidate_id: each.version for each in registry.versions()}


def _until_asked() -> None:
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    asked.wait()
