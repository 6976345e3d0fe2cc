"""Events as a graph: runs of steps, versions of datasets, and every id that each is known by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.lineage.facets import PRODUCER
from pipelines.lineage.job import run_uuid

Key = tuple[str, str, str]
OURS = PRODUCER.rpartition(":")[0]
STATES = {"START": "started", "COMPLETE": "complete", "FAIL": "failed", "ABORT": "aborted"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one dataset, its ids, the paths all its versions have, and its files."""

    namespace: str
    name: str
    version: str
    ids: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    files: frozenset[Key] = frozenset()

    @property
    def key(self) -> Key:
        return (self.namespace, self.name, self.version)


@dataclass(frozen=True, slots=True)
class StepRun:
    """One run of one step: what it read and made, for which run, and how it ended."""

    id: str
    step: str
    run: str
    commit: str
    airflow_run: str
    started: str
    state: str
    inputs: tuple[Key, ...] = ()
    outputs: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """All step runs and dataset versions, and what each id names: ("run" or "version", key)."""

    runs: dict[str, StepRun] = field(default_factory=dict)
    versions: dict[Key, Version] = field(default_factory=dict)
    makers: dict[Key, list[str]] = field(default_factory=dict)
    readers: dict[Key, list[str]] = field(default_factory=dict)
    known_by: dict[str, set[tuple[str, Any]]] = field(default_factory=dict)

    def made_by(self, key: Key) -> list[str]:
        """Return the step runs that made a version themselves."""
        made = self.makers.get(key, [])
        return [name for name in made if self.runs[name].state != "cached"] or made

    def read_by(self, key: Key) -> list[str]:
        """Return the step runs that read a version."""
        return self.readers.get(key, [])

    def led_to(self, run: StepRun) -> list[str]:
        """Return the runs whose outputs a run read: of its own whole run, else who made them."""
        found = []
        for key in run.inputs:
            before = [each for each in self.makers.get(key, []) if self._before(each, run)]
            own = [name for name in before if run.run and self.runs[name].run == run.run]
            made = [name for name in before if self.runs[name].state != "cached"]
            found += own + [name for name in made if not own or self._all_cached(own)]
        return found

    def came_of(self, run: StepRun) -> list[str]:
        """Return the runs that a run led to, which is more than having read the same content."""
        readers = {name for key in run.outputs for name in self.read_by(key)}
        return [name for name in readers if run.id in self.led_to(self.runs[name])]

    def _before(self, name: str, run: StepRun) -> bool:
        return name != run.id and self.runs[name].started <= run.started

    def _all_cached(self, names: Iterable[str]) -> bool:
        return all(self.runs[name].state == "cached" for name in names)


@dataclass(frozen=True, slots=True)
class Thread:
    """What leads to an id and what comes of it: step runs, oldest first, and their datasets."""

    identity: str
    runs: tuple[StepRun, ...]
    versions: dict[Key, Version]
    start: frozenset[tuple[str, Any]]


def build(events: Sequence[Mapping[str, Any]]) -> Graph:
    """Return the graph of Clew's own events; another producer's name no versions and are left."""
    graph = Graph()
    for event in events:
        if str(event.get("producer", "")).startswith(OURS):
            _add(graph, event)
    for run in list(graph.runs.values()):
        _know_run(graph, run)
        graph.runs[run.id] = run = _with_files_read_alone(graph, run)  # noqa: PLW2901
        for key in run.inputs:
            graph.readers.setdefault(key, []).append(run.id)
        for key in run.outputs:
            graph.makers.setdefault(key, []).append(run.id)
    for key, version in graph.versions.items():
        for identity in version.ids | version.paths:
            graph.known_by.setdefault(identity, set()).add(("version", key))
    return graph


def _add(graph: Graph, event: Mapping[str, Any]) -> None:
    """Take one event in: its datasets' versions, and its run, which later events bring on."""
    made = [_version(each) for each in event.get("outputs", ())]
    outputs = [each for each in made if each.version]
    inputs = [_version(each) for each in event.get("inputs", ())]
    for each in (*inputs, *outputs):
        known = graph.versions.get(each.key)
        ids = each.ids | (known.ids if known else frozenset())
        graph.versions[each.key] = replace(each, ids=ids)
    run_id, about = event["run"]["runId"], event["run"].get("facets", {})
    former = graph.runs.get(run_id)
    whole = about.get("clew_run", {})
    graph.runs[run_id] = StepRun(
        id=run_id,
        step=event["job"]["name"],
        run=whole.get("id", ""),
        commit=whole.get("commit", ""),
        airflow_run=whole.get("airflowRunId", ""),
        started=former.started if former else event["eventTime"],
        state=_state(event, about),
        inputs=tuple(each.key for each in inputs),
        outputs=tuple(each.key for each in outputs),
    )


def _state(event: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    state = STATES.get(str(event.get("eventType")), "started")
    if state != "complete":
        return state
    verdicts = [each["facets"].get("clew_verdict") for each in event.get("outputs", ())]
    blocked = [name for each in verdicts if each for name in each["blockedBy"]]
    if blocked:
        return f"blocked by {', '.join(blocked)}"
    return "cached" if about.get("clew_cached", {}).get("cached") else "complete"


def _version(dataset: Mapping[str, Any]) -> Version:
    about = dataset.get("facets", {})
    number = str(about.get("version", {}).get("datasetVersion", ""))
    digest, record = about.get("clew_digest", {}), about.get("clew_record", {})
    model = about.get("clew_model", {})
    name = f"{dataset['name']}/{number}" if number and ":" not in number else ""
    ids = {
        number.removeprefix("sha256:") if ":" in number else name,
        digest.get("dvcMd5"),
        *digest.get("files", {}).values(),
        record.get("recordId"),
        *record.get("digests", ()),
        model.get("candidateId") if record.get("recordType") == "ModelVersion" else None,
    }
    files = {f"{dataset['name']}/{file}": sha for file, sha in digest.get("files", {}).items()}
    return Version(
        dataset["namespace"],
        dataset["name"],
        number,
        frozenset(each for each in ids if each),
        frozenset({dataset["name"], *files} if number else ()),
        frozenset((dataset["namespace"], file, f"sha256:{sha}") for file, sha in files.items()),
    )


def _with_files_read_alone(graph: Graph, run: StepRun) -> StepRun:
    """Return a run whose outputs count those files of a folder that a step reads by themselves."""
    files = {file for key in run.outputs for file in graph.versions[key].files}
    alone = sorted(file for file in files - set(run.outputs) if file in graph.versions)
    return replace(run, outputs=(*run.outputs, *alone))


def _know_run(graph: Graph, run: StepRun) -> None:
    whole = {run.run, str(run_uuid(run.run))} if run.run else set()
    for identity in {run.id, run.commit, run.airflow_run, *whole} - {""}:
        graph.known_by.setdefault(identity, set()).add(("run", run.id))
