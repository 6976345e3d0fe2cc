"""The command `document`: write a version's documents from its records."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.inventory import newest_reports
from pipelines.cli.options import Place, here
from pipelines.errors import BadRequest

if TYPE_CHECKING:
    from pipelines.records import ModelVersion
    from pipelines.release.documents.fact import Known
    from pipelines.release.documents.template import Document
    from pipelines.release.version_files import VersionFiles

FORMATS = click.Choice(("md", "html"))


@click.command()
@click.argument("kind")
@click.argument("version")
@click.option("--format", "form", type=FORMATS, default="md", help="Markdown or one HTML page.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
@click.option("--strict", is_flag=True, help="Exit 2 when anything is MISSING.")
def document(kind: str, version: str, form: str, out: Path | None, strict: bool) -> None:
    """Write a document of VERSION; KIND is model-card or technical-documentation.

    What people have to say stands in params.yaml, under documentation; as it is now, not as it was
    when the version was registered. What is unknown says MISSING.
    """
    from pipelines.release.documents.write import FORMATS as WRITERS

    made = _made(here(), kind, version)
    text = WRITERS[form](made)
    if out:
        out.write_text(text, encoding="utf-8")
        voice.note(f"wrote {out}")
    else:
        click.echo(text)
    voice.note(made.summary)
    if strict and made.missing:
        raise BadRequest(
            "something is not known",
            observed=", ".join(each.label for each in made.missing),
            expected="every field filled",
            hint="params.yaml: documentation",
        )


def _made(place: Place, kind: str, version: str) -> Document:
    from pipelines.release.documents import standing, template, write
    from pipelines.release.documents.declared import of_people
    from pipelines.release.version_files import fetched

    template.read(kind)  # a kind that is none is refused before anything is asked for
    settings = params.read(place.layout.params)
    registry = wiring.registry(place.state)(settings.model_name)
    found = registry.version(version)
    with tempfile.TemporaryDirectory() as folder:
        files = fetched(registry, found, Path(folder) / "version")
        known = write.known(files) | _watched(place, found, files)
    said = {name: fact for name, fact in known.items() if not name.startswith("documentation.")}
    known = said | of_people(settings.documentation) | standing.of_version(registry, found)
    return write.document(kind, known, f"{found.model_name} version {found.version}")


def _watched(place: Place, found: ModelVersion, files: VersionFiles) -> Known:
    """Return what the watch last found of a version, for the risk register too."""
    from pipelines.release.documents.fact import SHORT, Source, told, under
    from pipelines.release.documents.judged import risks

    made = newest_reports(place, found.model_name).get(found.version)
    if made is None or made.files_sha256 != found.files_sha256:
        return {}
    last = f"{made.start} to {made.end}: {len(made.alarms)} alarms, asks for {made.action}"
    # Findings stand the worst first, so the first of each check is how it came out.
    worst = {each.check: each.status for each in reversed(made.findings)}
    shown = {name: f"{status} (report {made.id[:SHORT]})" for name, status in worst.items()}
    return under("watch", told(Source("watch report", made.id), last=last)) | risks(files, shown)
