"""No telemetry: the main job, and what it starts, never tries to leave this machine."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines import quiet
from pipelines.layout import State
from tests.conftest import ROOT, git

GUARD = ROOT / "tests" / "network_guard.py"
# Programs keep quiet of their own accord where they see a test or a build server.
GIVES_A_TEST_AWAY = ("CI", "GITHUB_", "GITLAB_", "PYTEST_", "TF_BUILD", "BUILDKITE", "TRAVIS")
CONTROL = """
import socket, subprocess, sys
def tried(what):
    try:
        what()
    except OSError:
        return
    sys.exit("it got out")
tried(lambda: socket.create_connection(("192.0.2.1", 443), 3))
tried(lambda: socket.getaddrinfo("name.invalid", 443))
tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.2", 9)))
tried(lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 443)))
here = socket.create_server(("127.0.0.1", 0))
socket.create_connection(here.getsockname(), 3)
"""
TALKATIVE = """
import subprocess, sys, time
subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True)
subprocess.run([sys.executable, "-m", "dvc", "config", "core.check_update", "false"], check=True)
from evidently.telemetry import event_logger
event_logger.send_event("a", "b", use_thread=False, use_daemon=False)
import mlflow
mlflow.set_tracking_uri("sqlite:///m.db")
mlflow.create_experiment("e")
time.sleep(3)
"""
LONGEST = 880
FASTER = {r"grid_size: \d+": "grid_size: 5", r"bootstrap_samples: \d+": "bootstrap_samples: 100"}
READ_BY = {
    "DO_NOT_TRACK": ("evidently/telemetry.py", "mlflow/telemetry/utils.py"),
    "ITERATIVE_DO_NOT_TRACK": ("iterative_telemetry/__init__.py",),
    "MLFLOW_DISABLE_TELEMETRY": ("mlflow/environment_variables.py",),
    "MLFLOW_MODEL_CATALOG_URI": ("mlflow/environment_variables.py",),
    "DVC_NO_ANALYTICS": ("dvc/env.py",),
}
JOB = """
set -e
python examples/boston_mortgages/land.py "$CLEW_HOME/landing"
python -m pipelines.cli ingest --run-id data-1
python -m pipelines.cli retrain --data data-1 --run-id train-1 || [ $? -eq 4 ]
python -m pipelines.cli lineage train-1
"""


def guarded(
    folder: Path, command: list[str], cwd: Path, environment: Mapping[str, str]
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, str]]]:
    """Run a command under the guard; give how it ended and every attempt to get out."""
    report = folder / "attempts.json"
    clean = {k: v for k, v in environment.items() if not k.startswith(GIVES_A_TEST_AWAY)}
    words = [sys.executable, str(GUARD), str(report), *command]
    done = subprocess.run(
        words, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    assert report.exists(), done.stderr
    return done, json.loads(report.read_text())


def talk(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Give where DVC, Evidently's sender and MLflow try to go when they are used in `folder`."""
    _, attempts = guarded(folder, [sys.executable, "-c", TALKATIVE], folder, environment)
    return [each["to"] for each in attempts]


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_the_switches_are_what_keeps_it_quiet(tmp_path: Path) -> None:
    """DVC, MLflow and Evidently do try to report when the switches are not set, and not with."""
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    bare = {k: v for k, v in os.environ.items() if k not in quiet.TELEMETRY_OFF} | home
    (tmp_path / "loud").mkdir()
    (tmp_path / "quiet").mkdir()
    assert [] != talk(tmp_path / "loud", bare)
    assert [] == talk(tmp_path / "quiet", bare | quiet.TELEMETRY_OFF)


@pytest.mark.parametrize("switch", sorted(quiet.TELEMETRY_OFF))
def test_every_switch_is_read(switch: str) -> None:
    """An installed program reads each switch by that name, and there is no switch beside these."""
    packages = Path(sysconfig.get_path("purelib"))
    text = "".join((packages / file).read_text(encoding="utf-8") for file in READ_BY[switch])
    assert f'"{switch}"' in text
    assert set(READ_BY) == set(quiet.TELEMETRY_OFF)


def test_dvc_does_not_look_for_updates() -> None:
    """DVC's look for a newer version, which no variable stops, is off in the project's settings."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / ".dvc" / "config")
    assert ["false", "false"] == [settings["core"][name] for name in ("analytics", "check_update")]


@pytest.mark.e2e
def test_the_guard_counts_every_way_out(tmp_path: Path) -> None:
    """A grandchild's connection, name look-up and packet are each counted, and none gets out."""
    inner = (
        f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {CONTROL!r}]))"
    )
    done, attempts = guarded(
        tmp_path, ["sh", "-c", f'"{sys.executable}" -c "$0"', inner], tmp_path, os.environ
    )
    assert (0, "") == (done.returncode, done.stderr)
    places = [each["to"] for each in attempts]
    assert {"192.0.2.1 port 443", "192.0.2.2 port 9", "2001:db8::1 port 443"} <= set(places)
    assert [] != [place for place in places if "name look-up" in place or "resolver" in place]
    assert [] == [
        place
        for place in places
        if place.startswith("127.0.0.1 port") and ":" not in place and "look-up" not in place
    ]


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_the_main_job_tries_nothing(scratch: Path, state: State, tmp_path: Path) -> None:
    """Landing, every step, DVC, Evidently's reports and MLflow's registry stay on this machine."""
    environment = quiet.environment(state)
    git(scratch, "config", "user.name", "test")
    git(scratch, "config", "user.email", "test@localhost")
    text = (scratch / "params.yaml").read_text()
    for slow, fast in FASTER.items():
        text, count = re.subn(slow, fast, text)
        assert count > 0
    (scratch / "params.yaml").write_text(text)
    git(scratch, "commit", "--quiet", "--all", "--message", "less of the same")
    subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "init"], cwd=scratch, env=environment, check=True
    )
    done, attempts = guarded(tmp_path, ["sh", "-c", JOB], scratch, environment)
    assert 0 == done.returncode, done.stderr
    assert [] == attempts
    events = state.lineage.read_text()
    assert [] == [name for name in ("gate", "register") if f'"name":"{name}"' not in events]
