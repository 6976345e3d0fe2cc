"""The command line's behaviour as plain sessions: read `tests/cli/*.txt` like a terminal.

A line ``$ clew …`` is run in a scratch clone; the lines after it are what it printed, with ``! ``
before what went to stderr, and ``[exit N]`` when the exit code is not 0; a single ``…`` stands for
anything but a failure. Digests stand as <sha>,
commits as <commit>, folders of the test as <clone> and <state>.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.layout import State

HERE = Path(__file__).resolve().parent
SESSIONS = sorted(HERE.glob("*.txt"))


def commands(session: Path) -> list[tuple[str, list[str]]]:
    """Return each command of a session with the lines it is to print."""
    found: list[tuple[str, list[str]]] = []
    for line in session.read_text(encoding="utf-8").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line and not line.startswith("# "):
            found[-1][1].append(line)
    return found


def run(command: str, folder: Path, state: State) -> list[str]:
    """Run one command and return what it printed, in the form of a session."""
    program, *words = shlex.split(command.replace("<state>", str(state.home)))
    assert program == "clew"
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    out = [line for line in done.stdout.splitlines() if line]
    err = [f"! {line}" for line in done.stderr.splitlines() if line]
    code = [f"[exit {done.returncode}]"] if done.returncode else []
    return [_steady(line, folder, state) for line in [*out, *err, *code]]


def _steady(line: str, folder: Path, state: State) -> str:
    line = line.replace(str(state.home), "<state>").replace(str(folder), "<clone>")
    line = re.sub(r"\b[0-9a-f]{64}\b", "<sha>", line)
    return re.sub(r"\b[0-9a-f]{12,40}\b", "<commit>", line)


@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_session(session: Path, scratch: Path, state: State) -> None:
    """What the command line prints is what the session shows."""
    for command, expected in commands(session):
        printed = run(command, scratch, state)
        if expected == ["…"]:
            assert not [line for line in printed if line.startswith("[exit")], printed
        else:
            assert expected == printed, command


def test_there_are_sessions() -> None:
    """An empty folder of sessions does not pass for a tested command line."""
    assert 3 <= len(SESSIONS)
