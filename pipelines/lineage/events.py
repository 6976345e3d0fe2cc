"""OpenLineage run events of the steps: start, then complete or fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines import flow
from pipelines.errors import ClewError, Unavailable
from pipelines.lineage.job import Job
from pipelines.ports import Context, Lineage

log = logging.getLogger("clew.lineage")


@dataclass(slots=True)
class Watched:
    """A step under observation; it is told the record that the step returned."""

    record: object = None

    def result(self, record: object) -> None:
        """Keep the step's record: a model version or a promotion is in no file of the checkout."""
        self.record = record


@contextmanager
def observed(step: flow.Step, context: Context, sink: Lineage) -> Iterator[Watched]:
    """Tell `sink` that `step` starts, and then how it ended.

    Raises Unavailable before the step starts when the start cannot be told. Once the step has
    worked its result stands: an end that cannot be told is a warning, and the thread shows the
    step as started only. What the step raises passes through unchanged.
    """
    job = Job(step, context, is_cached=False)
    _tell_start(job, sink)
    watched = Watched()
    try:
        yield watched
    except BaseException as error:
        with _never_in_the_way(step.name):
            sink.emit(job.failed(error))
        raise
    with _never_in_the_way(step.name):
        sink.emit(job.completed(watched.record))


def cached(step: flow.Step, context: Context, sink: Lineage) -> None:
    """Tell `sink` of a step whose outputs were there already, so that it did not run again."""
    job = Job(step, context, is_cached=True)
    _tell_start(job, sink)
    with _never_in_the_way(step.name):
        sink.emit(job.completed(None))


def _tell_start(job: Job, sink: Lineage) -> None:
    try:
        sink.emit(job.started())
    except OSError as error:
        raise Unavailable(
            "lineage cannot be written, so the step does not start",
            where=job.step.name,
            observed=error.strerror or type(error).__name__,
            expected="events that reach their file",
            hint="clew doctor",
        ) from error


@contextmanager
def _never_in_the_way(step: str) -> Iterator[None]:
    """Log what cannot be told: the step has worked by now, or its own error is what counts."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the step's outcome stands
        what = str(error) if isinstance(error, ClewError) else type(error).__name__
        log.warning("the end of %s is missing in the lineage: %s", step, what)
