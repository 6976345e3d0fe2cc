"""What a machine may choose about its stack: address, ports, size, databases, users."""

from __future__ import annotations

import ipaddress
import socket

import msgspec

from pipelines.errors import BadRequest, did_you_mean

ROLES = ("viewer", "user", "op", "admin")
HIGHEST_PORT = 65535
LOOPBACK = "127.0.0.1"
# Servers that may be left out, and the setting that leaves each out.
BY_CHOICE = {"decisions": "decisions", "pages": "decisions", "evidently": "evidently"}


class Ports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The port of each server; 0 stands for any free one."""

    airflow: int = 0
    execution: int = 0
    mlflow: int = 0
    decisions: int = 0
    pages: int = 0
    evidently: int = 0

    def __post_init__(self) -> None:
        for name, port in msgspec.structs.asdict(self).items():
            if type(port) is not int or not 0 <= port <= HIGHEST_PORT:
                raise BadRequest(
                    "not a port",
                    where=f"ports.{name}",
                    observed=port,
                    expected=f"a whole number from 0 (any free one) to {HIGHEST_PORT}",
                )
        fixed = [port for port in msgspec.structs.asdict(self).values() if port]
        if len(set(fixed)) != len(fixed):
            raise BadRequest("two servers on one port", where="ports", observed=fixed)


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who may log in: viewer reads, user triggers and approves, op configures."""

    name: str
    role: str

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise BadRequest(
                "not a user name", where="users", expected="letters, digits and underscores"
            )
        if self.role not in ROLES:
            raise BadRequest(
                "no such role",
                where=f"users.{self.name}",
                observed=self.role,
                expected=", ".join(ROLES),
                hint=did_you_mean(self.role, ROLES),
            )


DEFAULT_USERS = (User("admin", "admin"), User("engineer", "op"), User("approver", "user"))


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stack of one machine. Without a database URL, SQLite in the state folder is used.

    With `decisions` off the decision service and the record's pages are left out: they run
    elsewhere, or nowhere. With `evidently` off Evidently's pages of the watch are left out.
    """

    host: str = LOOPBACK
    ports: Ports = Ports()
    parallelism: int = 4
    users: tuple[User, ...] = DEFAULT_USERS
    airflow_database: str | None = None
    mlflow_database: str | None = None
    mlflow_artifacts: str | None = None
    lineage_url: str | None = None
    decisions: bool = True
    evidently: bool = True
    grace_seconds: float = 10.0

    def address(self, server: str) -> str:
        """Return ``http://host:port`` of one of the servers that `Ports` names."""
        return f"http://{self.host}:{getattr(self.ports, server)}"

    def __post_init__(self) -> None:
        _refuse_beyond_loopback(self.host)
        if type(self.parallelism) is not int or self.parallelism < 1:
            raise BadRequest(
                "not a number of parallel tasks",
                where="parallelism",
                observed=self.parallelism,
                expected="a whole number from 1",
            )
        if len({user.name for user in self.users}) != len(self.users) or not self.users:
            raise BadRequest("users must be named, each once", where="users")


def _refuse_beyond_loopback(host: str) -> None:
    """Raise BadRequest for a host that others can reach: MLflow's server asks nobody's name."""
    try:
        inside = ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise BadRequest(
            "the embedded stack listens on the loopback interface only",
            where="host",
            observed=host,
            expected="127.0.0.1",
            hint="put a proxy that checks who asks in front of it",
        )


def resolve_ports(settings: Settings, before: Ports | None = None) -> Settings:
    """Return the settings with every port chosen.

    A port left at 0 becomes the one used `before` if it is still free, so that links into the
    web pages outlive a restart; else any free one. A fixed port that is taken raises BadRequest.
    """
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name, wanted in msgspec.structs.asdict(settings.ports).items():
            if name in BY_CHOICE and not getattr(settings, BY_CHOICE[name]):
                continue
            former = getattr(before, name) if before else 0
            held.append(_bind(settings.host, name, wanted, former))
            chosen[name] = held[-1].getsockname()[1]
    finally:
        for one in held:
            one.close()
    return msgspec.structs.replace(settings, ports=Ports(**chosen))


def _bind(host: str, name: str, wanted: int, former: int) -> socket.socket:
    for port in [wanted] if wanted else [former, 0]:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError:
            bound.close()
        else:
            return bound
    raise BadRequest(
        "the port is taken",
        where=f"ports.{name}",
        observed=wanted,
        expected="a free port, or 0 for any",
        hint="clew doctor",
    )
