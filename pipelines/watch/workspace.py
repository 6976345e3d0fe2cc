"""Evidently's workspace: one project a model, one snapshot a window, figures over time.

A snapshot's id is made of its window's end and its report's model, so watching a window again
replaces its snapshot, and sorting ids sorts windows. Only the last windows are kept: Evidently
loads all of them to open. Its pages put text raw into a script, so "<" never gets in here.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pipelines.canonical import sha256_json
from pipelines.environments import locked
from pipelines.release.reports import STANDS_FOR_LESS
from pipelines.watch.evidently_metrics import snapshot
from pipelines.watch.findings import WatchReport
from pipelines.watch.places import window_of
from pipelines.watch.report import about, values

INSTEAD_OF_LESS: Final = "\u2039"
SERIES: Final = 12
SHOWN_FIRST: Final = ("watch", "window", "bounds", "score", "drift", "bias", "performance")
NAMESPACE: Final = uuid.UUID("b4a1d7de-5f0c-5a0e-9d7c-0d0f7a7c1e01")


def project_id(model_name: str) -> uuid.UUID:
    """Return the id of a model's project, the same on every machine."""
    return uuid.uuid5(NAMESPACE, model_name)


def snapshot_id(made: WatchReport) -> uuid.UUID:
    """Return the id of a window's snapshot: a UUID of version 7 at the window's end."""
    at = int(window_of(made).end.timestamp() * 1000)
    digest = hashlib.sha256(f"{made.model_name} {made.start} {made.end}".encode()).digest()
    low = int.from_bytes(digest[:10], "big")
    bits = at << 80 | 7 << 76 | (low >> 68 & 0xFFF) << 64 | 0b10 << 62 | low & ((1 << 62) - 1)
    return uuid.UUID(int=bits)


def harmless(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a page's content whose texts hold neither "<" nor what stands for it."""
    text = json.dumps(shown, ensure_ascii=False)
    plain: dict[str, Any] = json.loads(text.replace(STANDS_FOR_LESS, INSTEAD_OF_LESS))
    return plain


def add(folder: Path, made: WatchReport, shown: dict[str, Any], keep: int) -> uuid.UUID:
    """Put a window's snapshot into the workspace, draw its dashboard anew, drop what is too old.

    `shown` is the page's content. Its tests are left out: they are most of a snapshot's size, and
    Evidently's dashboards draw none. Returns the snapshot's id. Other processes wait: Evidently's
    own files have no lock.
    """
    from evidently.ui.workspace import Workspace

    folder.mkdir(parents=True, exist_ok=True)
    kept = snapshot(harmless(shown), (), **about(made))
    number, project = snapshot_id(made), project_id(made.model_name)
    with locked(folder.with_name(f"{folder.name}.lock")):
        workspace = Workspace(str(folder))
        _ensure_project(workspace, project, made.model_name)
        workspace.state.write_snapshot(project, number, kept.to_snapshot_model())
        workspace.save_dashboard(project, dashboard(made))
        for old in sorted(workspace.list_runs(project))[:-keep]:
            workspace.delete_run(project, old)
    return number


def _ensure_project(workspace: Any, number: uuid.UUID, name: str) -> None:  # noqa: ANN401
    from evidently.sdk.models import ProjectModel

    if workspace.get_project(number) is None:
        workspace.add_project(ProjectModel(id=number, name=name))


def dashboard(made: WatchReport) -> Any:  # noqa: ANN401 - Evidently's own
    """Return the whole dashboard of a model: a line chart a check and measure.

    It is built whole and with ids of its own: Evidently's functions that add or delete one panel
    repeat ids and delete panels of others.
    """
    from evidently.sdk.models import DashboardModel, DashboardTabModel

    found = values(made)
    checks = sorted(found, key=lambda each: (_rank(each), each))
    panels = [
        panel
        for check in checks
        for measure in dict.fromkeys(str(row[1]) for row in found[check])
        for panel in [_panel(check, measure, [str(r[0]) for r in found[check] if r[1] == measure])]
    ]
    tab = DashboardTabModel(
        id=_named(made.model_name), title=made.model_name, panels=[each.id for each in panels]
    )
    return DashboardModel(tabs=[tab], panels=panels)


def _rank(check: str) -> int:
    return SHOWN_FIRST.index(check) if check in SHOWN_FIRST else len(SHOWN_FIRST)


def _panel(check: str, measure: str, of: Iterable[str]) -> Any:  # noqa: ANN401
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    names = list(of)
    lines = [
        PanelMetric(
            legend=each,
            metric="FindingValue",
            metric_labels={"check": check, "measure": measure, "of": each, "column": "value"},
        )
        for each in map(_plain, names[:SERIES])
    ]
    left = len(names) - len(lines)
    said = f"the first {SERIES}; {left} more stand in the reports" if left else None
    panel = line_plot_panel(f"{check}: {measure}", lines, description=said, size="half")
    return panel.copy(update={"id": _named(f"{check}/{measure}")})


def _plain(text: str) -> str:
    return text.replace("<", INSTEAD_OF_LESS)


def _named(text: str) -> uuid.UUID:
    return uuid.UUID(sha256_json(text)[:32], version=5)
