"""The sandbox: what runs in it reaches no network, changes no file, and sees no more than named."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from pipelines.account import again
from pipelines.account.sandbox import KINDS, Kind, Sandbox, choose
from pipelines.errors import NotThere, Unavailable

BASE = Path(sys.base_prefix)
PYTHON = str(BASE / "bin" / f"python3.{sys.version_info[1]}")
PROBE = """
import json, os, socket, sys
from pathlib import Path
def tried(work):
    try:
        work()
    except OSError:
        return False
    return True
def told(process):
    try:
        return b"CLEW_SECRET" in (process / "environ").read_bytes()
    except OSError:
        return False
port, shown, hidden = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
print(json.dumps({
    "network": tried(lambda: socket.create_connection(("127.0.0.1", port), 2)),
    "reads": tried(lambda: (shown / "file").read_bytes()),
    "writes": tried(lambda: (shown / "new").write_bytes(b"")),
    "sees": hidden.exists(),
    "secret": os.environ.get("CLEW_SECRET"),
    "others": any(map(told, Path("/proc").glob("[0-9]*"))),
    "given": os.environ.get("GIVEN"),
}))
"""


def sandbox(kind: Kind) -> Sandbox:
    try:
        return choose(kind)
    except NotThere:
        pytest.skip(f"{kind} does not work on this machine")


def probed(kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the probe in a sandbox that sees one of two folders, beside a listening port."""
    monkeypatch.setenv("CLEW_SECRET", "secret")
    shown, hidden = folder / "shown", folder / "hidden"
    for each in (shown, hidden):
        each.mkdir()
        (each / "file").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        words = [PYTHON, "-c", PROBE, str(server.getsockname()[1]), str(shown), str(hidden)]
        command = sandbox(kind).command(words, [BASE, shown], {"GIVEN": "given"})
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _accept(server: socket.socket) -> None:
    try:
        server.accept()
    except OSError:
        return


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_sandbox_says_of_itself_is_so(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network, files and environment are as the receipt will tell; a secret is in none of them."""
    found = probed(kind, tmp_path, monkeypatch)
    told = sandbox(kind)
    assert (told.network, not told.read_only, not told.read_only) == (
        found["network"],
        found["writes"],
        found["sees"],
    )
    assert (True, None, "given") == (found["reads"], found["secret"], found["given"])
    assert not (told.read_only and found["others"])  # no process in sight was started with it


def test_the_strictest_that_works_is_taken() -> None:
    """Where several work the first of the list is chosen; a plain process always works."""
    working = [kind for kind in KINDS if _works(kind)]
    assert working[0] == choose().kind
    assert "process" == working[-1]


def _works(kind: Kind) -> bool:
    try:
        return choose(kind).kind == kind
    except NotThere:
        return False


@pytest.mark.parametrize("says", ["", "sys.stdout.buffer.write(b'\\xff' * 8); sys.stdout.flush()"])
def test_what_gives_no_answer_is_ended(says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs, or says that it will say more than fits, holds nobody up for ever."""
    monkeypatch.setattr(again, "ANSWER_SECONDS", 600.0 if says else 1.0)
    monkeypatch.setattr(again, "END_SECONDS", 0.1)
    words = [sys.executable, "-c", f"import sys, time; {says or 'pass'}; time.sleep(600)"]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        with pytest.raises(Unavailable, match="could not decide again"):
            again._answer(process, errors)
        assert -signal.SIGKILL == process.returncode
