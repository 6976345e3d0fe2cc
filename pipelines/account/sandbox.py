"""Where old code runs again: without network, with read-only files, and nothing else in sight.

| kind | network | files | what is needed |
|---|---|---|---|
| bubblewrap | off | only those named, read-only | `bwrap`, and user namespaces |
| container | off | only those named, read-only | podman or docker |
| network | off | as this user's | `unshare`, and user namespaces |
| process | on | as this user's | nothing |
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from pipelines.errors import NotThere

Kind = Literal["bubblewrap", "container", "network", "process"]
KINDS: Final[tuple[Kind, ...]] = ("bubblewrap", "container", "network", "process")
# What an interpreter that was linked on this system needs of it, where it is there.
SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/lib32",
    "/bin",
    "/etc/ld.so.cache",
    "/etc/os-release",
    "/etc/alternatives",
)
ENGINES: Final = ("podman", "docker")
IMAGE: Final = "localhost/clew-empty:1"
PROBE_SECONDS: Final = 20
LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One way to run a command apart from everything else."""

    kind: Kind
    engine: str = ""

    @property
    def network(self) -> bool:
        """Say whether what runs in it can reach a network."""
        return self.kind == "process"

    @property
    def read_only(self) -> bool:
        """Say whether what runs in it can change no file."""
        return self.kind in {"bubblewrap", "container"}

    def command(
        self, command: Sequence[str], files: Sequence[Path], variables: Mapping[str, str]
    ) -> list[str]:
        """Return `command` wrapped: it sees `files` (folders too) under their own names."""
        if self.kind == "bubblewrap":
            # It stays as the sandbox's first process, whose environment what runs there can read.
            return ["env", "-i", self.engine, *_bubblewrap(files, variables), *command]
        if self.kind == "container":
            return [self.engine, *_container(files, variables), IMAGE, *command]
        told = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command]
        if self.kind == "network":
            return [self.engine, "--map-root-user", "--net", "--", *told]
        return told


def _bubblewrap(files: Sequence[Path], variables: Mapping[str, str]) -> list[str]:
    words = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - its own
    for name in SYSTEM:
        words += ["--ro-bind-try", name, name]
    for path in files:
        words += ["--ro-bind", str(path), str(path)]
    for name, value in variables.items():
        words += ["--setenv", name, value]
    return [*words, "--remount-ro", "/", "--chdir", "/", "--"]


def _container(files: Sequence[Path], variables: Mapping[str, str]) -> list[str]:
    words = ["run", "--rm", "--interactive", "--network=none", "--read-only", "--cap-drop=all"]
    words += ["--security-opt=no-new-privileges", "--pull=never", "--workdir=/", "--tmpfs=/tmp"]
    # An engine's own default limits may be above what its user may set, which no runtime accepts.
    words += [f"--ulimit=nofile={LIMIT}:{LIMIT}", f"--ulimit=nproc={LIMIT}:{LIMIT}"]
    there = [Path(name) for name in SYSTEM if Path(name).exists()]
    for path in (*there, *files):
        words.append(f"--volume={path.resolve()}:{path}:ro")
    return [*words, *(f"--env={name}={value}" for name, value in variables.items())]


def choose(wanted: Kind | None = None) -> Sandbox:
    """Return the strictest sandbox that works here, or the one that is wanted. Raises NotThere."""
    for kind in (wanted,) if wanted else KINDS:
        if found := _working(kind):
            return found
    raise NotThere("no such sandbox on this machine", observed=wanted, hint="clew doctor")


@cache
def _working(kind: Kind) -> Sandbox | None:
    if kind == "process":
        return Sandbox("process")
    programs = {"bubblewrap": ("bwrap",), "network": ("unshare",), "container": ENGINES}[kind]
    for program in programs:
        path = shutil.which(program)
        if path and (kind != "container" or _imported(path)):
            made = Sandbox(kind, path)
            if _runs(made.command(["/usr/bin/env", "true"], [], {"PATH": "/usr/bin:/bin"})):
                return made
    return None


def _imported(engine: str) -> bool:
    """Make the empty image where there is none: all that a container sees is mounted into it."""
    if _runs([engine, "image", "inspect", IMAGE]):
        return True
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as file:
        for name in ("tmp", "proc", "dev", "sys", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            file.addfile(folder)
    return _runs([engine, "import", "-", IMAGE], empty.getvalue())


def _runs(command: Sequence[str], given: bytes = b"") -> bool:
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=given,
            capture_output=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
