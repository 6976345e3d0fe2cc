"""Make a production stack ready, once for each new image: what must be there before services start.

Every step leaves alone what is there already, so it can be run again at any time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, LiteralString

import pipelines
from pipelines.errors import BadRequest, Unavailable
from pipelines.layout import State
from pipelines.stack import folder
from pipelines.stack import production_secrets as files
from pipelines.stack.production import Production, stack
from pipelines.stack.services import API, migration
from pipelines.stack.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection

ADMIN_URL_VARIABLE: Final = "CLEW_POSTGRES_ADMIN_URL"
PASSWORD_FILE_VARIABLE: Final = "PGPASSFILE"  # noqa: S105 - a variable's name
START_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 2.0
MARK: Final = "clew-prepared"
SOURCE: Final = Path(pipelines.__file__).parents[1]
WHEELS: Final = Path(sys.prefix).parent / "wheels"
DATABASES: Final = {
    "airflow": files.AIRFLOW,
    "mlflow": files.MLFLOW,
    "ledger": files.OWNER,
    "keys": files.KEYS_OWNER,
}
GUESTS: Final = {
    "ledger": (files.WRITER, files.ERASER),
    "keys": (files.KEYS_WRITER, files.KEYS_ERASER),
}


def checkout(source: Path, repository: Path) -> str:
    """Bring the image's commit into the repository's volume and return it; runs there stay."""
    if not (repository / ".git").exists():
        _must("git", "clone", "--quiet", "--no-hardlinks", str(source), str(repository))
    inside = ("git", "-C", str(repository))
    _must(*inside, "fetch", "--quiet", str(source), "HEAD")
    _must(*inside, "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
    return _must(*inside, "rev-parse", "HEAD")


def require(repository: Path) -> None:
    """Raise Unavailable unless the repository was prepared by an image of this very commit."""
    mark = repository / ".git" / MARK
    found = mark.read_text(encoding="utf-8") if mark.exists() else "nothing yet"
    image = _must("git", "-C", str(SOURCE), "rev-parse", "HEAD")
    if found != image:
        raise Unavailable(
            "the stack is not prepared for this image",
            where=str(repository),
            observed=found[:12],
            expected=image[:12],
            hint="clew service prepare",
        )


def keep_wheels(kept: Path, state: State) -> int:
    """Copy the image's wheels into the state folder: an old model's outlive the image they came in.

    Returns how many locks' wheels are new there.
    """
    new = [each for each in kept.iterdir() if not (state.wheels / each.name).exists()]
    for each in new:
        draft = state.wheels / f".{each.name}"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(each, draft)
        draft.rename(state.wheels / each.name)
    return len(new)


def databases(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make roles and databases where they are missing, set the passwords, grant as little as works.

    A password crosses the wire as its SCRAM verifier. Raises Unavailable, or BadRequest when a role
    has no password.
    """
    import psycopg
    from psycopg import sql

    if lacking := [role for role in files.ROLES if role not in passwords]:
        raise BadRequest(
            "roles without a password",
            where=PASSWORD_FILE_VARIABLE,
            observed=", ".join(lacking),
            hint="docs/how-to/run-in-production.md: secrets",
        )
    try:
        with _connected(admin_url) as connection:
            for role in files.ROLES:
                name = sql.Identifier(role)
                if not _there(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
                hidden = connection.pgconn.encrypt_password(
                    passwords[role].encode(), role.encode(), b"scram-sha-256"
                )
                change = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(change.format(name, sql.Literal(hidden.decode())))
            for database, owner in DATABASES.items():
                _database(connection, database, owner)
    except psycopg.Error as error:
        raise Unavailable(
            "the database server cannot be prepared",
            observed=error.sqlstate or type(error).__name__,
        ) from error


def _connected(admin_url: str) -> Connection[Any]:
    """Connect to a server that may still be starting. Raises what the last try raised."""
    import psycopg

    end = time.monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(admin_url, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
        time.sleep(LOOK_SECONDS)


def _database(connection: Connection[Any], database: str, owner: str) -> None:
    """Make one database, owned by its role, closed to the rest."""
    from psycopg import sql

    name, role = sql.Identifier(database), sql.Identifier(owner)
    if not _there(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database):
        # Whoever creates a database for a role must be a member of it, on a managed server too.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        # By bytes: no index depends on the order of letters of one release of the C library.
        make = sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
        connection.execute(make.format(name, role))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for each in GUESTS.get(database, ()):
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        connection.execute(grant.format(name, sql.Identifier(each)))


def _there(connection: Connection[Any], query: LiteralString, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None


def ledger_tables(admin_url: str) -> None:
    """Make the tables of ledger and keys as their owners; those who decide may erase in neither."""
    from psycopg.conninfo import make_conninfo

    from pipelines.adapters import postgres_key_store, postgres_ledger

    ledger = make_conninfo(admin_url, user=files.OWNER, dbname="ledger")
    postgres_ledger.create_schema(ledger, files.WRITER, files.ERASER)
    keys = make_conninfo(admin_url, user=files.KEYS_OWNER, dbname="keys")
    postgres_key_store.create_schema(keys, files.KEYS_WRITER, files.KEYS_ERASER)


def run(
    state: State, repository: Path, production: Production, inherited: Mapping[str, str]
) -> str:
    """Prepare volumes, databases and the model's environment; return the commit now in force.

    Raises Unavailable when the database server, git or an environment cannot be had.
    """
    folder.prepare(state, Settings(users=production.users))
    commit = checkout(SOURCE, repository)
    state.wheels.mkdir(exist_ok=True)
    if WHEELS.is_dir():
        keep_wheels(WHEELS, state)
    admin_url = inherited[ADMIN_URL_VARIABLE]
    databases(admin_url, files.passwords(Path(inherited[PASSWORD_FILE_VARIABLE])))
    ledger_tables(admin_url)
    airflow = stack(state, repository, production, inherited)[API].environment
    _must(*migration(state, airflow).command, environment=airflow)
    clew = (sys.executable, "-m", "pipelines.cli", "init")
    _must(*clew, environment=airflow, cwd=repository)
    (repository / ".git" / MARK).write_text(commit, encoding="utf-8")
    return commit


def _must(
    *command: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a command and return what it printed. Raises Unavailable when it fails."""
    done = subprocess.run(
        command, env=environment or os.environ, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(
            "a step of the preparation failed",
            where=" ".join(Path(command[0]).name.split() + list(command[1:3])),
            observed="\n".join(said[-5:]),
            hint="run it again when the cause is gone",
        )
    return done.stdout.strip()
