"""Commands that look: flow, lineage, doctor; and init, which prepares what they look at."""

from __future__ import annotations

import click

from pipelines import flow as flow_map
from pipelines.cli import voice
from pipelines.cli.options import JSON, here
from pipelines.errors import Unavailable
from pipelines.runs.store import Store

HEAD = "# Generated from pipelines/flow.py by `clew flow --write`; a test compares the two.\n"


@click.command()
@click.option("--write", is_flag=True, help="Write dvc.yaml from the map.")
@JSON
def flow(write: bool, as_json: bool) -> None:
    """Show the map of the steps: what each reads and writes."""
    if write:
        (here().root / "dvc.yaml").write_text(dvc_yaml(), encoding="utf-8")
    rows = [
        {
            "step": step.name,
            "what": step.summary,
            "reads": ", ".join(flow_map.path(name) for name in step.reads),
            "writes": ", ".join(flow_map.path(name) for name in step.writes),
        }
        for step in flow_map.STEPS
    ]
    voice.result(rows, as_json=as_json)


def dvc_yaml() -> str:
    """Return the text of dvc.yaml."""
    import yaml

    return HEAD + yaml.safe_dump(flow_map.dvc_stages(), sort_keys=False, width=100)


@click.command()
@click.argument("identity")
@click.option("--svg", type=click.Path(dir_okay=False), help="Draw the thread into this file.")
@JSON
def lineage(identity: str, svg: str | None, as_json: bool) -> None:
    """Follow the thread both ways from a snapshot, run, commit, model version or report."""
    from pathlib import Path

    from pipelines.lineage.picture import draw
    from pipelines.lineage.thread import follow, rows

    place = here()
    found = follow(place.state.lineage, identity)
    if svg:
        Path(svg).write_text(draw(found), encoding="utf-8")
        voice.note(f"wrote {svg}")
    voice.result(rows(found, full=as_json), as_json=as_json)


@click.command()
@JSON
def doctor(as_json: bool) -> None:
    """Test this machine and its services; exit 6 when something is not as it must be."""
    from pipelines.cli.stack import settings
    from pipelines.stack import production_doctor, production_run
    from pipelines.stack.doctor import examine

    place, instead = here(), None
    if name := production_doctor.named():
        at = production_run.place()
        instead = production_doctor.checks(name, production_run.every(at), at.settings, at.state)
    lock = place.root / "infra" / "locks" / "clew.lock"
    findings = examine(place.state, place.root, lock, settings(place.state), instead)
    shown = [
        {
            "check": each.name,
            "ok": "yes" if each.ok else "NO",
            "observed": each.observed,
            "expected": each.expected,
            "next": "" if each.ok else each.hint,
        }
        for each in findings
    ]
    voice.result(shown, as_json=as_json)
    wrong = [each.name for each in findings if not each.ok]
    if wrong:
        raise Unavailable("not everything is as it must be", observed=", ".join(wrong))


@click.command()
def init() -> None:
    """Prepare the state folder, this checkout's DVC settings and the model's environment."""
    from pipelines import wiring
    from pipelines.environments import model_python

    place = here()
    place.state.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.state.landing.mkdir(exist_ok=True)
    Store(place.root, place.state).configure()
    voice.note("building the model's environment from its lock, once")
    python = model_python(place.layout.model_lock, place.state)
    wiring.prepare_registry(place.state)
    voice.record({"state": place.state.home, "model environment": python}, as_json=False)
