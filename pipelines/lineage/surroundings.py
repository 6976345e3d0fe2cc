"""Where and for whom a step runs: its namespace, run and environment."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from pipelines import params
from pipelines.canonical import sha256_file
from pipelines.errors import ClewError
from pipelines.flow import Step
from pipelines.layout import Layout
from pipelines.lineage import facets
from pipelines.lineage.facets import Facet
from pipelines.records import Candidate, Record

NO_NAMESPACE = "clew"


def namespace(layout: Layout) -> str:
    """Return the model's name, by which its jobs and data are told from another model's.

    Parameters that cannot be read are for the step to refuse; its events still need a namespace.
    """
    try:
        return params.read(layout.params).model_name
    except ClewError:
        return NO_NAMESPACE


def environment(
    step: Step, layout: Layout, stored: Sequence[Record | None] = ()
) -> dict[str, Facet]:
    """Return the environment facet; with the lock, and the trained environment's id, if known."""
    known: dict[str, object] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
    }
    if step.environment == "model" and layout.model_lock.is_file():
        known["lockSha256"] = sha256_file(layout.model_lock)
    candidate = next((each for each in stored if isinstance(each, Candidate)), None)
    if candidate:
        known["environmentId"] = candidate.environment_id
    return {"clew_environment": facets.environment(known)}
