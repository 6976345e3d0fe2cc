"""Facts that people declare: purpose, people, limits; and how the watch is set."""

from __future__ import annotations

from msgspec.structs import asdict

from pipelines.canonical import sha256_json
from pipelines.documentation import Documentation
from pipelines.params import Schedules
from pipelines.release.documents.fact import Known, Row, Source, Table, listed, told, under
from pipelines.release.version_files import Declared, VersionFiles
from pipelines.typed import plain, read_json
from pipelines.watch_params import WatchParams


def of_declared(files: VersionFiles) -> Known:
    """Return what was declared when the version was registered."""
    if not files.declared.is_file():
        return {}
    found = read_json(files.declared, Declared)
    return of_people(found.documentation) | of_watch(found.watch, found.schedules)


def of_people(found: Documentation) -> Known:
    """Return what people wrote; what they left empty is not known."""
    source = Source("documentation", sha256_json(plain(found)))
    texts = {name: text for name, text in asdict(found).items() if isinstance(text, str)}
    facts = under("documentation", told(source, **texts))
    if found.residual_risks:
        rows = (Row((r.risk, r.accepted_by, r.because), source) for r in found.residual_risks)
        names = ("risk that remains", "accepted by", "because")
        facts["documentation.residual_risks"] = Table("Residual risks", names, tuple(rows))
    return facts


def of_watch(watch: WatchParams, schedules: Schedules) -> Known:
    """Return how decisions are watched after deployment."""
    found = {"watch": plain(watch), "schedule": schedules.watch_decisions}
    source = Source("watch parameters", sha256_json(found))
    actions = plain(watch.actions)
    bounds = (f"{b.outcome} {b.low:g} to {b.high:g} ({b.of})" for b in watch.bounds)
    facts = told(
        source,
        period=f"every {watch.period}, at {schedules.watch_decisions} (cron, UTC); late after "
        f"{watch.late_hours:g} hours",
        actions=listed(f"{name}: {action}" for name, action in actions.items()),
        bounds=listed(bounds),
        drift=f"Wasserstein {watch.max_wasserstein:g}, PSI {watch.max_psi:g}, Jensen-Shannon "
        f"{watch.max_jensen_shannon:g}, null rate {watch.max_null_rate_change:g}, new values "
        f"{watch.max_new_share:g}; nothing is judged under {watch.min_rows} decisions",
        retrain=f"{schedules.train_model} (cron, UTC), when data land, or when the watch asks",
    )
    return under("watch", facts)
