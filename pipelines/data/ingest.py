"""Bring landed data in, byte for byte; refuse what must not be versioned, before it is.

Only rows of people who were erased are left out; how many is kept beside the record.

Everything is fetched into a sibling folder and admitted there; one rename puts it in place, so
that a kill leaves what was there before. Pinning (`dvc add`) is the caller's.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import params as parameters
from pipelines.canonical import sha256_file
from pipelines.contract import read as read_contract
from pipelines.data import admit, exclude, sources
from pipelines.data.files import landed_without
from pipelines.layout import Layout
from pipelines.params import Source
from pipelines.ports import Context
from pipelines.records import Landed, SourceFile

TEMPORARY = ".landing-"


def describe(kind: str, folder: Path) -> Landed:
    """Return the record of the files in a folder, ordered by name."""
    found = tuple(
        SourceFile(name=path.name, bytes=path.stat().st_size, sha256=sha256_file(path))
        for path in sorted(folder.iterdir())
    )
    return Landed(kind=kind, files=found)  # type: ignore[arg-type]


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Give a new folder beside `target`; what is left of it is removed at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(fresh: Path, target: Path) -> None:
    """Rename `fresh` to `target`; what stood there goes away only after it was moved aside."""
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
        target.rename(old / "old")
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(target)


def sweep(layout: Layout) -> None:
    """Remove what killed runs left beside the landed folder; put back a landing moved aside."""
    for left in sorted(layout.landed.parent.glob(f"{TEMPORARY}*")):
        if (left / "old").is_dir() and not layout.landed.exists():
            (left / "old").rename(layout.landed)
        shutil.rmtree(left, ignore_errors=True)


def run(context: Context, *, source: Source | None = None, location: str | None = None) -> Landed:
    """Fetch, admit and keep one landing; return its record.

    `source` and `location` stand in for those of `params.yaml`. Raises DataRefused for data that
    is not admitted, Unavailable for what may work later, NotThere when nothing landed.
    """
    layout = context.layout
    data = parameters.read(layout.params).data
    chosen = source or data.source
    place = location or chosen.location
    contract = read_contract(layout.contract)
    sweep(layout)
    with beside(layout.landed) as folder:
        fresh = folder / "landed"
        fresh.mkdir()
        sources.fetch(
            chosen,
            place,
            fresh,
            state=context.state,
            chunk_rows=data.chunk_rows,
            environ=os.environ,
        )
        without = exclude.leave_out(
            fresh, contract.subject, data.encoding, exclude.known(context.state)
        )
        landed = describe(chosen.kind, fresh)
        admit.admit(landed, fresh, contract, data.encoding)
        landed.write(fresh / layout.landed_record.name)
        if without:
            text = json.dumps({"rows_of_people_erased": without}, sort_keys=True)
            (fresh / landed_without(layout).name).write_text(text + "\n", encoding="utf-8")
        for path in fresh.iterdir():
            os.chmod(path, 0o644)  # noqa: PTH101 - data files, readable like any of git's
        put_in_place(fresh, layout.landed)
    return landed
