"""Commands that work in a run: ingest, retrain, gate."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from pipelines import params, run_step, runs
from pipelines.cli import voice
from pipelines.cli.options import JSON, RUN_ID, Place, here, new_run_id
from pipelines.errors import GateRefused, NotThere, did_you_mean
from pipelines.layout import Layout
from pipelines.params import Source
from pipelines.records import Snapshot, Verdict
from pipelines.runs.git import Git
from pipelines.typed import read_json

HEAD = "HEAD"
DATA_STEPS = ("validate", "snapshot")
DIGEST = re.compile(r"[0-9a-f]{12,64}")
MODEL_STEPS = ("split", "train", "evaluate", "champion", "check", "gate")


@click.command()
@click.argument("location", required=False)
@RUN_ID
@JSON
def ingest(location: str | None, run_id: str | None, as_json: bool) -> None:
    """Land data, test it against the contract, and take a snapshot of what it accepts.

    LOCATION is a folder or an s3:// prefix; without it, the source of params.yaml is read.
    """
    place = here()
    run = run_id or new_run_id("data")
    _tell_uncommitted(place)
    commit = runs.begin(place.root, place.state, run_id=run)
    source = _source(place, location)
    total = len(DATA_STEPS) + 1
    voice.progress(1, total, "ingest")
    commit = runs.ingest(place.root, place.state, run_id=run, commit=commit, source=source).commit
    commit = _steps(place, run, commit, DATA_STEPS, 1, total)
    with runs.opened(place.root, place.state, run_id=run, commit=commit) as context:
        snapshot = read_json(context.layout.snapshot_record, Snapshot)
    runs.finish(place.root, place.state, run)
    answer: dict[str, object] = {"run": run, "commit": commit, "snapshot": snapshot.id}
    voice.record(answer | {"rows": snapshot.rows, "refused": snapshot.refused}, as_json=as_json)


@click.command()
@click.option("--data", required=True, help="Commit or run id whose snapshot is trained on.")
@click.option("--candidate", help="A recipe of params.yaml; default: the one it names.")
@click.option("--policy", help="A policy pack; default: the one params.yaml names.")
@click.option("--code", default=HEAD, show_default=True, help="Commit of code and parameters.")
@click.option("--dry-run", is_flag=True, help="Judge only; register nothing.")
@RUN_ID
@JSON
def retrain(
    data: str,
    candidate: str | None,
    policy: str | None,
    code: str,
    dry_run: bool,
    run_id: str | None,
    as_json: bool,
) -> None:
    """Train, evaluate, check and judge one candidate; register it. Exit 4 when it is blocked."""
    place = here()
    run = run_id or new_run_id("train")
    chosen = {"candidate": candidate, "policy": policy}
    choices = {key: value for key, value in chosen.items() if value}
    pinned = data_commit(place, data)
    if code == HEAD:
        _tell_uncommitted(place)
    commit = runs.begin(
        place.root, place.state, run_id=run, code=code, data=pinned, choices=choices
    )
    names, refused = (*DATA_STEPS, *MODEL_STEPS), None
    total = len(names) + 1
    try:
        commit = _steps(place, run, commit, names, 0, total)
    except GateRefused as error:
        refused, commit = _told_where(error, run), str(Git(place.root).tip(run))
    answer: dict[str, object] = {"run": run, "commit": commit, "data": pinned}
    if not dry_run:
        voice.progress(total, total, "register")
        with runs.opened(place.root, place.state, run_id=run, commit=commit) as context:
            version = run_step.run("register", context)
        answer["version"] = version.version if version else None
    runs.finish(place.root, place.state, run)
    voice.record(answer | {"verdict": "blocked" if refused else "passed"}, as_json=as_json)
    if refused:
        raise refused


@click.command()
@click.argument("run_id", required=False)
@click.option("--reports", type=click.Path(path_type=Path), help="Copy a run's reports to here.")
@JSON
def gate(run_id: str | None, reports: Path | None, as_json: bool) -> None:
    """Show the verdict of a run, or of this checkout after `dvc repro`. Exit 4 when it blocks."""
    place = here()
    if run_id is None:
        _show_verdict(place.layout, as_json=as_json)
        return
    commit = Git(place.root).tip(run_id)
    if commit is None:
        hint = did_you_mean(run_id, Git(place.root).runs()) or "clew retrain, which prints it"
        raise NotThere("no such run", observed=run_id, hint=hint)
    with runs.opened(place.root, place.state, run_id=run_id, commit=commit) as context:
        made = context.layout.checks.parent
        if reports and made.is_dir():
            shutil.copytree(made, reports, dirs_exist_ok=True)
            voice.note(f"the run's reports are in {reports}")
        try:
            _show_verdict(context.layout, as_json=as_json)
        except GateRefused as error:
            raise error if reports else _told_where(error, run_id) from None


def _told_where(error: GateRefused, run: str) -> GateRefused:
    """Say how to come by the reports: a run's own checkout is gone once it is done."""
    error.hint = f"clew gate {run} --reports FOLDER, then {error.hint}"
    return error


def _tell_uncommitted(place: Place) -> None:
    """Say what a run will not see of the files people write, for it works from a commit."""
    files = place.layout
    named = [str(each) for each in (files.contract, files.params, files.policies)]
    if changed := Git(place.root).uncommitted(*named):
        voice.note(f"not committed, so no part of this run: {', '.join(changed)}")


def data_commit(place: Place, name: str) -> str:
    """Return the commit that `name`, a run id or a commit, stands for.

    Raises NotThere when it stands for neither, and GateRefused when its data hold somebody who was
    erased and is to train nothing more.
    """
    from pipelines.runs import training_data

    git = Git(place.root)
    try:
        commit = git.tip(name) or git.resolve(name)
    except NotThere:
        raise _no_data(git, name) from None
    training_data.refuse_excluded(place.root, place.state, commit)
    return commit


def _no_data(git: Git, name: str) -> NotThere:
    """Return the refusal of a name that is no run and no commit; a snapshot's id is neither."""
    hint = did_you_mean(name, git.runs()) or "clew ingest, which prints both"
    return NotThere(
        "no data of this name",
        where="--data",
        observed=name,
        expected="a run id or a commit, as clew ingest prints them",
        hint=f"clew lineage {name}, which names its run" if DIGEST.fullmatch(name) else hint,
    )


def _show_verdict(layout: Layout, *, as_json: bool) -> None:
    if not layout.verdict.exists():
        raise NotThere("no verdict here", where=str(layout.verdict), hint="dvc repro")
    verdict = read_json(layout.verdict, Verdict)
    rows = [{"check": name, "outcome": outcome} for name, outcome in verdict.outcomes.items()]
    voice.result(rows, as_json=as_json)
    if refused := run_step.refusal("gate", layout):
        raise refused


def _steps(place: Place, run: str, commit: str, names: tuple[str, ...], done: int, of: int) -> str:
    for number, name in enumerate(names, start=done + 1):
        voice.progress(number, of, name)
        result = runs.step(place.root, place.state, run_id=run, commit=commit, name=name)
        commit = result.commit
    return commit


def _source(place: Place, location: str | None) -> Source:
    source = params.read(place.layout.params).data.source
    if location is None:
        return source
    if location.startswith("s3://"):
        return replace_source(source, "s3", location)
    return replace_source(source, "files", str(Path(location).resolve()))


def replace_source(source: Source, kind: str, location: str) -> Source:
    """Return a source of the same settings at another place."""
    import msgspec

    changed: Source = msgspec.structs.replace(source, kind=kind, location=location, query=None)
    return changed
