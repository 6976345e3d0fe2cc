"""The thread: from any id, upstream to what it came from and downstream to what came of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.lineage.graph import Graph, StepRun, Thread, Version, build

SHOWN = 12
CANDIDATES_SHOWN = 10
SHORTEST = 4

log = logging.getLogger("clew.lineage")


def follow(path: Path, identity: str) -> Thread:
    """Return the thread through whatever `identity` names in the events of a file.

    Raises NotThere when nothing is known by that id, BadRequest when its beginning fits several.
    """
    return thread(build(read(path)), identity)


def read(path: Path) -> list[Mapping[str, Any]]:
    """Return the events of a file, oldest first. A line that a crash cut off is told and skipped.

    Raises NotThere without a file, Unavailable when it cannot be read.
    """
    if not path.exists():
        raise NotThere("no lineage yet", where=str(path), hint="clew retrain")
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise Unavailable("lineage cannot be read", where=str(path)) from error
    events: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line) if line else None
        except ValueError:
            log.warning("lineage: line %d of %s is broken and left out", number, path)
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def thread(graph: Graph, identity: str) -> Thread:
    """Return what leads to `identity` and what comes of it."""
    found, start = resolve(graph, identity)
    runs = {name for kind, name in start if kind == "run"}
    versions = {key for kind, key in start if kind == "version"}
    up = _upstream(graph, runs | {name for key in versions for name in graph.made_by(key)})
    down = _downstream(graph, runs, versions)
    kept = sorted(
        (graph.runs[name] for name in up | down), key=lambda each: (each.started, each.id)
    )
    named = versions | {key for each in kept for key in (*each.inputs, *each.outputs)}
    return Thread(found, tuple(kept), {key: graph.versions[key] for key in sorted(named)}, start)


def resolve(graph: Graph, identity: str) -> tuple[str, frozenset[tuple[str, Any]]]:
    """Return the full id that `identity` begins, and the runs and versions known by it."""
    wanted = identity.removeprefix("sha256:")
    if wanted in graph.known_by:
        return wanted, frozenset(graph.known_by[wanted])
    fits = [full for full in graph.known_by if _begins(wanted, full)]
    if not fits:
        raise NotThere(
            "nothing is known by this id",
            observed=identity,
            expected=f"an id, or its first {SHORTEST} characters or more: of a snapshot, file, "
            "run, commit, candidate, model, verdict or report, or a model version as name/3",
            hint="clew history",
        )
    meant = {frozenset(graph.known_by[full]) for full in fits}
    if len(meant) > 1:
        shown = ", ".join(sorted(fits)[:CANDIDATES_SHOWN])
        more = f" and {len(fits) - CANDIDATES_SHOWN} more" if len(fits) > CANDIDATES_SHOWN else ""
        raise BadRequest(
            "this id is the beginning of several",
            observed=identity,
            expected=f"one of {shown}{more}",
            hint="give more of it",
        )
    return fits[0], meant.pop()


def rows(found: Thread, *, full: bool = False) -> list[dict[str, object]]:
    """Return the thread as one row a step run, oldest first; with whole digests if `full`."""
    return [
        {
            "step": each.step,
            "run": each.run or each.id,
            "time": each.started,
            "inputs": _versions(found, each.inputs, full=full),
            "outputs": _versions(found, each.outputs, full=full),
            "state": each.state,
        }
        for each in found.runs
    ]


def _versions(found: Thread, keys: Iterable[tuple[str, str, str]], *, full: bool) -> object:
    versions = [found.versions[key] for key in keys]
    if full:
        return [
            {"namespace": each.namespace, "name": each.name, "version": each.version}
            | {"ids": sorted(each.ids)}
            for each in versions
        ]
    return ", ".join(label(each) for each in versions)


def label(version: Version) -> str:
    """Return a dataset's version in short: its name, and the beginning of its digest."""
    short = version.version.removeprefix("sha256:")[:SHOWN]
    return f"{version.name}@{short}" if short else version.name


def _begins(wanted: str, full: str) -> bool:
    """Return whether `wanted` may stand for `full`; a path or ``name/3`` has no short form."""
    return len(wanted) >= SHORTEST and "/" not in full and full.startswith(wanted)


def _upstream(graph: Graph, start: Iterable[str]) -> set[str]:
    """Return the step runs that led to those of `start`, and these."""
    return _closure(start, lambda name: graph.led_to(graph.runs[name]))


def _downstream(graph: Graph, runs: set[str], versions: Iterable[Any]) -> set[str]:
    """Return the step runs that came of some runs and dataset versions, and the runs."""
    start = runs | {name for key in versions for name in graph.read_by(key)}
    return _closure(start, lambda name: graph.came_of(graph.runs[name]))


def _closure(start: Iterable[str], following: Any) -> set[str]:  # noqa: ANN401
    seen, open_ends = set[str](), list(start)
    while open_ends:
        name = open_ends.pop()
        if name not in seen:
            seen.add(name)
            open_ends.extend(following(name))
    return seen


__all__ = ["StepRun", "Thread", "Version", "follow", "label", "read", "resolve", "rows", "thread"]
