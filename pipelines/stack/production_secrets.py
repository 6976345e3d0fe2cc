"""The files of secrets of a production stack: made once, one folder, each for those who need it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from pipelines.errors import BadRequest
from pipelines.stack.credentials import new_secrets, write_private

OWNER, WRITER, ERASER = "ledger_owner", "ledger_writer", "ledger_eraser"
KEYS_OWNER, KEYS_WRITER, KEYS_ERASER = "keys_owner", "keys_writer", "keys_eraser"
AIRFLOW, MLFLOW, SUPERUSER = "airflow", "mlflow", "postgres"
ROLES: Final = (AIRFLOW, MLFLOW, OWNER, WRITER, ERASER, KEYS_OWNER, KEYS_WRITER, KEYS_ERASER)
# File: the roles whose passwords it holds. A service is given one of them.
PASSWORD_FILES: Final = {
    "pgpass-admin": (SUPERUSER, *ROLES),
    "pgpass-airflow": (AIRFLOW,),
    "pgpass-worker": (AIRFLOW, ERASER, KEYS_ERASER),
    "pgpass-mlflow": (MLFLOW,),
    "pgpass-decisions": (WRITER, KEYS_WRITER),
}
PASSWORD_BYTES: Final = 32


def make() -> dict[str, str]:
    """Return every file's name and text, freshly drawn."""
    passwords = {role: secrets.token_urlsafe(PASSWORD_BYTES) for role in (SUPERUSER, *ROLES)}
    broker = secrets.token_urlsafe(PASSWORD_BYTES)
    keys = new_secrets()
    return {
        "fernet-key": keys.fernet_key,
        "jwt-secret": keys.jwt_secret,
        "cookie-key": keys.cookie_key,
        "broker-url": f"redis://:{broker}@redis:6379/0",
        "redis.conf": f'requirepass {broker}\nsave ""\nappendonly no\n',
        "postgres-password": passwords[SUPERUSER],
        **{
            file: "".join(f"*:*:*:{role}:{passwords[role]}\n" for role in roles)
            for file, roles in PASSWORD_FILES.items()
        },
    }


def write(folder: Path) -> list[str]:
    """Write the files, mode 0600, into a folder that has none of them; return their names.

    Raises BadRequest when one is there: a secret in use is never drawn anew by accident.
    """
    made = make()
    there = sorted(name for name in made if (folder / name).exists())
    if there:
        raise BadRequest(
            "secrets are here already",
            where=str(folder),
            observed=", ".join(there),
            expected="an empty folder",
            hint="see docs/how-to/run-in-production.md: change a secret",
        )
    for name, text in made.items():
        write_private(folder / name, text)
    return sorted(made)


def passwords(pgpass: Path) -> dict[str, str]:
    """Return the password of each role that a password file of libpq's names."""
    lines = pgpass.read_text(encoding="utf-8").splitlines()
    fields = [line.split(":", 4) for line in lines if line.count(":") >= 4]  # noqa: PLR2004
    return {role: word for _, _, _, role, word in fields}
