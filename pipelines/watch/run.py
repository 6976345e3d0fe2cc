"""Watch one window of the version in force: read, count, compare, and write down what was found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.canonical import sha256_file
from pipelines.contract import Contract
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import Watched
from pipelines.ledger.log import Ledger
from pipelines.params import Params, WatchParams
from pipelines.ports import Registry
from pipelines.records import Candidate, ModelVersion
from pipelines.release import champion
from pipelines.release.baseline import Baseline
from pipelines.release.policy import Policy
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json
from pipelines.watch import drift
from pipelines.watch.findings import Finding, Status, WatchReport, with_actions
from pipelines.watch.profile import WindowProfile, WindowTally
from pipelines.watch.reading import Reading, read
from pipelines.watch.window import Window


@dataclass(frozen=True, slots=True)
class Watching:
    """The version that is watched, with what it is watched against.

    `baseline` is None for a version that has none.
    """

    version: ModelVersion
    candidate: Candidate
    contract: Contract
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


def in_force(registry: Registry, temporary: Path) -> Watching:
    """Return the champion as it is watched. Raises NotThere without one, IntegrityBroken."""
    with registry.lock():
        found = champion.current(registry)
    if found is None:
        raise NotThere("no version was promoted", where=registry.model_name, hint="clew promote")
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        return watching(fetched(registry, found, Path(folder) / "version"), found)


def watching(files: VersionFiles, version: ModelVersion) -> Watching:
    """Return a version as it is watched, from its checked files."""
    there = files.baseline.is_file()
    return Watching(
        version=version,
        candidate=read_json(files.record, Candidate),
        contract=read_json(files.contract, Contract),
        baseline=read_json(files.baseline, Baseline) if there else None,
        baseline_sha256=sha256_file(files.baseline) if there else None,
    )


def findings(
    asked: Question, baseline: Baseline, reading: Reading, former: WindowProfile | None
) -> Iterator[Finding]:
    """Yield everything that is found in a window."""
    now = reading.profile
    yield from of_window(asked, reading)
    yield from drift.of_columns(now.columns, baseline.columns, baseline.axes, asked.limits)
    yield from drift.of_score(
        now.scored.margins, baseline.scored.margins, baseline.margin_axis, asked.limits
    )
    if former is not None:
        yield from drift.of_former(now.columns, former.columns, baseline.axes, asked.limits)


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
    found: tuple[Finding, ...],
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
        findings=with_actions(found, asked.limits.actions),
        tables={},
    )


def newest(files: Watched, window: Window) -> WatchReport | None:
    """Return the last report of a window; None where it was never watched."""
    path = files.newest(window.name)
    return read_json(path, WatchReport) if path.is_file() else None


def former_profile(files: Watched, window: Window, baseline: str | None) -> WindowProfile | None:
    """Return the profile of the window before, if it was counted along the same baseline."""
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
    return found


def run(
    asked: Question, ledger: Ledger, files: Watched, told: Callable[[str], None]
) -> WatchReport:
    """Watch a window, write profile and report, and return the report.

    Nothing that goes wrong with a window is silent: without a baseline, without decisions or
    without a column the report says so. Raises IntegrityBroken, Unavailable.
    """
    watching, window = asked.watching, asked.window
    if watching.baseline is None:
        made = report(asked, (no_reference(asked),), None, None)
    else:
        reading = read(ledger, window, watching.tally(), {})
        told(f"{reading.profile.decisions} decisions")
        former = former_profile(files, window, watching.baseline_sha256)
        found = tuple(findings(asked, watching.baseline, reading, former))
        made = report(asked, found, reading.profile, former)
        reading.profile.write(files.profile(window.name, reading.profile.id))
    made.write(files.report(window.name, made.id))
    made.write(files.newest(window.name))
    return made
