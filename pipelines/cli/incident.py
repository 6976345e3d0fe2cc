"""The commands of an incident: open, list, show, roll-back, dry-run, redecide, report, close."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.contest import BY
from pipelines.cli.options import JSON, YES, Group, Place, here, open_ledger, recorder_here
from pipelines.cli.release import REASON
from pipelines.cli.what_if import where
from pipelines.errors import BadRequest

if TYPE_CHECKING:
    from pipelines.account.incident import Did
    from pipelines.decisions.service.in_force import Loaded

WITH = click.option("--with", "version", required=True, help="The version that decides again.")
OUT = click.Path(path_type=Path)


@click.group(cls=Group)
def incident() -> None:
    """Handle a bad model version or snapshot: whom it touched, roll back, decide again, report."""


@incident.command("open")
@click.option("--model-version", help="The version that is bad.")
@click.option("--snapshot", help="Or the id of the snapshot that is bad.")
@click.option("--kind", default="", help="One of the policy pack's kinds; default: its first.")
@click.option("--known-since", help="When it became known, with an offset; default: now.")
@BY
@REASON
@JSON
def open_(
    model_version: str | None,
    snapshot: str | None,
    kind: str,
    known_since: str | None,
    person: str,
    reason: str,
    as_json: bool,
) -> None:
    """Open a dossier; its clock is the policy pack's."""
    from pipelines.account import incident as account
    from pipelines.release import policy

    if (model_version is None) == (snapshot is None):
        raise BadRequest("an incident is about one of --model-version and --snapshot")
    place = here()
    pack = policy.read(place.layout, params.read(place.layout.params).policy)
    name = model_version or snapshot or ""
    target: account.Target = "model-version" if model_version else "snapshot"
    since = _moment(known_since)
    with open_ledger(place.state) as ledger:
        found = account.open_incident(ledger, target, name, kind, person, reason, pack, since)
        touched = account.affected(ledger, found.incident)
    answer = {"incident": found.id, "due": str(found.incident.due), "affected": len(touched)}
    voice.record(answer, as_json=as_json)


@incident.command("list")
@JSON
def list_(as_json: bool) -> None:
    """List all incidents; exit 4 when one was not reported in time."""
    from pipelines.account import incident as account
    from pipelines.account.afterwards import now

    today = now().date()
    with open_ledger(here().state) as ledger:
        found = account.incidents(ledger)
    rows = [
        {
            "incident": each.id,
            "what": f"{each.incident.target} {each.incident.name}",
            "due": str(each.incident.due),
            "days_left": each.left(today),
            "state": "closed" if each.done("closed") else "open",
        }
        for each in found
    ]
    voice.result(rows, as_json=as_json)
    if not rows:
        voice.note("no incident")
    late = account.overdue(found, today)
    if late:
        raise late


@incident.command()
@click.argument("incident_id", metavar="ID")
@click.option("--out", type=OUT, help="A file to write it to: .html, .pdf, .md or .json.")
@JSON
def show(incident_id: str, out: Path | None, as_json: bool) -> None:
    """Show the dossier: the clock, what was done, and the ids of the affected decisions."""
    from pipelines.account import explain, incident_report
    from pipelines.account import incident as account
    from pipelines.account.afterwards import now
    from pipelines.decisions.record import as_number

    at = now().replace(microsecond=0)
    with open_ledger(here().state) as ledger:
        found = account.dossier(ledger, as_number(incident_id))
        touched = account.affected(ledger, found.incident)
    facts = incident_report.facts(found, touched, at.date())
    if out is None:
        _tell(facts, as_json=as_json)
        return
    kind = out.suffix.removeprefix(".")
    if kind == "json":
        out.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    elif kind in explain.FORMATS:
        told = incident_report.report(found, touched, at.date())
        out.write_bytes(explain.render(told, kind, at))
    else:
        raise BadRequest("no such format", observed=kind, expected="html, pdf, md, json")
    voice.record({"dossier": str(out)}, as_json=as_json)


