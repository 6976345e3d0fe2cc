"""The stack's secrets and passwords: made once, kept with mode 0600, never printed."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.stack.settings import User
from pipelines.whole_file import write_whole

SECRET_BYTES = 64
PASSWORD_BYTES = 18
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class Secrets:
    """What Airflow's processes sign and encrypt with; the same in all of them."""

    jwt_secret: str
    fernet_key: str
    cookie_key: str

    def __repr__(self) -> str:
        return "Secrets(not shown)"


def new_secrets() -> Secrets:
    """Return fresh secrets: two of 86 characters, and a Fernet key of 32 bytes in base64."""
    return Secrets(
        jwt_secret=secrets.token_urlsafe(SECRET_BYTES),
        fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
        cookie_key=secrets.token_urlsafe(SECRET_BYTES),
    )


def ensure_secrets(state: State) -> Secrets:
    """Return the state folder's secrets; make them on the first start."""
    path = state.airflow_secrets
    if not path.exists():
        write_private(path, json.dumps(asdict(new_secrets())))
    return Secrets(**_read_private(path))


def ensure_users(state: State, users: Iterable[User]) -> None:
    """Give each user without a password one. Passwords that are there stay as they are."""
    path = state.users
    known = _read_private(path) if path.exists() else {}
    missing = [user.name for user in users if user.name not in known]
    if missing:
        fresh = {name: secrets.token_urlsafe(PASSWORD_BYTES) for name in missing}
        write_private(path, json.dumps(known | fresh, indent=1))


def password(state: State, user: str) -> str:
    """Return one user's password. Raises BadRequest for a user the file does not name."""
    known = _read_private(state.users) if state.users.exists() else {}
    if user not in known:
        raise BadRequest(
            f"no user '{user}'",
            where=str(state.users),
            expected=", ".join(sorted(known)) or "a password file",
            hint="clew up",
        )
    return known[user]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    write_whole(path, text.encode(), PRIVATE_FILE)


def _read_private(path: Path) -> dict[str, str]:
    """Return a private file's mapping. Refuses one that others can read, or that is damaged."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise BadRequest(
            "others can read a file of secrets",
            where=str(path),
            observed=oct(mode),
            expected=oct(PRIVATE_FILE),
            hint=f"chmod 600 {path}",
        )
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        read = None
    if not isinstance(read, dict) or not all(isinstance(text, str) for text in read.values()):
        raise BadRequest("a damaged file of secrets", where=str(path), expected="a JSON mapping")
    return read
