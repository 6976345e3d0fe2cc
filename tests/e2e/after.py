"""What is tried where the demo has run: batches, kills, and a search for a person."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from pipelines.layout import State
from tests.conftest import git

PARQUET = b"PAR1"


def entries(state: State) -> int:
    """Return how many entries the ledger holds."""
    with sqlite3.connect(f"file:{state.ledger_database}?mode=ro", uri=True) as database:
        return int(database.execute("SELECT COUNT(*) FROM entry").fetchone()[0])


def killed_at(state: State, clone: Path, words: list[str], count: int) -> int:
    """Start a command, kill it once the ledger holds `count` more entries; return its exit code."""
    before = entries(state)
    running = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=clone,
        env=os.environ | {"CLEW_HOME": str(state.home), "PYTHONPATH": str(clone)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while entries(state) < before + count and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    return running.wait()


def unlike_others(landed: Path) -> tuple[str, str]:
    """Return a person of a CSV file, and a value that nobody else's row holds in any column."""
    with landed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    counts = Counter(value for row in rows for value in row)
    for row in rows[:200]:
        rare = [value for value in row[1:] if counts[value] == 1 and len(value) > 8]
        if rare:
            return row[0], rare[0]
    raise AssertionError("nobody stands out")


def naming(folder: Path, *words: str) -> set[Path]:
    """Return the files under a folder that hold a word, inside Parquet too."""
    wanted = [word.encode() for word in words]
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path for path in files if any(word in content(path) for word in wanted)}


def content(path: Path) -> bytes:
    """Return a file's bytes, and what a Parquet file's columns read as."""
    raw = path.read_bytes()
    if raw[:4] != PARQUET:
        return raw
    columns = pq.read_table(path).columns
    told = (str(value) for column in columns for value in column.to_pylist())
    return raw + "\n".join(told).encode()


def held(state: State, clone: Path, runs: Iterable[str]) -> set[Path]:
    """Return the files that versioned data of these runs stand in, in cache and remote."""
    found: set[Path] = set()
    for run in runs:
        name = f"refs/clew/runs/{run}"
        lock = yaml.safe_load(git(clone, "show", f"{name}:dvc.lock"))
        landed = yaml.safe_load(git(clone, "show", f"{name}:data/landed.dvc"))
        outs = [out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
        for md5 in [*outs, landed["outs"][0]["md5"]]:
            found |= versioned(state, md5)
    return found


def versioned(state: State, md5: str) -> set[Path]:
    """Return the files of one output: a file, or a folder's list and what it lists."""
    places = [
        root / "files" / "md5" / md5[:2] / md5[2:] for root in (state.dvc_cache, state.dvc_remote)
    ]
    found = {path for path in places if path.exists()}
    for path in [path for path in found if md5.endswith(".dir")]:
        for item in yaml.safe_load(path.read_text()):
            found |= versioned(state, item["md5"])
    return found
