"""The reports of a run, out of the versioned data that its commit names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipelines.layout import State
from pipelines.records import ModelVersion
from pipelines.runs import run

REPORTS: Final = ("validation_report", "evaluation", "plots", "checks", "verdict")


@contextmanager
def of_version(repository: Path, state: State, record: ModelVersion) -> Iterator[Path]:
    """Give the folder of reports of the run that made a version, as long as it is looked at.

    Raises NotThere for a run that is not known here, Unavailable.
    """
    with run.opened(
        repository, state, run_id=record.run_id, commit=record.commit, only=REPORTS
    ) as context:
        yield context.layout.validation_report.parent
    run.finish(repository, state, record.run_id)