def _tell(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print a dossier; on a terminal without the ids of everybody affected, in one line an act."""
    if as_json:
        voice.record(facts, as_json=True)
        return
    short = facts | {"affected": len(facts["affected"])}
    acts = short.pop("actions")
    voice.record(short, as_json=False)
    rows = [
        {name: each[name] for name in ("at", "did", "person", "reason")}
        | {"came_to": _words(each["came_to"])}
        for each in acts
    ]
    voice.result(rows, as_json=False)


def _figures(told: dict[str, Any], *, as_json: bool) -> None:
    """Print what deciding again came to."""
    if not as_json:
        told |= {name: _words(told[name]) for name in ("moves", "left_alone")}
        told |= {"changed": ", ".join(told["changed"])} if "changed" in told else {}
    voice.record(told, as_json=as_json)


def _words(told: dict[str, Any]) -> str:
    """Return figures as words; digests are for the dossier."""
    flat = {
        name: ", ".join(f"{key}: {count}" for key, count in value.items())
        if isinstance(value, dict)
        else value
        for name, value in told.items()
        if not name.endswith(("_sha256", "_id"))
    }
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in flat.items())


@incident.command("roll-back")
@click.argument("incident_id", metavar="ID")
@BY
@REASON
@YES
def roll_back(incident_id: str, person: str, reason: str, yes: bool) -> None:
    """Take the bad champion out of force. Exit 4 when the one before it is bad as well."""
    from pipelines.account import rollback
    from pipelines.decisions.record import as_number

    place, number = here(), as_number(incident_id)
    context = wiring.context(place.layout, place.state)
    with open_ledger(place.state) as ledger:
        bad, back = rollback.plan(context, ledger, number)
        voice.confirm([f"take out   version {bad}", f"go back to version {back}"], yes=yes)
        champion = rollback.run(context, ledger, number, person, reason)
    voice.record({"champion": champion, "taken_out": bad}, as_json=False)


@incident.command("dry-run")
@click.argument("incident_id", metavar="ID")
@WITH
@BY
@REASON
@JSON
def dry_run(incident_id: str, version: str, person: str, reason: str, as_json: bool) -> None:
    """Decide again about everybody affected without recording a decision: whose would change."""
    from pipelines.account import redecide as account
    from pipelines.decisions.record import as_number

    place, number = here(), as_number(incident_id)
    with _loaded(place, version) as found, open_ledger(place.state) as ledger:
        tally = account.dry_run(ledger, number, found.model, person, reason)
    _figures(tally.told() | {"changed": tally.changed}, as_json=as_json)


@incident.command()
@click.argument("incident_id", metavar="ID")
@WITH
@click.option("--approve", is_flag=True, help="Carry out what the last dry run showed.")
@click.option("--letters", type=OUT, help="A folder for letters to everybody whose changes.")
@click.option("--format", "kind", default="html", help="Of the letters: md, html or pdf.")
@click.option("--language", default="", help="Of the letters; default: params.yaml.")
@BY
@REASON
@JSON
def redecide(
    incident_id: str,
    version: str,
    approve: bool,
    letters: Path | None,
    kind: str,
    language: str,
    person: str,
    reason: str,
    as_json: bool,
) -> None:
    """Decide again for good, as the last dry run showed, by a version that was promoted.

    No approval is taken away and no person's review overruled by it: those go to a person.
    """
    from pipelines.account import explain, notify
    from pipelines.account import redecide as account
    from pipelines.decisions.record import as_number
    from pipelines.decisions.service import settings

    if not approve:
        raise BadRequest(
            "deciding again is for good", expected="--approve", hint="clew incident dry-run"
        )
    place, number = here(), as_number(incident_id)
    known = params.read(place.layout.params)
    if letters is not None:
        explain.checked(known.letter, language, kind)
    notice = settings.read(place.state).contest
    with _loaded(place, version) as found, open_ledger(place.state) as ledger:
        recorder = recorder_here(place, ledger)
        tally = account.redecide(
            recorder, number, found.model, found.origin, notice, person, reason
        )
        written = 0
        if letters is not None:
            office = notify.Office(ledger, where(place), place.layout, known.letter)
            written = notify.run(office, tally.changed, letters, kind, language, person)
    _figures(tally.told() | {"letters": written}, as_json=as_json)


@incident.command()
@click.argument("incident_id", metavar="ID")
@click.option("--to", "whom", required=True, help="Who was told.")
@BY
@REASON
def report(incident_id: str, whom: str, person: str, reason: str) -> None:
    """Record that the incident was reported, which stops its clock."""
    _did(incident_id, "reported", person, reason, {"to": whom})


@incident.command()
@click.argument("incident_id", metavar="ID")
@BY
@REASON
def close(incident_id: str, person: str, reason: str) -> None:
    """Record that nothing is left to do."""
    _did(incident_id, "closed", person, reason, {})


def _did(incident_id: str, did: Did, person: str, reason: str, came_to: dict[str, object]) -> None:
    from pipelines.account import incident as account
    from pipelines.decisions.record import as_number

    with open_ledger(here().state) as ledger:
        made = account.act(ledger, as_number(incident_id), did, person, reason, came_to)
    voice.record({"recorded": made}, as_json=False)


@contextmanager
def _loaded(place: Place, version: str) -> Iterator[Loaded]:
    """Load a version that was promoted once, every digest checked."""
    import tempfile

    from pipelines.decisions.service.in_force import load_promoted
    from pipelines.errors import GateRefused

    known = params.read(place.layout.params)
    registry = wiring.registry(place.state)(known.model_name)
    found = [each for each in registry.promotions() if each.version == version]
    if not found:
        raise GateRefused(
            "only a version that was promoted decides about people",
            observed=version,
            hint="clew history",
        )
    with tempfile.TemporaryDirectory() as folder:
        yield load_promoted(registry, found[-1], known.decide, Path(folder) / "version")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadRequest("not a time with its offset", where="--known-since", observed=text)
    return found
