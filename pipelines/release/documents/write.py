"""Documents of one version: what is known of it, and writing them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from pipelines.ports import Registry
from pipelines.records import ModelVersion
from pipelines.release.documents import crosswalk, markdown, page, standing, template
from pipelines.release.documents.changed import of_change
from pipelines.release.documents.data import of_data
from pipelines.release.documents.declared import of_declared
from pipelines.release.documents.fact import Known, under
from pipelines.release.documents.judged import of_verdict
from pipelines.release.documents.metrics import of_evaluation
from pipelines.release.documents.model import of_model
from pipelines.release.documents.template import Document
from pipelines.release.version_files import VersionFiles, fetched, record_id

CARD: Final = "model-card"
IN_FORCE: Final = "documents-in-force"
FORMATS: Final = {"md": markdown.write, "html": page.write}


def known(files: VersionFiles) -> Known:
    """Return everything that a version's own files say of it."""
    return {
        **of_model(files),
        **of_data(files),
        **under("metrics", of_evaluation(files.metrics)),
        **of_verdict(files),
        **of_change(files),
        **of_declared(files),
    }


def document(kind: str, found: Known, subject: str) -> Document:
    """Return a document of this kind, filled with what is known. Raises NotThere."""
    return template.fill(template.read(kind), found | crosswalk.of_version(found), subject)


def card(files: VersionFiles, model_name: str) -> None:
    """Write the model card into a version's own files, before it has a number."""
    made = document(CARD, known(files), f"{model_name}, candidate {record_id(files.record)[:12]}")
    _write(made, files.documents)


def card_in_force(registry: Registry, version: ModelVersion) -> None:
    """Show the card of a version that was made champion: with its number, approver and history.

    It stands beside the version's own files; the card among them was there when it was approved.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "documents"
        files = fetched(registry, version, Path(name) / "version")
        found = known(files) | standing.of_version(registry, version)
        _write(document(CARD, found, f"{version.model_name} version {version.version}"), folder)
        registry.show(version.version, IN_FORCE, folder)


def _write(made: Document, folder: Path) -> None:
    folder.mkdir()
    for suffix, write in FORMATS.items():
        (folder / f"{CARD}.{suffix}").write_text(write(made), encoding="utf-8")
