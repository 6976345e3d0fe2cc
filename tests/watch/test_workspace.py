"""Evidently's workspace: a window once, a bounded number of them, a dashboard written whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.watch import report, workspace
from pipelines.watch.findings import WatchReport
from pipelines.watch.window import parse
from tests.watch import pages

EVIL = "</script><script>document.title='XSS'</script>"
MOST_BYTES = 20_000_000
SMALL = {"income": [1.0, 2.0, 3.0] * 50, "job": ["a", "b", EVIL] * 50}


def of_month(name: str, model: str = "applicants") -> tuple[WatchReport, Any]:
    """Return a month's report of small data and its page's content."""
    known = pages.baseline(SMALL)
    now = pages.profile(SMALL, known)
    made = pages.judged(known, now)
    month = parse(name)
    made = pages.report_of(
        *made.findings,
        model_name=model,
        start=month.start.isoformat(),
        end=month.end.isoformat(),
    )
    return made, report.content(made, now, known)


def snapshots(folder: Path, model: str = "applicants") -> list[Path]:
    """Return the files of a model's snapshots, by window."""
    return sorted((folder / str(workspace.project_id(model)) / "snapshots").glob("*.json"))


def test_a_window_watched_again_replaces_its_snapshot(tmp_path: Path) -> None:
    """Killed and run again, or watched late a second time, a window stands there once."""
    made, shown = of_month("2026-10")
    first = workspace.add(tmp_path / "w", made, shown, keep=5)
    assert first == workspace.add(tmp_path / "w", made, shown, keep=5)
    assert [f"{first}.json"] == [each.name for each in snapshots(tmp_path / "w")]
    at = datetime.fromtimestamp((first.int >> 80) / 1000, UTC)
    assert (7, datetime(2026, 11, 1, tzinfo=UTC)) == (first.version, at)


def test_only_the_last_windows_are_kept(tmp_path: Path) -> None:
    """In whatever order months are watched, the latest ones stay, of each model its own."""
    months = ("2026-09", "2026-11", "2026-08", "2026-10", "2026-07")
    made = {name: of_month(name) for name in months}
    for name in months:
        workspace.add(tmp_path / "w", *made[name], keep=3)
    other = of_month("2026-01", "others")
    workspace.add(tmp_path / "w", *other, keep=3)
    kept = {str(workspace.snapshot_id(made[f"2026-{month}"][0])) for month in ("09", "10", "11")}
    assert kept == {each.stem for each in snapshots(tmp_path / "w")}
    assert 1 == len(snapshots(tmp_path / "w", "others"))


def test_no_text_in_the_workspace_can_end_a_script(tmp_path: Path) -> None:
    """Evidently's own pages put text raw into a script: no "<" of ours gets there."""
    made, shown = of_month("2026-10")
    workspace.add(tmp_path / "w", made, shown, keep=3)
    folder = tmp_path / "w"
    texts = [each.read_text() for each in folder.rglob("*.json")]
    assert 3 == len(texts)
    assert [] == [text for text in texts if "<" in text or "\\u003c" in text or "\\ufdd0" in text]
    assert any("\u2039/script>" in json.dumps(json.loads(t), ensure_ascii=False) for t in texts)


def test_the_dashboard_is_written_whole(tmp_path: Path) -> None:
    """However often windows are added, each panel stands in its tab once and draws our values."""
    from evidently.ui.workspace import Workspace

    for month in ("2026-09", "2026-10"):
        made, shown = of_month(month)
        workspace.add(tmp_path / "w", made, shown, keep=3)
    found = Workspace(str(tmp_path / "w")).state.read_dashboard(workspace.project_id("applicants"))
    (tab,) = found.tabs
    assert list(tab.panels) == [panel.id for panel in found.panels]
    assert len(set(tab.panels)) == len(tab.panels)
    drawn = {
        (value.metric_labels["check"], value.metric_labels["of"], value.metric_labels["measure"])
        for panel in found.panels
        for value in panel.values
    }
    judged = {(e.check, e.of, e.measure) for e in made.findings if e.value is not None}
    assert {("watch", "alarms", "count"), *judged} == drawn


def test_a_full_workspace_opens_at_once(tmp_path: Path) -> None:
    """As many windows as params keep, of 40 columns each, are small enough to load in under 2 s.

    Evidently loads a megabyte of snapshots in about 0.05 s.
    """
    from evidently.ui.service.storage.local.base import LocalState

    from pipelines.watch_params import WatchParams

    rng = np.random.default_rng(1)
    wide = {f"c{n}": rng.normal(0, 1, 600) for n in range(40)}
    known = pages.baseline(wide)
    now = pages.profile(wide, known)
    made = pages.judged(known, now)
    shown = report.content(made, now, known)
    keep = WatchParams().snapshots
    folder = tmp_path / "w"
    workspace.add(folder, made, shown, keep=keep)
    (first,) = snapshots(folder)
    for number in range(keep + 1):
        month = parse(f"{2020 + number // 12}-{number % 12 + 1:02}")
        window = {"start": month.start.isoformat(), "end": month.end.isoformat()}
        copied = workspace.snapshot_id(pages.report_of(*made.findings, **window))
        first.with_name(f"{copied}.json").write_bytes(first.read_bytes())
    workspace.add(folder, made, shown, keep=keep)
    assert keep == len(snapshots(folder))
    loaded = LocalState.load(str(folder), None)
    assert keep == len(loaded.snapshots[next(iter(loaded.projects))])
    assert MOST_BYTES > sum(each.stat().st_size for each in snapshots(folder))
