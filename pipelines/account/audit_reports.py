"""The reports that go into an audit bundle: of each version's run, and of the watch's windows.

They hold aggregates. What has a row for each person stays out: the scores of a run, and the
pictures of a window, which are drawn from a sample of its decisions.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import Watched
from pipelines.records import ModelVersion

KINDS: Final = frozenset({".csv", ".html", ".json", ".md", ".png", ".svg"})
MOST_BYTES: Final = 16_000_000  # of one file
Reports = Callable[[ModelVersion], AbstractContextManager[Path]]


class _Window(msgspec.Struct):
    start: dt.datetime
    end: dt.datetime


def of_version(reports: Reports, record: ModelVersion, into: Path) -> bool:
    """Copy the reports of the run that made a version; say whether there are any.

    `reports` gives a run's folder of them, or raises NotThere for a run that is not known here.
    """
    try:
        with reports(record) as source:
            return sum(_copied(each, source, into) for each in sorted(source.rglob("*"))) > 0
    except NotThere:
        return False


def of_windows(watched: Path, start: dt.datetime, end: dt.datetime, into: Path) -> int:
    """Copy the watch's reports of every window that has part of the period; return how many."""
    found = 0
    for newest in Watched(watched).every():
        window = _window(newest)
        if window.start < end and start < window.end:
            for each in sorted(newest.parent.glob("report-*.json")):
                if not each.name.endswith(".evidently.json"):
                    found += _copied(each, watched, into)
    return found


def _window(newest: Path) -> _Window:
    try:
        return msgspec.json.decode(newest.read_bytes(), type=_Window)
    except msgspec.DecodeError:
        raise IntegrityBroken("a window's report is broken", where=newest.parent.name) from None


def _copied(path: Path, source: Path, into: Path) -> bool:
    if not path.is_file() or path.suffix not in KINDS or path.stat().st_size > MOST_BYTES:
        return False
    target = into / path.relative_to(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return True
