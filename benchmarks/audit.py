"""Measure the audit bundle: write one of many decisions, and check it with a fresh Python.

    python -m benchmarks.audit [--records 100000] [--subjects 100000]

Every decision is a real record of the decision service's own form, encrypted under its person's
data key. The check runs in a process of its own that imports nothing of Clew.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipelines.account import audit
from pipelines.account.left_out import left
from pipelines.decisions.record import Call, Recorder
from pipelines.decisions.service.in_force import InForce
from pipelines.layout import Layout
from tests.account.worlds import world
from tests.decisions import desks, versions
from tests.model.small import CONTRACT

ROOT = Path(__file__).resolve().parent.parent
CALL = Call(caller="benchmark", purpose="decision", request_id="r", notice="ask a person")
SPAN = (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
BATCH = 5000


def main() -> None:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--subjects", type=int, default=100_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = world(Path(folder) / "world")
        fill(made.recorder, made.bench.watch, chosen.records, chosen.subjects)
        print("| figure | whole records | two fields left out |\n|---|---|---|")
        rows = [measure(made, Path(folder) / name, fields) for name, fields in CASES.items()]
        for name in rows[0]:
            print(f"| {name} | {' | '.join(f'{row[name]:.1f}' for row in rows)} |")
        made.bench.place.close()


CASES: dict[str, tuple[str, ...]] = {"whole": (), "partly": ("income", "subject")}


def fill(recorder: Recorder, watch: InForce, records: int, subjects: int) -> None:
    """Record decisions about made-up people."""
    watch.refresh()
    seen = watch.seen
    assert seen.loaded is not None, seen.trouble  # noqa: S101
    for start in range(0, records, BATCH):
        many = []
        for number in range(start, min(start + BATCH, records)):
            data = versions.application(person=f"p{number % subjects}", income=float(number % 900))
            many.append((data, desks.decided(seen.loaded.model, data), os.urandom(16)))
        recorder.record_many(many, seen.loaded.origin, CALL)


def measure(made, folder: Path, fields: tuple[str, ...]) -> dict[str, float]:  # noqa: ANN001
    """Return seconds and megabytes of one bundle."""
    asked = audit.Asked(*SPAN, left(fields, CONTRACT), "Ada", "benchmark")
    policy = made.bench.place.policy
    start, before = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
    audit.run(made.ledger, made.bench.registry, Layout(ROOT), policy, asked, folder)
    written, children = time.perf_counter(), _cpu(resource.RUSAGE_CHILDREN)
    writing = _cpu(resource.RUSAGE_SELF) - before
    command = [sys.executable, "-I", folder / "check.py", folder, "--policy", policy]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    checked = time.perf_counter()
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "write, s": written - start,
        "write, processor s": writing,
        "check, s": checked - written,
        "check, processor s": _cpu(resource.RUSAGE_CHILDREN) - children,
        "size, MB": size / 1e6,
    }


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
