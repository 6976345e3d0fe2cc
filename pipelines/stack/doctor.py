"""Look at everything the stack needs and say of each thing what is, what should be, what to do.

A check that cannot be made has failed.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from pipelines import quiet
from pipelines.errors import ClewError
from pipelines.layout import State
from pipelines.stack import record
from pipelines.stack.health import healthy, said
from pipelines.stack.services import DECISIONS, EVIDENTLY, HEALTH, PAGES, Health, decision_health
from pipelines.stack.settings import Ports, Settings, resolve_ports

OLDEST_PYTHON = (3, 11)
OLDEST_GIT = (2, 31)
FREE_BYTES = 2 << 30
SKEW_SECONDS = 5.0
CHILD_SECONDS = 60
PINNED = re.compile(r"^(?P<requirement>[A-Za-z0-9][^#\n]*?)\s*\\?$", re.MULTILINE)
WATCH_HINT = "docs/how-to/watch.md"
COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
THREADS = """
import json, numpy, threadpoolctl
print(json.dumps(max([pool["num_threads"] for pool in threadpoolctl.threadpool_info()] or [0])))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw."""

    name: str
    ok: bool
    observed: str
    expected: str
    hint: str = ""


Examined = tuple[bool, str]


def examine(
    state: State,
    repository: Path,
    lock: Path,
    settings: Settings,
    instead: Mapping[str, tuple[Callable[[], Examined], str]] | None = None,
) -> tuple[Finding, ...]:
    """Make every check. `lock` is the lock file of what should be installed.

    `instead` are checks, each with its hint, that stand for those of the same name.
    """
    setup = "make setup"
    checks: tuple[tuple[str, Callable[[], Examined], str, str], ...] = (
        ("python", python, f"at least {_dotted(OLDEST_PYTHON)}", "install a newer Python"),
        ("git", git, f"at least {_dotted(OLDEST_GIT)}", "install a newer git"),
        ("packages", lambda: packages(lock), f"what {lock.name} pins", setup),
        ("bytecode", bytecode, "compiled packages", "python -m compileall -q <site-packages>"),
        ("clock", lambda: clock(state, repository), "after the last commit", "set the clock"),
        (
            "state folder",
            lambda: private(state),
            "mode 0700, secrets 0600",
            "chmod -R go= <folder>",
        ),
        ("disk", lambda: disk(state), f"{FREE_BYTES >> 30} GiB free", "make room"),
        ("fsync", lambda: fsync(state), "written through", "move CLEW_HOME to a local disk"),
        ("threads", lambda: threads(state), "1 thread of BLAS and OpenMP", setup),
        ("ports", lambda: ports(state, settings), "free, or this stack's", "choose other ports"),
        ("databases", lambda: databases(state, settings), "reachable", "start the database"),
        ("services", lambda: services(state), "running and healthy", record.HINT),
        ("watch", lambda: watch(state, repository), "on time, alerts delivered", WATCH_HINT),
    )
    chosen = {name: (check, hint) for name, check, _, hint in checks} | dict(instead or {})
    return tuple(_find(name, chosen[name][0], said, chosen[name][1]) for name, _, said, _ in checks)


def _find(name: str, check: Callable[[], Examined], expected: str, hint: str) -> Finding:
    try:
        ok, observed = check()
    except ClewError as error:
        ok, observed = False, error.what
    except Exception as error:  # noqa: BLE001 - a check that cannot be made has failed
        ok, observed = False, f"could not be checked: {type(error).__name__}"
    return Finding(name, ok, observed, expected, "" if ok else hint)


def python() -> Examined:
    """Return whether this interpreter is new enough."""
    return sys.version_info[:2] >= OLDEST_PYTHON, sys.version.split()[0]


def git() -> Examined:
    """Return whether git is there and new enough for worktrees and refs of one's own."""
    said = _output(["git", "--version"])
    found = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    return found >= OLDEST_GIT, said.removeprefix("git version ")


def packages(lock: Path) -> Examined:
    """Return whether every package of the lock is installed in the version it pins."""
    pinned = _pinned(lock.read_text(encoding="utf-8"))
    wrong = [
        f"{one.name} {_installed(one.name) or 'missing'}"
        for one in pinned
        if not one.specifier.contains(_installed(one.name) or "0", prereleases=True)
    ]
    shown = ", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else "")  # noqa: PLR2004
    right = f"{len(pinned) - len(wrong)} of {len(pinned)} as pinned"
    return bool(pinned) and not wrong, right + (f"; not: {shown}" if wrong else "")


def bytecode() -> Examined:
    """Return whether Airflow's code is compiled: if not, every start takes three times as long."""
    source = importlib.util.find_spec("airflow")
    if source is None or source.origin is None:
        return False, "no Airflow"
    compiled = Path(importlib.util.cache_from_source(source.origin)).exists()
    return compiled, "compiled" if compiled else "not compiled"


