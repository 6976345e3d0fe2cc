"""The one place that chooses adapters; tests call it with in-memory ones."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.layout import Layout, State
from pipelines.ports import AlertTarget, Context, Lineage, Registry, Run, WatchLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipelines.ledger.key_store import KeyStore
    from pipelines.ledger.log import Ledger
    from pipelines.ledger.note import Signer, Verifier
    from pipelines.ledger.store import Store

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
LINEAGE_URL_VARIABLE = "OPENLINEAGE_URL"
PAGES_VARIABLE = "CLEW_PAGES_URL"
AIRFLOW_RUN_VARIABLE = "CLEW_AIRFLOW_RUN_ID"
LEDGER_URL_VARIABLE = "CLEW_LEDGER_URL"
LEDGER_GUARD_VARIABLE = "CLEW_LEDGER_GUARD"
KEYS_URL_VARIABLE = "CLEW_KEYS_URL"
ALERT_TARGETS_VARIABLE = "CLEW_ALERT_TARGETS"
RUN_VARIABLES = ("CLEW_RUN_ID", "CLEW_RUN_COMMIT", AIRFLOW_RUN_VARIABLE)


def context(layout: Layout, state: State) -> Context:
    """Return what a step is handed on this machine."""
    return Context(layout=layout, state=state, registry=registry(state), run=current_run())


def registry(state: State) -> Callable[[str], Registry]:
    """Return how to open the registry of a model name: MLflow, at its server or its database."""

    def opened(model_name: str) -> Registry:
        from pipelines.adapters.mlflow_registry import MlflowRegistry

        pages = os.environ.get(PAGES_VARIABLE, "")
        return MlflowRegistry(tracking_uri(state), model_name, state, pages)

    return opened


def prepare_registry(state: State) -> None:
    """Make the embedded registry's database when there is none; a server is left alone."""
    from pipelines.adapters.mlflow_transport import prepare

    prepare(tracking_uri(state), state)


def tracking_uri(state: State) -> str:
    """Return MLflow's address: ``MLFLOW_TRACKING_URI``, else the embedded database."""
    return os.environ.get(TRACKING_VARIABLE) or f"sqlite:///{state.mlflow_database}"


def lineage(state: State) -> Lineage:
    """Return where lineage goes: into a file; over HTTP too when ``OPENLINEAGE_URL`` is set."""
    from pipelines.adapters.openlineage import FileLineage, HttpLineage

    local = FileLineage(state.lineage)
    url = os.environ.get(LINEAGE_URL_VARIABLE)
    return HttpLineage(url, local) if url else local


def ledger(state: State) -> Ledger:
    """Open the ledger: PostgreSQL at ``CLEW_LEDGER_URL``, else SQLite in the state folder.

    The fork guard stands at ``CLEW_LEDGER_GUARD``, which belongs on another volume, else beside
    the keys. Raises NotThere before `prepare_ledger`, IntegrityBroken, Unavailable.
    """
    from pipelines.ledger import trust
    from pipelines.ledger.rotation import next_file
    from pipelines.ledger.secret_files import read_signer

    if next_file(state.ledger_signer).exists():
        hint = "clew keys rotate --log, which finishes it"
        raise Unavailable("a rotation of the ledger's signing key is under way", hint=hint)
    signer = read_signer(state.ledger_signer)
    former = trust.log_keys(trust.read(trust.former_file(state.ledger_signer)))
    return ledger_signed_by(state, signer, former)


def ledger_signed_by(state: State, signer: Signer, former: Sequence[Verifier]) -> Ledger:
    """Open the ledger with this signing key; what `former` keys signed is accepted."""
    from pipelines.ledger.guard import FileGuard
    from pipelines.ledger.keys import Keys
    from pipelines.ledger.log import Ledger

    keys = Keys(key_store(state), state.ledger_ring)
    return Ledger(ledger_store(state), keys, FileGuard(ledger_guard(state)), [signer], former)


def ledger_store(state: State) -> Store:
    """Open the ledger's store alone, without a look at what is in it."""
    from pipelines.adapters.sql_ledger import SqliteStore

    url = os.environ.get(LEDGER_URL_VARIABLE)
    if not url:
        return SqliteStore(state.ledger_database)
    from pipelines.adapters.postgres_ledger import PostgresStore

    return PostgresStore(url)


