"""Starts a real PostgreSQL from the installed binaries, as a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from tests.system import require

OPTIONS = "-c max_connections=80 -c shared_buffers=32MB -c autovacuum=off -c max_wal_size=256MB"


def binaries() -> Path:
    """Return the folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=version)
    alone = shutil.which("initdb")
    require(found or alone, "postgresql")
    return found[-1].parent if found else Path(str(alone)).resolve().parent


def version(program: Path) -> float:
    return float(program.parent.parent.name)


class Cluster:
    """One PostgreSQL server in a folder, listening on a free port and a socket there."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """Start one; a durable one waits for the disk, others only outlive their processes."""
        self.options = OPTIONS if durable else f"{OPTIONS} -c fsync=off"
        self.folder = folder
        self.data = folder / "data"
        self.programs = binaries()
        self.port = free_port()
        self.user = unprivileged_user()
        folder.chmod(0o755)
        self.data.mkdir()
        if self.user:
            shutil.chown(self.data, self.user)
            shutil.chown(folder, self.user)
        self.run("initdb", "-D", str(self.data), "-U", "owner", "-A", "trust", "-N", "-E", "UTF8")
        self.start()

    @property
    def url(self) -> str:
        return f"host={self.folder} port={self.port} user=owner dbname=postgres"

    def start(self) -> None:
        options = f"-k {self.folder} -h 127.0.0.1 -p {self.port} {self.options}"
        log = str(self.data / "server.log")
        self.run("pg_ctl", "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; mode ``immediate`` is a crash."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def run(self, program: str, *words: str, text: str | None = None) -> str:
        done = subprocess.run(
            [str(self.programs / program), *words],
            user=self.user or None,
            cwd=self.folder,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
        assert 0 == done.returncode, done.stdout
        return done.stdout


def unprivileged_user() -> str:
    """Return the user to run the server as, empty when this process is not root already."""
    if os.geteuid() != 0:
        return ""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