def clock(state: State, repository: Path) -> Examined:
    """Return whether the clock is after the last commit and agrees with the disk's."""
    committed = float(_output(["git", "-C", str(repository), "log", "-1", "--format=%ct"]))
    with tempfile.TemporaryFile(dir=_existing(state.home)) as file:
        skew = abs(os.fstat(file.fileno()).st_mtime - time.time())
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    right = time.time() >= committed and skew < SKEW_SECONDS
    return right, f"{now}, {skew:.1f} s beside the disk's"


def private(state: State) -> Examined:
    """Return whether nobody else can read the state folder and the files of secrets."""
    if not state.home.exists():
        return True, "not made yet"
    files = (state.home, state.users, state.airflow_secrets, state.airflow, state.keys)
    modes = {path.name: path.stat().st_mode & 0o777 for path in files if path.exists()}
    open_ = [f"{name} {mode:o}" for name, mode in modes.items() if mode & 0o077]
    return not open_, ", ".join(open_) or f"{len(modes)} of {len(modes)} private"


def disk(state: State) -> Examined:
    """Return whether the state folder's disk has room."""
    free = shutil.disk_usage(_existing(state.home)).free
    return free >= FREE_BYTES, f"{free / (1 << 30):.1f} GiB free"


def fsync(state: State) -> Examined:
    """Return whether a file and its folder can be written through to the disk."""
    folder = _existing(state.home)
    begun = time.perf_counter()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"clew")
        file.flush()
        os.fsync(file.fileno())
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return True, f"{(time.perf_counter() - begun) * 1000:.1f} ms"


def threads(state: State) -> Examined:
    """Return how many threads a process started by Clew computes with."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=quiet.environment(state),
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_SECONDS,
    )
    most = json.loads(done.stdout)
    return most == 1, f"{most}"


def ports(state: State, settings: Settings) -> Examined:
    """Return whether the servers' ports can be had."""
    found = record.last(state)
    if found and found.status != "stopped" and record.alive(found.supervisor):
        return True, f"in use by this stack: {_listed(found.ports)}"
    return True, f"free: {_listed(resolve_ports(settings).ports)}"


def databases(state: State, settings: Settings) -> Examined:
    """Return whether each database lists its tables. One not made yet is no fault."""
    from sqlalchemy import create_engine, inspect

    chosen = {
        "Airflow": settings.airflow_database or _there(state.airflow_database),
        "MLflow": settings.mlflow_database or _there(state.mlflow_database),
    }
    seen = []
    for name, url in chosen.items():
        if url:
            engine = create_engine(url)
            inspect(engine).get_table_names()  # SQLite answers SELECT 1 without its file
            engine.dispose()
        seen.append(f"{name} {'answers' if url else 'not made yet'}")
    return True, ", ".join(seen)


def services(state: State) -> Examined:
    """Return whether the stack runs and each of its servers calls itself healthy."""
    running = record.ready(state)
    page = f"{running.airflow}{HEALTH}"
    asked = {name: Health(page, name) for name in COMPONENTS}
    asked["mlflow"] = Health(f"{running.mlflow}/health")
    asked["execution"] = Health(f"http://{running.host}:{running.ports.execution}/execution/health")
    if running.decisions:
        asked[DECISIONS] = decision_health(running.decisions)
    if running.evidently:
        asked[EVIDENTLY] = Health(f"{running.evidently}/api/version")
    if running.pages:
        asked[PAGES] = Health(f"{running.pages}health")
    sick = [name for name, health in asked.items() if not healthy(health)]
    well = f"{len(asked)} healthy{waiting(running.decisions)}"
    return not sick, f"not healthy: {', '.join(sick)}" if sick else well


def watch(state: State, repository: Path) -> Examined:
    """Return whether every window that was due was watched, and every alert reached somebody."""
    from pipelines import params, wiring
    from pipelines.layout import Layout
    from pipelines.watch import alerts, late
    from pipelines.watch.places import Places

    known = params.read(Layout(repository).params)
    places, since = Places(state, known.model_name), wiring.recorded_since(state)
    now = dt.datetime.now(dt.UTC)
    missed = late.missed(known, places.watched, now, since)
    found = (*missed, *alerts.undelivered(places.journals()))
    if found:
        return False, "; ".join(each.said for each in found)
    since_when = "nothing was recorded yet" if since is None else "no window was missed"
    return True, since_when


def waiting(decisions: str) -> str:
    """Return why the decision service at this address gives no decisions; empty when it does."""
    page = said(decision_health(decisions)) if decisions else {}
    return f"; decisions wait: {page.get('registry')}" if page.get("decides") is False else ""


def _listed(ports: Ports) -> str:
    named = msgspec.structs.asdict(ports)
    return ", ".join(f"{name} {number}" for name, number in named.items())


def _there(database: Path) -> str:
    return f"sqlite:///{database}" if database.exists() else ""


def _pinned(lock: str) -> tuple[Requirement, ...]:
    """Return the requirements of a lock's text that hold for this Python and system."""
    found = [Requirement(line) for line in PINNED.findall(lock)]
    return tuple(one for one in found if one.marker is None or one.marker.evaluate())


def _installed(name: str) -> str:
    """Return the installed version of a package, or nothing."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=CHILD_SECONDS
    )
    return done.stdout.strip()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
