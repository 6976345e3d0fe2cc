"""What DAG files read of the repository when they are parsed: names and crons for their forms."""

from __future__ import annotations

import os

from _step_task import REPOSITORY
from airflow.sdk import Param
from airflow.sdk.configuration import conf

from pipelines.layout import Layout
from pipelines.params import Params, read

APPROVERS_VARIABLE = "CLEW_APPROVERS"
APPROVING_ROLE = "user"
LAYOUT = Layout(REPOSITORY)
CHECKS = REPOSITORY / "pipelines" / "release" / "checks"


def params() -> Params:
    """Return the repository's parameters."""
    return read(LAYOUT.params)


def check_names() -> list[str]:
    """Return the names of the checks: those of their files."""
    return sorted(each.stem for each in CHECKS.glob("*.py") if not each.stem.startswith("_"))


def policy_names() -> list[str]:
    """Return the names of the policy packs: those of their files."""
    return sorted(each.stem for each in LAYOUT.policies.glob("*.yaml"))


def choice(names: list[str], title: str, description: str) -> Param:
    """Return a field that takes one of `names`, or nothing."""
    return Param(
        None, type=["null", "string"], enum=[None, *names], title=title, description=description
    )


def text(title: str, description: str, pattern: str) -> Param:
    """Return a field that takes a text of this form, or nothing."""
    return Param(
        None, type=["null", "string"], pattern=pattern, title=title, description=description
    )


def approvers() -> list[str]:
    """Return who may approve: ``CLEW_APPROVERS``, else the users whose role is `user`.

    Airflow takes an empty list for "anybody", so who uses this must refuse one.
    """
    if named := os.environ.get(APPROVERS_VARIABLE):
        return [name.strip() for name in named.split(",") if name.strip()]
    users = conf.get("core", "simple_auth_manager_users", fallback="")
    pairs = [user.strip().split(":") for user in users.split(",")]
    return [words[0] for words in pairs if words[1:2] == [APPROVING_ROLE]]
