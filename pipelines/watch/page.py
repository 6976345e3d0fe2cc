"""Draw a report's page, keep it with the version, and let the workspace show it over time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipelines.errors import IntegrityBroken
from pipelines.ports import Registry, WatchLog
from pipelines.release.baseline import Baseline
from pipelines.release.version_files import fetched
from pipelines.typed import read_json
from pipelines.watch import report, workspace
from pipelines.watch.findings import Finding, WatchReport
from pipelines.watch.places import Places, window_of
from pipelines.watch.profile import WindowProfile
from pipelines.watch_params import WatchParams


def profile_of(made: WatchReport, places: Places) -> WindowProfile | None:
    """Return the profile that a report rests on. Raises NotThere, IntegrityBroken."""
    if made.profile_id is None:
        return None
    found = read_json(places.watched.profile(window_of(made).name, made.profile_id), WindowProfile)
    if found.id != made.profile_id:
        raise IntegrityBroken(
            "a stored profile is not the one its report names",
            where=window_of(made).name,
            observed=found.id,
            expected=made.profile_id,
        )
    return found


def baseline_of(made: WatchReport, places: Places, registry: Registry) -> Baseline | None:
    """Return what a report's version was watched against. Raises NotThere, IntegrityBroken."""
    if made.baseline_sha256 is None:
        return None
    places.state.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places.state.temporary) as folder:
        version = registry.version(made.version)
        return read_json(fetched(registry, version, Path(folder) / "version").baseline, Baseline)


def run(
    made: WatchReport,
    places: Places,
    registry: Registry,
    log: WatchLog,
    limits: WatchParams,
    besides: Sequence[Finding] = (),
) -> dict[str, str]:
    """Write the page, keep it with the version and in the workspace; return where it is.

    `besides` are findings about the watch itself, shown first. A second time changes nothing.
    Raises Unavailable, IntegrityBroken.
    """
    profile, baseline = profile_of(made, places), baseline_of(made, places, registry)
    shown = msgspec.structs.replace(made, findings=(*besides, *made.findings))
    content = report.content(shown, profile, baseline)
    page, data = report.write(made, report.snapshot(made, shown, content), places)
    window = window_of(made)
    number = workspace.add(places.workspace, made, content, limits.snapshots)
    address = log.keep(
        registry.version(made.version),
        window.name,
        [page, data, places.watched.report(window.name, made.id)],
        report.metrics(made),
        int(window.end.timestamp() * 1000),
    )
    return {"page": address or str(page), "file": str(page), "snapshot": str(number)}
