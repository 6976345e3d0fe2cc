"""A watch that is killed half-way, by SIGKILL: the next one says and tells what it would have."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.apprise_alerts import AppriseTarget
from pipelines.layout import Watched
from pipelines.release.version_files import fetched
from pipelines.watch import alerts, parts, run
from pipelines.watch.deeds import Journal
from pipelines.watch.parts import Folder
from tests.release import cases
from tests.watch import pages
from tests.watch.test_alerts import Inbox, webhook
from tests.watch.world import OCTOBER, World

LIMITS: dict[str, Any] = {"influence_sample": 50, "bootstrap_samples": 100}
AT = ("started", "counted")


@dataclass
class Watcher:
    """Starts processes that watch the world, and kills them."""

    world: World

    def __post_init__(self) -> None:
        version, files = self.world.watching.version, self.world.folder / "version"
        fetched(self.world.bench.registry, version, files)
        record = self.world.folder / "version.json"
        version.write(record)
        self.work = {
            "layout": str(self.world.bench.context.layout.root),
            "version": str(record),
            "files": str(files),
            "ledger": str(self.world.place.folder),
            "watch": str(self.world.files.folder),
            "window": OCTOBER,
            "limits": LIMITS,
        }

    def killed(self, what: str, at: str, **work: object) -> None:
        """Start a process and kill it where it stands, or a random moment after."""
        process = started(what, self.work | work | {"waits": at == "counted"})
        assert process.stdout is not None
        while process.stdout.readline().strip() != at:
            assert process.poll() is None
        if at == "started":
            time.sleep(random.uniform(0.0, 0.3))  # noqa: S311
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)


def started(what: str, work: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a process that watches."""
    words = [sys.executable, "-m", "tests.watch.watcher", what, json.dumps(work)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("at", AT)
def test_a_watch_that_was_killed_leaves_the_next_one_its_report(world: World, at: str) -> None:
    """Killed while it counts, or before it writes, it leaves no half of a report."""
    world.decide(cases.applicants(300, 2))
    Watcher(world).killed("watch", at)
    left = [path.name for path in world.files.folder.rglob("*") if path.is_file()]
    question = world.question(**LIMITS)
    again = run.run(question, world.ledger, world.files, print)
    fresh = run.run(question, world.ledger, Watched(world.folder / "fresh"), print)
    assert fresh.id == again.id
    assert at == "started" or [] == left


@pytest.mark.parametrize("at", AT)
def test_a_part_that_was_killed_is_counted_again(world: World, at: str) -> None:
    """A killed task leaves no half of a part, and tried again it comes to the whole's report."""
    world.decide(cases.applicants(300, 2))
    whole = run.run(world.question(**LIMITS), world.ledger, world.files, print)
    asked, mine = world.question(**LIMITS), world.watching.version.files_sha256
    made = parts.plan(world.ledger, asked.window, 110)
    folder = Folder.of(world.files, asked.window, made.id)
    folder.keep(made)
    size = run.sample_size(asked.limits)
    Watcher(world).killed("part", at, plan=made.id, part=1)
    assert at == "started" or not folder.part(1).exists()
    for number in range(len(made.parts)):
        tally = world.watching.tally()
        parts.count(world.ledger, made, number, mine, tally, size).write(folder.part(number))
    found = folder.counted(made, mine)
    assert 3 == len(found)
    assert whole.id == run.run(asked, world.ledger, world.files, print, found).id


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with webhook() as found:
        yield found


def test_alerts_that_were_cut_short_are_told_once(inbox: Inbox, tmp_path: Path) -> None:
    """Killed while the third message is on its way, the next watch tells that one and the rest."""
    findings = [pages.finding(of=f"column {number}") for number in range(5)]
    made = pages.report_of(*findings)
    report, journal = tmp_path / "report.json", Journal(tmp_path / "deeds.json")
    made.write(report)
    work = {"report": str(report), "journal": str(journal.path), "url": inbox.url}
    inbox.answered = 2
    process = started("alert", work)
    assert inbox.full.wait(60)
    process.kill()
    assert -signal.SIGKILL == process.wait()
    assert 2 == len(inbox.messages)
    inbox.answered = None
    inbox.gone.set()
    done = alerts.deliver(made, journal, [AppriseTarget(inbox.url)], "http://page")
    assert (3, 2, 0) == (done.sent, done.before, done.failed)
    titles = [each["title"] for each in inbox.messages]
    assert sorted(f"Clew: alarm: {each.key}" for each in findings) == sorted(titles)
