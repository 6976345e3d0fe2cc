"""Records decisions under idempotency keys until killed or refused, and writes each one down.

python -m tests.decisions.recorder_process FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipelines.decisions.record import Recorder
from pipelines.errors import ClewError
from tests.decisions import desks, versions
from tests.ledger.places import SqlitePlace


class Opened(SqlitePlace):
    """A place that is there already."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened, self.stores = folder, [], []


def main() -> None:
    """Ask for the same keys in order, from the first, as a client does after a crash."""
    folder = Path(sys.argv[1])
    model = versions.loaded(folder / f"model-{os.getpid()}")
    recorder = Recorder(Opened(folder).ledger())
    notes = os.open(folder / "given", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for place in range(100_000):
        data = versions.application(person=f"p{place}")
        number = recorder.number("client", f"key {place}")
        try:
            found = recorder.repeated(number, data) or recorder.record(
                data, desks.decided(model, data), desks.ORIGIN, desks.CALL, number
            )
        except ClewError as error:
            os.write(notes, f"refused {type(error).__name__}\n".encode())
            return
        os.write(notes, f"{place} {found.index} {found.id}\n".encode())


if __name__ == "__main__":
    main()
