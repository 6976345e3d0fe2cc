"""Where reports, deeds and Evidently's workspace stand: under the watch's folder of the layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.layout import State, Watched
from pipelines.watch.deeds import Journal
from pipelines.watch.findings import WatchReport
from pipelines.watch.window import Window, between


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one model's watch on this machine."""

    state: State
    model_name: str

    @property
    def watched(self) -> Watched:
        """Reports and profiles, a folder a window."""
        return Watched(self.state.watch / self.model_name)

    @property
    def workspace(self) -> Path:
        """Evidently's workspace, of all models; no model's name starts with a dot."""
        return workspace(self.state)

    def page(self, report: WatchReport) -> Path:
        """Evidently's page of one report."""
        return self._of(report, "evidently.html")

    def data(self, report: WatchReport) -> Path:
        """Evidently's result of one report."""
        return self._of(report, "evidently.json")

    def journal(self, made: WatchReport) -> Journal:
        """Return what was done about the findings of a report's window."""
        return Journal(self.watched.window(window_of(made).name) / "deeds.json")

    def journals(self) -> Iterator[tuple[str, Journal]]:
        """Yield every window that something was done about, with its journal."""
        for path in sorted(self.watched.folder.glob("*/deeds.json")):
            yield path.parent.name, Journal(path)

    def _of(self, report: WatchReport, ending: str) -> Path:
        name = window_of(report).name
        return self.watched.window(name) / f"report-{report.id[:16]}.{ending}"


def workspace(state: State) -> Path:
    """Return the folder of Evidently's workspace."""
    return state.watch / ".evidently"


def targets(state: State) -> Path:
    """Return the secret file of where alerts go: an Apprise URL a line."""
    return state.keys / "alert-targets"


def outcomes(state: State) -> Path:
    """Return the folder in which files of outcomes land."""
    return state.landing / "outcomes"


def window_of(report: WatchReport) -> Window:
    """Return the window that a report is about."""
    return between(report.start, report.end)
