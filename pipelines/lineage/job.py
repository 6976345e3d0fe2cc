"""One run of one step as OpenLineage events, each of which can stand alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from pipelines import flow
from pipelines.lineage import columns, facets, quality, surroundings
from pipelines.lineage.datasets import Dataset, of_record, on_disk, record_of
from pipelines.lineage.facets import Facet
from pipelines.ports import Context
from pipelines.records import Record

Event = dict[str, object]
NAMES = uuid5(NAMESPACE_URL, facets.PRODUCER)
WHOLE_RUN = "retrain"


def run_uuid(run_id: str) -> UUID:
    """Return the OpenLineage run id of a whole run, made from the run's own id."""
    return uuid5(NAMES, run_id)


class Job:
    """One run of one step. Its inputs are digested once, before it starts.

    A try again is another run with another id: the standard wants one start and one end a run.
    """

    def __init__(self, step: flow.Step, context: Context, *, is_cached: bool) -> None:
        self.step, self.layout = step, context.layout
        self.namespace = surroundings.namespace(self.layout)
        whole = run_uuid(context.run.id) if context.run else NAMES
        self.run_id = uuid5(whole, f"{step.name} {_now()} {os.getpid()} {os.urandom(8).hex()}")
        self.known = surroundings.environment(step, self.layout) | {
            "clew_cached": facets.cached(is_cached=is_cached)
        }
        if context.run:
            run = context.run
            self.known["parent"] = facets.parent(str(whole), self.namespace, WHOLE_RUN)
            self.known["clew_run"] = facets.run(run.id, run.commit, run.airflow_run_id)
        self.inputs = [on_disk(self.layout, name, self.namespace) for name in step.reads]

    def started(self) -> Event:
        """Return the start: versions of the inputs, names of the outputs."""
        named = [Dataset(self.namespace, flow.path(name)).event() for name in self.step.writes]
        return self._event("START", [each.event() for each in self.inputs], named)

    def failed(self, error: BaseException) -> Event:
        """Return the failure. What may lie at the outputs' places is not claimed as made."""
        known = {"errorMessage": facets.error_message(error)}
        return self._event("FAIL", [each.event() for each in self.inputs], [], known)

    def completed(self, record: object) -> Event:
        """Return the end: inputs, outputs as they are on disk, and what the record adds."""
        stored = [record_of(self.layout, name) for name in self.step.writes]
        further = [of_record(each) for each in (record, *stored) if each is not None]
        more_read = [each.event() for read, _ in further for each in read]
        more_made = [each.event() for _, made in further for each in made]
        return self._event(
            "COMPLETE",
            _once([*self._read(), *more_read]),
            _once([*self._made(stored), *more_made]),
            surroundings.environment(self.step, self.layout, stored),
        )

    def _read(self) -> list[Event]:
        tested = quality.of(self.step.name, self.layout)
        return [
            each.event({"inputFacets": tested} if each.name == quality.TESTED and tested else {})
            for each in self.inputs
        ]

    def _made(self, stored: Sequence[Record | None]) -> list[Event]:
        made = [on_disk(self.layout, name, self.namespace) for name in self.step.writes]
        return [
            each.event(
                {
                    "facets": dict(each.facets)
                    | columns.of(self.step.name, self.inputs, each, stored),
                    "outputFacets": dict(each.output_facets),
                }
            )
            for each in made
        ]

    def _event(
        self,
        kind: str,
        inputs: Sequence[Event],
        outputs: Sequence[Event],
        known: Mapping[str, Facet] | None = None,
    ) -> Event:
        about = {
            "jobType": facets.job_type(self.step.kind),
            "documentation": facets.documentation(self.step.summary),
        }
        run_facets = {**self.known, **(known or {})}
        return {
            "eventType": kind,
            "eventTime": _now(),
            "producer": facets.PRODUCER,
            "schemaURL": facets.EVENT_SCHEMA,
            "run": {"runId": str(self.run_id), "facets": run_facets},
            "job": {"namespace": self.namespace, "name": self.step.name, "facets": about},
            "inputs": list(inputs),
            "outputs": list(outputs),
        }


def _once(datasets: Sequence[Event]) -> list[Event]:
    """Return each dataset once: a step may return the very record that it stored."""
    return list({(str(each["namespace"]), str(each["name"])): each for each in datasets}.values())


def _now() -> str:
    return datetime.now(UTC).isoformat()
