"""What every command does alike when the machine under it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import voice
from pipelines.errors import Unavailable
from tests.account.world import ROOT


def clew(words: list[str], home: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "pipelines.cli", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "CLEW_HOME": home, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_system_refuses_is_told_without_a_traceback() -> None:
    """A folder that cannot be made, a full disk: a message with the file, and try again later."""
    done = clew(["apikey", "bank", "--role", "decide"], "/dev/null/state", ROOT)
    assert Unavailable.exit_code == done.returncode
    assert "/dev/null/state" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sign", ["\x1b[2J", "\n", "\x9b", "\x7f"])
def test_no_value_is_carried_out_by_a_terminal(
    sign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A control sign in what is on record is shown as a gap, in a table and in a list."""
    voice.result([{"reason": f"a{sign}b"}], as_json=False)
    voice.record({"reason": f"a{sign}b"}, as_json=False)
    assert 2 == capsys.readouterr().out.count("a\ufffd")
