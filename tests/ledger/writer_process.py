"""Records decisions for ever in a process of its own, and writes down each acknowledged one.

python -m tests.ledger.writer_process FOLDER SQLITE_FILE_OR_POSTGRES_URL CALLERS
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pipelines.adapters.key_store import SqliteKeyStore
from pipelines.adapters.postgres_key_store import PostgresKeyStore
from pipelines.adapters.postgres_ledger import PostgresStore
from pipelines.adapters.sql_ledger import SqliteStore
from pipelines.errors import ClewError
from pipelines.ledger.guard import FileGuard
from pipelines.ledger.keys import Keys
from pipelines.ledger.log import Ledger
from pipelines.ledger.secret_files import read_signer
from pipelines.ledger.store import Store
from tests.ledger.places import draft, keys_url


def main() -> None:
    """Open the ledger of the folder and record until killed, or until it refuses."""
    folder, where, callers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    store: Store = PostgresStore(where) if "=" in where else SqliteStore(Path(where))
    kept = PostgresKeyStore(keys_url(where)) if "=" in where else SqliteKeyStore(folder / "keys.db")
    keys = Keys(kept, folder / "ring")
    ledger = Ledger(store, keys, FileGuard(folder / "guard"), [read_signer(folder / "signer")])
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    refused = threading.Event()
    os.write(acknowledged, b"open\n")

    def record(caller: int) -> None:
        number = 0
        while not refused.is_set():
            number += 1
            try:
                receipt = ledger.record(draft(f"s{caller}-{number}", b"x" * 500))
            except ClewError as error:
                refused.set()
                os.write(acknowledged, f"refused {type(error).__name__} {error.what}\n".encode())
                return
            os.write(acknowledged, f"{receipt.index} {receipt.id.hex()}\n".encode())

    threads = [threading.Thread(target=record, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
