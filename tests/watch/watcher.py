"""A process that watches and is killed: ``python -m tests.watch.watcher WHAT WORK``, WORK as JSON.

It prints a line where it stands, and waits there when it is told to: the one who started it kills
it then.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from pipelines.adapters.apprise_alerts import AppriseTarget
from pipelines.layout import Layout, Watched
from pipelines.params import DecideParams
from pipelines.params import read as read_params
from pipelines.records import ModelVersion
from pipelines.release import policy
from pipelines.release.version_files import VersionFiles
from pipelines.typed import read_json
from pipelines.watch import alerts, parts, run, window
from pipelines.watch.deeds import Journal
from pipelines.watch.findings import WatchReport
from pipelines.watch.parts import Folder
from pipelines.watch_params import WatchParams
from tests.ledger.places import SqlitePlace
from tests.release import cases


class Opened(SqlitePlace):
    """A ledger that another process made."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened, self.stores = folder, [], []


def stand(where: str, waits: bool) -> None:
    """Print where the process is, and wait there to be killed."""
    print(where, flush=True)  # noqa: T201
    while waits:
        time.sleep(1)


def question(work: dict[str, Any]) -> run.Question:
    """Return what is asked."""
    layout, version = Layout(Path(work["layout"])), read_json(Path(work["version"]), ModelVersion)
    watched = run.watching(VersionFiles(Path(work["files"])), version, DecideParams())
    limits = WatchParams(**work["limits"])
    changed = msgspec.structs.replace(read_params(layout.params), watch=limits)
    pack = policy.read(layout, cases.PACK)
    return run.Question(watched, window.parse(work["window"]), changed, pack)


def main() -> None:
    """Do one piece of work."""
    what, work = sys.argv[1], json.loads(sys.argv[2])
    if what == "alert":
        made = read_json(Path(work["report"]), WatchReport)
        target = AppriseTarget(work["url"])
        alerts.deliver(made, Journal(Path(work["journal"])), [target], "http://page")
        return
    asked = question(work)
    ledger, files = Opened(Path(work["ledger"])).ledger(), Watched(Path(work["watch"]))
    stand("started", waits=False)
    if what == "watch":
        run.run(asked, ledger, files, lambda _: stand("counted", waits=work["waits"]))
        return
    folder = Folder.of(files, asked.window, work["plan"])
    size, mine = run.sample_size(asked.limits), asked.watching.version.files_sha256
    count = partial(parts.count, ledger, folder.plan(work["plan"]), work["part"], mine)
    found = count(asked.watching.tally(), size)
    stand("counted", waits=work["waits"])
    found.write(folder.part(work["part"]))


if __name__ == "__main__":
    main()