def key_store(state: State) -> KeyStore:
    """Open the data keys: PostgreSQL at ``CLEW_KEYS_URL``, else SQLite beside the other keys.

    Raises BadRequest where there are both: what the one's keys sealed, the other cannot open.
    """
    from pipelines.adapters.key_store import SqliteKeyStore

    url = os.environ.get(KEYS_URL_VARIABLE)
    if not url:
        return SqliteKeyStore(state.data_keys)
    if state.data_keys.exists():
        raise BadRequest(
            "data keys in a file, while a database is named for them",
            where=str(state.data_keys),
            expected=f"the one or the other of the file and {KEYS_URL_VARIABLE}",
            hint="clew keys move",
        )
    from pipelines.adapters.postgres_key_store import PostgresKeyStore

    return PostgresKeyStore(url)


def move_keys(state: State) -> int:
    """Move the data keys from the file into the database at ``CLEW_KEYS_URL``; return how many.

    The file is deleted once the database has them all. Raises NotThere without the one or other,
    BadRequest where the database's role may not destroy keys.
    """
    from pipelines.adapters.key_store import SqliteKeyStore
    from pipelines.adapters.postgres_key_store import PostgresKeyStore
    from pipelines.ledger.keys import Keys, copy_keys

    url = os.environ.get(KEYS_URL_VARIABLE)
    if not url or not state.data_keys.exists():
        raise NotThere("no file of data keys to move, or no database", where=KEYS_URL_VARIABLE)
    source = SqliteKeyStore(state.data_keys)
    target = Keys(PostgresKeyStore(url), state.ledger_ring)
    target.refuse_to_destroy()
    moved = copy_keys(Keys(source, state.ledger_ring), target.store)
    source.close()
    for path in state.keys.glob(f"{state.data_keys.name}*"):
        path.unlink()
    return moved


def ledger_guard(state: State) -> Path:
    """Return where the fork guard stands."""
    return Path(os.environ.get(LEDGER_GUARD_VARIABLE) or state.ledger_guard)


def prepare_ledger(state: State) -> None:
    """Make the ledger's keys and trust file where there is no ledger yet; else change nothing.

    Keys that are missing beside a ledger are never made anew: it could not be read any more.
    """
    from pipelines.environments import locked
    from pipelines.ledger.keys import create_ring
    from pipelines.ledger.secret_files import create_signer, read_signer

    with locked(state.keys / "ledger.lock"):
        if not (ledger_guard(state).exists() or state.ledger_database.exists()):
            if not state.ledger_ring.exists():
                create_ring(state.ledger_ring)
            if not state.ledger_signer.exists():
                create_signer(state.ledger_signer, f"clew.local/{secrets.token_hex(8)}")
        if not state.ledger_policy.exists():
            vkey = read_signer(state.ledger_signer).verifier.vkey()
            state.ledger_policy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            state.ledger_policy.write_text(f"log {vkey}\nquorum none\n")


def recorded_since(state: State) -> int | None:
    """Return when the ledger's first entry was made (ms since 1970); None without a ledger."""
    from pipelines.ledger.entry import read_entry

    if not (os.environ.get(LEDGER_URL_VARIABLE) or state.ledger_database.is_file()):
        return None
    store = ledger_store(state)
    try:
        found = [int(read_entry(row.entry)["ts"]) for row in store.rows(0, 1)]
    finally:
        store.close()
    return found[0] if found else None


def watch_log(state: State) -> WatchLog:
    """Return where the watch's reports stand beside the versions: MLflow."""
    from pipelines.adapters.mlflow_watch import MlflowWatchLog

    return MlflowWatchLog(tracking_uri(state), state)


def alert_targets(state: State) -> tuple[AlertTarget, ...]:
    """Return who is told of alarms: the file ``CLEW_ALERT_TARGETS``, else that beside the keys."""
    from pipelines.adapters.apprise_alerts import AppriseTarget
    from pipelines.watch import alerts, places

    chosen = os.environ.get(ALERT_TARGETS_VARIABLE)
    file = Path(chosen) if chosen else places.targets(state)
    return tuple(map(AppriseTarget, alerts.urls(file)))


def current_run() -> Run | None:
    """Return the run this process works for, as its parent said."""
    run_id, commit, airflow = (os.environ.get(name) for name in RUN_VARIABLES)
    return Run(run_id, commit, airflow) if run_id and commit else None
