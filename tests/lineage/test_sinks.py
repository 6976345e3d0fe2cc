"""Where events go: whole lines in a private file, an HTTP server, a spool when it is away."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines import wiring
from pipelines.adapters.openlineage import FileLineage, HttpLineage
from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.lineage import thread

WRITER = """
import sys
from pathlib import Path
from pipelines.adapters.openlineage import FileLineage
sink = FileLineage(Path(sys.argv[1]))
for number in range(50):
    sink.emit({"writer": sys.argv[2], "number": number, "filler": "x" * 20000})
"""


class Server:
    """An OpenLineage server on a free loopback port that keeps what it is sent."""

    def __init__(self, status: int = 201) -> None:
        self.status, self.taken = status, list[dict[str, object]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status < 400:
                    outer.taken.append({"path": self.path, **json.loads(body)})
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@contextmanager
def serving(status: int = 201) -> Iterator[Server]:
    server = Server(status)
    worker = threading.Thread(target=server.http.serve_forever)
    worker.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        worker.join()
        server.http.server_close()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_parallel_writers_keep_lines_whole(tmp_path: Path) -> None:
    """Four processes that write at once leave every one of their events as a line of its own."""
    path = tmp_path / "lineage" / "events.jsonl"
    words = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*words, str(number)]) for number in range(4)]
    assert [0] * 4 == [writer.wait(timeout=60) for writer in writers]
    found = {(each["writer"], each["number"]) for each in lines(path)}
    assert {(str(writer), number) for writer in range(4) for number in range(50)} == found
    assert 200 == len(lines(path))


def test_a_writer_waits_for_the_lock(tmp_path: Path) -> None:
    """While another process may still take its half line back, no line is added behind it."""
    path = tmp_path / "events.jsonl"
    path.touch()
    writer = threading.Thread(target=FileLineage(path).emit, args=({"number": 1},))
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer.start()
        writer.join(timeout=0.5)
        assert writer.is_alive()
        assert b"" == path.read_bytes()
    writer.join(timeout=30)
    assert [{"number": 1}] == lines(path)


def test_the_file_is_private(tmp_path: Path) -> None:
    """The file is readable by its owner only, also when another program made it first."""
    path = tmp_path / "events.jsonl"
    path.touch(0o644)
    FileLineage(path).emit({"number": 1})
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_line_cut_off_by_a_crash_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After half a line the next event still is a whole one, and the reader tells of the half."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"number":1}\n{"numb')
    FileLineage(path).emit({"number": 3})
    assert [{"number": 1}, {"number": 3}] == thread.read(path)
    assert [f"lineage: line 2 of {path} is broken and left out"] == caplog.messages


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """What could be written of an event before the disk was full is taken back."""
    path = tmp_path / "events.jsonl"
    FileLineage(path).emit({"number": 1})
    before = path.read_bytes()
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 100},) * 2);"
        "from pathlib import Path;from pipelines.adapters.openlineage import FileLineage;"
        f"FileLineage(Path({str(path)!r})).emit({{'filler': 'x' * 1000}})"
    )
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "OSError: [Errno 27]" in done.stderr
    assert before == path.read_bytes()
    assert resource.RLIM_INFINITY == resource.getrlimit(resource.RLIMIT_FSIZE)[0]


def test_events_reach_a_server_and_the_file(tmp_path: Path) -> None:
    """Over HTTP an event is posted where the standard says, and stands in the local file too."""
    local = FileLineage(tmp_path / "events.jsonl")
    with serving() as server:
        sink = HttpLineage(server.url, local)
        sink.emit({"number": 1})
        assert [{"path": "/api/v1/lineage", "number": 1}] == server.taken
    assert [{"number": 1}] == lines(local.path)
    assert [] == lines(sink.unsent)


def test_what_a_server_missed_is_sent_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the server down events wait in a spool with a warning, and go out in order later."""
    local = FileLineage(tmp_path / "events.jsonl")
    with serving(status=503) as server:
        sink = HttpLineage(server.url, local)
        sink.emit({"number": 1})
        sink.emit({"number": 2})
        assert f"lineage: 2 events wait in {sink.unsent}" == caplog.messages[-1]
        server.status = 201
        sink.emit({"number": 3})
        assert [1, 2, 3] == [each["number"] for each in server.taken]
    assert [] == lines(sink.unsent)
    assert [1, 2, 3] == [each["number"] for each in lines(local.path)]


def test_no_server_at_all_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With nobody listening the event is spooled, told on the log, and nothing is raised."""
    with serving() as server:
        gone = server.url
    sink = HttpLineage(gone, FileLineage(tmp_path / "events.jsonl"))
    sink.emit({"number": 1})
    assert [{"number": 1}] == lines(sink.unsent)
    assert "lineage: the server took no event: ConnectionError" in caplog.messages


def test_an_event_that_a_server_refuses_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that the server calls wrong is told on the log and not sent again and again."""
    with serving(status=422) as server:
        sink = HttpLineage(server.url, FileLineage(tmp_path / "events.jsonl"))
        sink.emit({"number": 1})
    assert ["lineage: the server refused an event with status 422"] == caplog.messages
    assert [] == lines(sink.unsent)


def test_an_address_that_is_none_is_a_bad_request(tmp_path: Path) -> None:
    """A server address that cannot be one is refused, and named as what it is."""
    with pytest.raises(BadRequest):
        HttpLineage("nowhere", FileLineage(tmp_path / "events.jsonl")).emit({"number": 1})


def test_configuration_chooses_the_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address events go into the state folder's file, with one to the server too."""
    state = State(tmp_path)
    monkeypatch.delenv(wiring.LINEAGE_URL_VARIABLE, raising=False)
    default = wiring.lineage(state)
    monkeypatch.setenv(wiring.LINEAGE_URL_VARIABLE, "http://127.0.0.1:9")
    assert [FileLineage, HttpLineage] == [type(default), type(wiring.lineage(state))]
