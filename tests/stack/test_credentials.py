"""Secrets and passwords: private, made once, never shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pipelines.errors import BadRequest
from pipelines.layout import State
from pipelines.stack import credentials
from pipelines.stack.settings import DEFAULT_USERS, User


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_secrets_are_long_enough_and_differ_each_time() -> None:
    """The signing secrets have at least 64 characters, the Fernet key 32 bytes."""
    first, second = credentials.new_secrets(), credentials.new_secrets()
    assert min(len(first.jwt_secret), len(first.cookie_key)) >= 64
    assert 32 == len(base64.urlsafe_b64decode(first.fernet_key))
    assert first.jwt_secret != second.jwt_secret
    assert first.fernet_key != second.fernet_key


def test_secrets_are_made_once(state: State) -> None:
    """A second start signs and decrypts with what the first one made."""
    assert credentials.ensure_secrets(state) == credentials.ensure_secrets(state)


def test_secrets_are_not_in_their_representation() -> None:
    """A secret does not reach a log by way of repr."""
    made = credentials.new_secrets()
    assert made.jwt_secret not in repr(made)


def test_only_the_owner_can_read_secrets_and_passwords(state: State) -> None:
    """Both files have mode 0600 whatever the umask is."""
    credentials.ensure_secrets(state)
    credentials.ensure_users(state, DEFAULT_USERS)
    modes = [path.stat().st_mode & 0o777 for path in (state.airflow_secrets, state.users)]
    assert [0o600, 0o600] == modes


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_password_file_that_others_can_read_is_refused(state: State, mode: int) -> None:
    """A file of passwords that is open to others stops the start."""
    credentials.ensure_users(state, DEFAULT_USERS)
    state.users.chmod(mode)
    with pytest.raises(BadRequest, match="others can read"):
        credentials.ensure_users(state, DEFAULT_USERS)


def test_a_new_user_gets_a_password_and_the_others_keep_theirs(state: State) -> None:
    """Adding a user changes nobody else's password."""
    credentials.ensure_users(state, DEFAULT_USERS)
    before = json.loads(state.users.read_text())
    credentials.ensure_users(state, (*DEFAULT_USERS, User("auditor", "viewer")))
    after = json.loads(state.users.read_text())
    assert before == {name: after[name] for name in before}
    assert len(after["auditor"]) >= 24


def test_an_unknown_user_has_no_password(state: State) -> None:
    """Asking for the password of nobody names who there is, and no password."""
    credentials.ensure_users(state, DEFAULT_USERS)
    with pytest.raises(BadRequest) as caught:
        credentials.password(state, "mallory")
    assert "admin, approver, engineer" == caught.value.expected


def test_a_damaged_file_of_secrets_is_refused_without_its_text(state: State) -> None:
    """A damaged file stops the start, and what stands in it is not repeated."""
    credentials.write_private(state.users, '{"admin": "hush')
    with pytest.raises(BadRequest, match="damaged") as caught:
        credentials.ensure_users(state, DEFAULT_USERS)
    assert "hush" not in str(caught.value)
