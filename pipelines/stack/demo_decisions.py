"""The demo goes on: decide, verify what was recorded, and tamper with a copy of it."""

from __future__ import annotations

import csv
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines import quiet
from pipelines.errors import IntegrityBroken, NotThere, by_exit_code
from pipelines.layout import State

COUNT = 200
VERIFIER = Path("pipelines") / "ledger" / "verify.py"
FINE, TAMPERED = 0, 1
FOLDER = "demo"

Tell = Callable[[str], None]


def play(repository: Path, state: State, mlflow: str, tell: Tell) -> dict[str, object]:
    """Decide about the first landed applications with the champion; return where to look.

    The log is verified by the one-file verifier in a process of its own, and so is a copy in which
    one byte was changed: that one must fail, or IntegrityBroken is raised.
    """
    folder = state.home / FOLDER
    folder.mkdir(exist_ok=True)
    asked, decided = folder / "applications.csv", folder / "decisions.jsonl"
    first_rows(sorted(state.landing.glob("*.csv")), asked)
    tell(f"deciding about {COUNT} applications: clew score {asked} --out {decided}")
    environment = quiet.environment(state) | {"MLFLOW_TRACKING_URI": mlflow}
    clew(repository, environment, "score", str(asked), "--out", str(decided))
    copy = folder / "tampered.db"
    _copied(state.ledger_database, copy)
    found = _verified(repository, copy, state)
    tell(f"verified offline, exit {found[0]}: {found[1]}")
    _change_one_byte(copy)
    caught = _verified(repository, copy, state)
    tell(f"one byte changed in a copy, exit {caught[0]}: {caught[1]}")
    if (found[0], caught[0]) != (FINE, TAMPERED):
        raise IntegrityBroken("the verifier did not tell the log from the tampered copy")
    return {"decisions": decided, "ledger": state.ledger_database}


def first_rows(files: list[Path], target: Path) -> None:
    """Write the header and the first rows of the first landed CSV file. Raises NotThere."""
    if not files:
        raise NotThere("nothing landed as CSV", hint="python examples/…/land.py FOLDER")
    with files[0].open(encoding="utf-8", newline="") as source:
        rows = [row for row, _ in zip(csv.reader(source), range(COUNT + 1), strict=False)]
    with target.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(rows)


def clew(repository: Path, environment: dict[str, str], *words: str) -> None:
    """Run one command in a process of its own; its failure is raised as its own kind."""
    command = [sys.executable, "-m", "pipelines.cli", *words]
    done = subprocess.run(command, cwd=repository, env=environment, check=False)
    if done.returncode:
        kind = by_exit_code(done.returncode)
        raise kind(f"clew {words[0]} failed", observed=f"exit code {done.returncode}")


def _copied(database: Path, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
        source.backup(target)


def _change_one_byte(copy: Path) -> None:
    """Flip the lowest bit of the first byte of one sealed record's ciphertext."""
    with sqlite3.connect(copy) as database:
        query = "SELECT rowid, ct FROM part ORDER BY seq LIMIT 1 OFFSET 100"
        row, text = database.execute(query).fetchone()
        changed = bytes([text[0] ^ 1]) + text[1:]
        database.execute("UPDATE part SET ct = ? WHERE rowid = ?", (changed, row))


def _verified(repository: Path, log: Path, state: State) -> tuple[int, str]:
    """Run the one-file verifier alone; return its exit code and what it said."""
    words = [str(repository / VERIFIER), str(log), "--policy", str(state.ledger_policy)]
    done = subprocess.run(
        [sys.executable, "-I", *words],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()
