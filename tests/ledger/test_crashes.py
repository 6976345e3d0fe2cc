"""Processes killed at random points, and disks that fail: nothing acknowledged is ever lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import Unavailable
from pipelines.ledger import tree, verify
from pipelines.ledger.bundle import copy_log
from pipelines.ledger.note import Checkpoint, Verifier, opened
from tests.ledger.places import Place, PostgresPlace, SqlitePlace, draft
from tests.ledger.postgres import Cluster
from tests.system import failing_disk

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("CLEW_KILLS", "10"))


class Writer:
    """A process that records, and what it has acknowledged."""

    def __init__(self, place: Place, callers: int = 4, **environment: str) -> None:
        self.folder = place.folder
        self.notes = place.folder / "acknowledged"
        self.seen = len(self.lines())
        where = place.url if isinstance(place, PostgresPlace) else str(place.folder / "ledger.db")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.ledger.writer_process",
                str(place.folder),
                where,
                str(callers),
            ],
            cwd=ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
        )

    def lines(self) -> list[str]:
        if not self.notes.exists():
            return []
        return self.notes.read_text().rpartition("\n")[0].split("\n")

    def wait_for(self, count: int) -> None:
        """Wait until so many more lines are acknowledged."""
        until = time.monotonic() + 60
        while len(self.lines()) - self.seen < count:
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            assert time.monotonic() < until
            time.sleep(0.002)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def check(place: Place, before: Checkpoint | None) -> Checkpoint:
    """Check the log after a crash: all acknowledged is there, verifies, and continues the past."""
    store = place.new_store()
    copy = place.folder / "copy.db"
    copy.unlink(missing_ok=True)
    copy_log(store, copy)
    assert (0, copy) == (verify.verify(copy, place.policy)[0], copy)
    key: Verifier = place.signer.verifier
    now = opened(str(store.note()), key)
    if before is not None:
        leaves = [row.leaf for row in store.rows(0, before.size)]
        assert before.root == tree.grow(0, {}, leaves).root()
    lines = (place.folder / "acknowledged").read_text().rpartition("\n")[0].split("\n")
    acknowledged = [line.split() for line in lines if line[0].isdigit()]
    ids = {row.seq: row.id.hex() for row in store.rows(0, now.size)}
    store.close()
    assert [] == [line for line in acknowledged if ids.get(int(line[0])) != line[1]]
    return now


def killed_at_random(place: Place, times: int) -> tuple[int, int]:
    """Kill a writer so often, check after every kill; return the log's size before and after."""
    now: Checkpoint | None = None
    sizes = []
    for _ in range(times):
        writer = Writer(place)
        writer.wait_for(2)
        time.sleep(random.uniform(0, 0.12))  # noqa: S311
        writer.kill()
        now = check(place, now)
        sizes.append(now.size)
    return sizes[0], sizes[-1]


def test_a_writer_killed_at_random(place: Place) -> None:
    """Killed at random points, the log keeps what it acknowledged, verifies, and goes on."""
    first, last = killed_at_random(place, KILLS)

    assert last > first
    ledger = place.ledger()
    assert last == ledger.record(draft()).index
    for row in ledger.store.rows(max(0, last - 50), last):
        assert b"x" * 500 == ledger.read(row.id).content


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_writer_killed_often(place: Place) -> None:
    """The same, twenty times as often."""
    first, last = killed_at_random(place, 20 * KILLS)

    assert last > first


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PostgresPlace]:
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    cluster = Cluster(folder, durable=True)
    made = PostgresPlace(tmp_path, cluster, "crash")
    yield made
    made.close()
    cluster.stop("immediate")
    shutil.rmtree(folder)


def test_a_database_server_that_crashes(own_server: PostgresPlace) -> None:
    """When the server itself dies, callers are told "unavailable", and nothing is lost."""
    now: Checkpoint | None = None
    for _ in range(max(2, KILLS // 5)):
        writer = Writer(own_server)
        writer.wait_for(5)
        own_server.close()
        own_server.cluster.stop("immediate")
        assert 0 == writer.process.wait(60)
        writer.process.communicate()
        own_server.cluster.start()
        now = check(own_server, now)

        refused = [line for line in writer.lines()[writer.seen :] if line.startswith("refused")]
        assert {"Unavailable"} == {line.split()[1] for line in refused}


def test_a_server_that_comes_back(own_server: PostgresPlace) -> None:
    """A ledger goes on, without being opened anew, once its server is there again."""
    ledger = own_server.ledger()
    ledger.record(draft())
    own_server.cluster.stop("immediate")
    with pytest.raises(Unavailable):
        ledger.record(draft())
    own_server.cluster.start()

    assert 1 == ledger.record(draft()).index


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return failing_disk(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("call", "errno", "path", "told"),
    [
        ("fdatasync", 5, "ledger.db", {"Stopped"}),
        ("pwrite", 5, "ledger.db", {"Stopped"}),
        ("pwrite", 28, "ledger.db", {"Stopped", "Unavailable"}),
        ("pwrite", 5, "guard", {"Unavailable"}),
        ("fdatasync", 5, "keys.db", {"Unavailable"}),
        ("pwrite", 28, "keys.db", {"Unavailable"}),
    ],
    ids=lambda value: str(value) if isinstance(value, (int, str)) else "",
)
def test_a_disk_that_fails(
    tmp_path: Path, shim: Path, call: str, errno: int, path: str, told: set[str]
) -> None:
    """After a failed write or sync the caller is refused, nothing said is lost, the log goes on."""
    place = SqlitePlace(tmp_path)
    trigger = tmp_path / "fail"
    writer = Writer(
        place,
        LD_PRELOAD=str(shim),
        FAIL_WHEN=str(trigger),
        FAIL_CALL=call,
        FAIL_ERRNO=str(errno),
        FAIL_PATH=path,
    )
    writer.wait_for(20)
    trigger.touch()
    assert 0 == writer.process.wait(60)
    writer.process.communicate()
    trigger.unlink()
    now = check(place, None)

    refused = {line.split()[1] for line in writer.lines() if line.startswith("refused")}
    assert refused
    assert refused <= told
    assert now.size == place.ledger().record(draft()).index


def test_nothing_is_acknowledged_after_a_failed_sync(tmp_path: Path, shim: Path) -> None:
    """A writer whose sync failed once refuses for good, even when the disk works again."""
    program = (
        "import sys, pathlib; from tests.ledger.places import SqlitePlace, draft\n"
        "from pipelines.errors import ClewError\n"
        "folder = pathlib.Path(sys.argv[1]); ledger = SqlitePlace(folder).ledger()\n"
        "ledger.record(draft()); (folder / 'fail').touch()\n"
        "for attempt in range(3):\n"
        "    try: print(ledger.record(draft()).index)\n"
        "    except ClewError as error: print(type(error).__name__)\n"
        "    (folder / 'fail').unlink(missing_ok=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        env={
            **os.environ,
            "LD_PRELOAD": str(shim),
            "FAIL_WHEN": str(tmp_path / "fail"),
            "FAIL_CALL": "fdatasync",
            "FAIL_ERRNO": "5",
            "FAIL_PATH": "ledger.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ["Stopped"] * 3 == done.stdout.split(), done.stderr
