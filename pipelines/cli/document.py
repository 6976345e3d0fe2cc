"""The command `document`: write a version's documents from its records."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from pipelines import params, wiring
from pipelines.cli import voice
from pipelines.cli.options import Place, here
from pipelines.errors import BadRequest
from pipelines.release.documents.template import Document

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
        known = write.known(fetched(registry, found, Path(folder) / "version"))
    said = {name: fact for name, fact in known.items() if not name.startswith("documentation.")}
    known = said | of_people(settings.documentation) | standing.of_version(registry, found)
    return write.document(kind, known, f"{found.model_name} version {found.version}")
