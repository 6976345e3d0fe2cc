"""Documents of one version: what is known of it, and writing them."""

from __future__ import annotations

from typing import Final

from pipelines.release.documents import crosswalk, markdown, page, template
from pipelines.release.documents.changed import of_change
from pipelines.release.documents.data import of_data
from pipelines.release.documents.declared import of_declared
from pipelines.release.documents.fact import Known, under
from pipelines.release.documents.judged import of_verdict
from pipelines.release.documents.metrics import of_evaluation
from pipelines.release.documents.model import of_model
from pipelines.release.documents.template import Document
from pipelines.release.version_files import VersionFiles, record_id

CARD: Final = "model-card"
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
    files.documents.mkdir()
    for suffix, write in FORMATS.items():
        (files.documents / f"{CARD}.{suffix}").write_text(write(made), encoding="utf-8")
