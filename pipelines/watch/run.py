"""Watch one window of the version in force: read, count, compare, and write down what was found."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.decisions import readback
from pipelines.decisions.load import LoadedModel, load
from pipelines.decisions.readback import ReadBack
from pipelines.errors import GateRefused, IntegrityBroken, NotThere
from pipelines.layout import Watched
from pipelines.ledger.log import Ledger
from pipelines.params import DecideParams, Params
from pipelines.ports import Registry
from pipelines.records import Json, ModelVersion
from pipelines.release import champion
from pipelines.release.baseline import Baseline
from pipelines.release.influence import Influenced, influences
from pipelines.release.policy import Policy
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import plain, read_json
from pipelines.watch import bias, bounds, domain, drift, influence, outcomes, performance
from pipelines.watch.bounds import Point
from pipelines.watch.findings import Finding, Status, WatchReport, with_actions
from pipelines.watch.parts import Counted, joined
from pipelines.watch.profile import WindowProfile, WindowTally
from pipelines.watch.reading import Reading, Sample, read
from pipelines.watch.samples import sampled
from pipelines.watch.window import Window
from pipelines.watch_params import WatchParams

FIGURES: Final = "influence_figures"


@dataclass(frozen=True, slots=True)
class Watching:
    """The version that is watched, with what it is watched against.

    `baseline` is None for a version that has none, `model` for one that gives no reasons.
    """

    version: ModelVersion
    contract: Contract
    model: LoadedModel | None
    baseline: Baseline | None
    baseline_sha256: str | None

    def tally(self) -> WindowTally:
        """Return what counts decisions along this version's baseline."""
        if self.baseline is None or self.baseline_sha256 is None:
            raise NotThere(
                "the version has nothing that it could be watched against",
                where=f"{self.version.model_name} version {self.version.version}",
                hint="clew retrain",
            )
        model = self.version.model_sha256
        return WindowTally(self.baseline, self.baseline_sha256, self.contract, model)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the window of a version, under which params and pack."""

    watching: Watching
    window: Window
    params: Params
    policy: Policy

    @property
    def limits(self) -> WatchParams:
        return self.params.watch


def in_force(registry: Registry, settings: DecideParams, temporary: Path) -> Watching:
    """Return the champion as it is watched. Raises NotThere without one, IntegrityBroken."""
    with registry.lock():
        found = champion.current(registry)
    if found is None:
        raise NotThere("no version was promoted", where=registry.model_name, hint="clew promote")
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        return watching(fetched(registry, found, Path(folder) / "version"), found, settings)


def watching(files: VersionFiles, version: ModelVersion, settings: DecideParams) -> Watching:
    """Return a version as it is watched, from its checked files."""
    there = files.baseline.is_file()
    try:
        model = load(files, version, settings)
    except GateRefused:
        model = None
    return Watching(
        version=version,
        contract=read_json(files.contract, Contract),
        model=model,
        baseline=read_json(files.baseline, Baseline) if there else None,
        baseline_sha256=sha256_file(files.baseline) if there else None,
    )


@dataclass
class Found:
    """What is gathered on the way: findings, and tables for the report."""

    findings: list[Finding] = field(default_factory=list)
    tables: dict[str, Json] = field(default_factory=dict)

    def take(self, found: tuple[Iterable[Finding], Json], name: str) -> None:
        """Take the findings and the table of one check."""
        self.findings += found[0]
        self.tables[name] = found[1]


@dataclass(frozen=True, slots=True)
class Former:
    """What the window before came to: its profile, and how attributes drove its scores."""

    profile: WindowProfile
    figures: tuple[Influenced, ...]


def look(
    asked: Question,
    baseline: Baseline,
    reading: Reading,
    former: Former | None,
    points: Sequence[Point],
) -> Found:
    """Ask every question of a window."""
    now, limits, found = reading.profile, asked.limits, Found()
    found.findings += of_window(asked, reading)
    found.findings += drift.of_columns(now.columns, baseline.columns, baseline.axes, limits)
    margins = now.scored.margins, baseline.scored.margins
    found.findings += drift.of_score(*margins, baseline.margin_axis, limits)
    if former is not None:
        columns = former.profile.columns
        found.findings += drift.of_former(now.columns, columns, baseline.axes, limits)
    found.take((bounds.findings(now, baseline, limits), []), "bands")
    found.tables["bands"] = bounds.band_table(now, baseline, limits)
    point = bounds.point(now, asked.window.start.isoformat())
    found.take(bounds.control(point, points, baseline, limits), "control")
    found.take(bias.findings(now, asked.policy, limits), "bias")
    found.tables["groups"] = bias.side_by_side(now, baseline, limits)
    found.tables["ll144_summary"] = bias.ll144_summary(now)
    found.take(influence.of_reasons(now, limits), "first_reasons")
    _influence(asked, reading, baseline, former, found)
    found.take(performance.judge(now, baseline, limits), "performance")
    return found


def _influence(
    asked: Question, reading: Reading, baseline: Baseline, former: Former | None, found: Found
) -> None:
    """Ask the model what moves the score; a version that cannot tell is an error."""
    model, limits = asked.watching.model, asked.limits
    if model is None:
        said = "the version gives no reasons, so what moves its score cannot be told"
        missing = Finding(check="influence", of="score", measure="", status="error", said=said)
        found.take(((missing,), []), "influence")
        return
    own, contract = asked.watching.version.model_sha256, asked.watching.contract
    sample = sampled(reading.sample, contract, own)
    explainer = model.reasons.explainer
    moved = list(influences(sample, explainer, contract, limits.max_association))
    found.take(influence.of_score(moved, limits), "influence")
    now = influence.kept(moved, reading.profile, limits)
    found.tables[FIGURES] = plain(now)
    found.findings += influence.since(now, baseline.influence, "registered", limits)
    if former is not None:
        found.findings += influence.since(now, former.figures, "former_window", limits)


def _domain(asked: Question, ledger: Ledger, now: Sequence[ReadBack]) -> list[Finding]:
    """Ask a classifier, where the params want it; it needs people of the window before."""
    if asked.limits.max_domain_auc is None:
        return []
    sample, window = Sample(domain.SAMPLE), asked.window.former
    for page in readback.between(ledger, window.start, window.end):
        sample.add(page.decisions)
    names = [each.name for each in asked.watching.contract.by_role("feature")]
    sides = [[e.made.decided.values or {} for e in each] for each in (now, sample.taken())]
    return domain.findings(sides[0], sides[1], names, asked.limits)


def of_window(asked: Question, reading: Reading) -> Iterator[Finding]:
    """Yield what is to be said of the window as such."""
    now, least = reading.profile, asked.limits.min_rows
    enough: Status = "ok" if now.decisions >= least else "not-enough-data"
    yield Finding(
        check="window",
        of="decisions",
        measure="count",
        status="alarm" if now.decisions == 0 else enough,
        said=f"{now.decisions} decisions, {now.erased} more are erased; judged from {least} on",
        value=now.decisions,
        bound=least,
        n=now.decisions,
    )
    if reading.steps_back:
        yield Finding(
            check="window",
            of="clock",
            measure="steps back",
            status="alarm",
            said=f"the clock went back over a minute {reading.steps_back} times: decisions may "
            "stand in the wrong window",
            value=reading.steps_back,
            bound=0,
            n=now.decisions,
        )
    others = now.decisions - now.versions.get(asked.watching.version.model_sha256, 0)
    if others:
        yield Finding(
            check="window",
            of="versions",
            measure="others",
            status="ok",
            said=f"{others} of {now.decisions} decisions were made by other versions: they count "
            "as decisions, and their scores are left out",
            value=others,
            n=now.decisions,
        )


def no_reference(asked: Question) -> Finding:
    """Return the finding that says that nothing could be watched."""
    version = asked.watching.version
    return Finding(
        check="window",
        of="reference",
        measure="there",
        status="error",
        said=f"version {version.version} has no baseline to be watched against: clew retrain",
    )


def report(
    asked: Question,
    found: Found,
    profile: WindowProfile | None,
    former: WindowProfile | None,
) -> WatchReport:
    """Return the report of what was found, bound to what it rests on."""
    return WatchReport(
        model_name=asked.watching.version.model_name,
        version=asked.watching.version.version,
        files_sha256=asked.watching.version.files_sha256,
        baseline_sha256=asked.watching.baseline_sha256,
        start=asked.window.start.isoformat(),
        end=asked.window.end.isoformat(),
        params_sha256=asked.limits.sha256,
        policy=asked.policy.name,
        policy_sha256=asked.policy.sha256,
        profile_id=profile.id if profile else None,
        former_id=former.id if former else None,
        decisions=profile.decisions if profile else 0,
        findings=with_actions(found.findings, asked.limits.actions),
        tables=found.tables,
    )


def newest(files: Watched, window: Window) -> WatchReport | None:
    """Return the last report of a window; None where it was never watched."""
    path = files.newest(window.name)
    return read_json(path, WatchReport) if path.is_file() else None


def former_window(files: Watched, window: Window, baseline: str | None) -> Former | None:
    """Return what the window before came to, if it was counted along the same baseline."""
    before = newest(files, window.former)
    if before is None or before.profile_id is None or before.baseline_sha256 != baseline:
        return None
    found = read_json(files.profile(window.former.name, before.profile_id), WindowProfile)
    if found.id != before.profile_id:
        raise IntegrityBroken(
            "a stored profile is not the one its report names",
            where=window.former.name,
            observed=found.id,
            expected=before.profile_id,
        )
    rows = before.tables.get(FIGURES, [])
    return Former(found, tuple(msgspec.convert(each, Influenced) for each in rows))


def points(files: Watched, window: Window, baseline: str | None) -> list[Point]:
    """Return the former windows of the same length and version on the control chart, in order."""
    found: list[Point] = []
    length = window.end - window.start
    for path in files.every():
        before = read_json(path, WatchReport)
        start, end = (dt.datetime.fromisoformat(each) for each in (before.start, before.end))
        alike = abs((end - start) - length) <= length / 8  # months differ by up to three days
        if alike and end <= window.start and before.baseline_sha256 == baseline:
            last = before.tables.get("control", [])[-1:]
            found += [Point(each["start"], _rates(each), each["people"]) for each in last]
    return sorted(found, key=lambda each: each.start)


def _rates(row: dict[str, Json]) -> dict[str, int]:
    return {name: row[name] for name in bounds.CHARTED}


def sample_size(limits: WatchParams) -> int:
    """Return how many decisions are sampled."""
    return max(domain.SAMPLE if limits.max_domain_auc is not None else 0, limits.influence_sample)


def _whole(asked: Question, ledger: Ledger, size: int) -> Reading:
    window = asked.window
    pages = readback.between(ledger, window.start, window.end)
    return read(pages, asked.watching.tally(), outcomes.labels(ledger, window), Sample(size))


def run(
    asked: Question,
    ledger: Ledger,
    files: Watched,
    told: Callable[[str], None],
    parts: Sequence[Counted] = (),
) -> WatchReport:
    """Watch a window, write profile and report, and return the report.

    `parts` are all parts of the window, counted before; without them it is counted here, in one
    pass, with the same result.

    Nothing that goes wrong with a window is silent: without a baseline, without decisions or
    without a column the report says so. Raises IntegrityBroken, Unavailable.
    """
    watching, window = asked.watching, asked.window
    if watching.baseline is None:
        made = report(asked, Found([no_reference(asked)]), None, None)
    else:
        size = sample_size(asked.limits)
        reading = joined(ledger, parts, size) if parts else _whole(asked, ledger, size)
        told(f"{reading.profile.decisions} decisions in {len(parts) or 1} parts")
        former = former_window(files, window, watching.baseline_sha256)
        chart = points(files, window, watching.baseline_sha256)
        found = look(asked, watching.baseline, reading, former, chart)
        found.findings += _domain(asked, ledger, reading.sample)
        made = report(asked, found, reading.profile, former.profile if former else None)
        reading.profile.write(files.profile(window.name, reading.profile.id))
    made.write(files.report(window.name, made.id))
    made.write(files.newest(window.name))  # last: what it names is there, whenever it is
    return made
