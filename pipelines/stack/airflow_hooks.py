"""What Airflow's configuration names by import path: cheap to load, for every process does."""

from __future__ import annotations

SQLITE_PATIENCE_SECONDS = 30
# Airflow's API servers are two processes, so a writer always gets its turn: waiting is enough.
SQLITE_ARGUMENTS = {"timeout": SQLITE_PATIENCE_SECONDS}


def loopback() -> str:
    """Return the name Airflow calls this machine by. The default asks a name server for it."""
    return "127.0.0.1"
