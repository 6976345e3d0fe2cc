"""How MLflow is asked, and how its errors are told apart: an answer, or none.

Only MLflow itself saying RESOURCE_DOES_NOT_EXIST means that something does not exist. A refused
connection, a 404 from some other server, a locked or missing database say nothing of what is in
the registry: they are Unavailable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from pipelines.environments import locked
from pipelines.errors import BadRequest, ClewError, NotThere, Unavailable
from pipelines.layout import State

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

SQLITE = "sqlite:///"
PROXIED = "mlflow-artifacts:/"
# MLflow's own defaults wait two minutes, eight times over, for a server that is not there.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is a command's result
}
PROBE_SECONDS = 2.0
HINT = "clew doctor"


class Listed(Protocol):
    """A stored file's path, as MLflow lists it."""

    path: str


class Artifacts(Protocol):
    """What is used of MLflow's artifact stores, which are not typed."""

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store a folder's files."""

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store one file."""

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Copy a folder into `dst_path`; return where it is."""

    def list_artifacts(self, path: str | None = None) -> list[Listed]:
        """Return what is stored in a folder."""


class Transport:
    """One MLflow: a tracking server's URL, or its SQLite database in this process."""

    def __init__(self, uri: str, state: State) -> None:
        self.uri = uri
        self.state = state
        self._client: MlflowClient | None = None

    @property
    def embedded(self) -> bool:
        """Whether there is no server between this process and the database."""
        return self.uri.startswith(SQLITE)

    @contextmanager
    def asking(self) -> Iterator[MlflowClient]:
        """Yield MLflow's client; its errors become Unavailable, NotThere or BadRequest."""
        import requests
        from google.protobuf.json_format import Error as NotAsAgreed  # type: ignore[import-untyped]
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield self._opened()
        except ClewError:
            raise
        except MlflowException as error:
            raise self._translated(error) from error
        except (
            *(requests.RequestException, NotAsAgreed),
            *(SQLAlchemyError, sqlite3.Error, OSError),
        ) as error:
            raise self._unavailable(type(error).__name__) from error

    def _opened(self) -> MlflowClient:
        if self.embedded:
            _probe(Path(self.uri.removeprefix(SQLITE)))
        if self._client is None:
            from mlflow import MlflowClient

            _configure()
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client

    def _translated(self, error: MlflowException) -> ClewError:
        code = str(error.error_code)
        message = str(error).splitlines()[0]
        if code == "RESOURCE_DOES_NOT_EXIST":
            return NotThere("MLflow has no such thing", where=self.uri, observed=message)
        if code in ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"):
            return BadRequest("MLflow refused the request", where=self.uri, observed=message)
        return self._unavailable(code)

    def _unavailable(self, observed: str) -> Unavailable:
        expected = "an MLflow tracking server that answers"
        if self.embedded:
            expected = "MLflow's database, there and not locked"
        return Unavailable(
            "the model registry does not answer",
            where=self.uri,
            observed=observed,
            expected=expected,
            hint=HINT,
        )

    def artifacts(self, uri: str) -> Artifacts:
        """Return the store behind an artifact address that a run or model names.

        With no server to proxy them, the server's addresses are folders in the state folder.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if self.embedded and uri.startswith(PROXIED):
            folder = self.state.mlflow_artifacts / uri.removeprefix(PROXIED).lstrip("/")
            return cast("Artifacts", get_artifact_repository(folder.as_uri()))
        return cast("Artifacts", get_artifact_repository(uri, tracking_uri=self.uri))


def _configure() -> None:
    from mlflow import environment_variables

    for name, value in SETTINGS.items():
        variable = getattr(environment_variables, name)
        if not variable.is_set():
            variable.set(value)


def _probe(database: Path) -> None:
    """Raise Unavailable unless the database is there, readable and MLflow's.

    MLflow's own client makes a missing database anew, and a new one has no champion.
    """
    observed = _state_of(database)
    if observed:
        raise Unavailable(
            "the model registry does not answer",
            where=str(database),
            observed=observed,
            expected="MLflow's database, there and not locked",
            hint="clew init (if it was never made), else clew doctor",
        )


def _state_of(database: Path) -> str | None:
    if not database.is_file():
        return "no such file"
    try:
        with closing(
            sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=PROBE_SECONDS)
        ) as connection:
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("SELECT 1 FROM registered_models LIMIT 1").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None


def prepare(uri: str, state: State) -> None:
    """Make the embedded database and the folder for artifacts, once. A server needs nothing."""
    if not uri.startswith(SQLITE):
        return
    database = Path(uri.removeprefix(SQLITE))
    with locked(database.with_name(f"{database.name}.lock")):
        state.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
        if database.is_file():
            _probe(database)
            return
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(uri, state.mlflow_artifacts.as_uri())  # type: ignore[no-untyped-call]
