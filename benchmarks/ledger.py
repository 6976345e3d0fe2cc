"""Measure the ledger against named floors, each pair side by side in one run.

    python -m benchmarks.ledger [--rounds 20] [--records 100000] [--proofs 1000000] [--no-postgres]

A floor and what is measured against it alternate in small chunks, for a disk's speed changes within
seconds; a ratio is the median over the chunks, with the quartiles. A record is about a subject that
the ledger has not seen, and needs a data key of its own, or about one of a thousand that it knows;
each figure says which. It is 2,048 bytes, encrypted, sealed and durable before the caller goes on.
32 callers wait as threads, or as tasks of one event loop in the way of the decision service.
The server and the files use this machine's disk; nothing is mocked. Verifying is measured in
seconds of CPU, which other work on the machine stretches less than those of the clock; both are
told. Proofs are made in a log of short records, for a proof is of entries and none of them is
longer for it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import psycopg

from pipelines.decisions.service.desk import Seals
from pipelines.ledger import verify
from pipelines.ledger.log import Ledger
from tests.ledger.places import PostgresPlace, SqlitePlace, draft
from tests.ledger.postgres import Cluster

BODY = os.urandom(2048)
CALLERS = 32
ALONE = 10
EACH = 20
BATCH = 1000
# Until a write-ahead log has been filled once, each sync waits for the file to grow as well.
BEFORE = 4
CHUNK = 10_000
PROOFS = 500
SYNCS = 200
NEW = itertools.count(BATCH)
KNOWN = itertools.cycle(range(BATCH))
SUBJECTS = {"new subjects": NEW, "known subjects": KNOWN}
FOLDERS = ("sqlite", "postgres", "reading", "proofs")
Work = Callable[[], None]


def paired(floor: Work, ours: Work, rounds: int, weight: float = 1.0) -> dict[str, float]:
    """Return how fast `ours` is beside `floor`, alternating; `weight` is floor's work for ours."""
    ratios = []
    floor()
    ours()
    for _ in range(rounds):
        before, middle, after = timed(floor), timed(ours), timed(floor)
        ratios.append((before + after) / 2 * weight / middle)
    low, median, high = statistics.quantiles(ratios, n=4)
    return {"ratio": round(median, 2), "from": round(low, 2), "to": round(high, 2)}


def timed(work: Work) -> float:
    """Return how many seconds a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bare_sqlite(path: Path, body: bytes = BODY) -> Callable[[int, int], Work]:
    """Return a maker of floors: so many transactions of so many bare durable inserts."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE record(seq INTEGER PRIMARY KEY, body BLOB)")

    def insert(transactions: int, rows: int) -> None:
        for _ in range(transactions):
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO record(body) VALUES (?)", [(body,)] * rows)
            db.execute("COMMIT")

    return lambda transactions, rows: lambda: insert(transactions, rows)


def sync_figure(folder: Path) -> dict[str, object]:
    """Return how long the disk takes to keep two kilobytes more: what a ratio hangs on."""
    taken = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(BODY)
            taken.append(timed(partial(os.fdatasync, file.fileno())))
    return {"one sync of the disk, ms": in_ms(taken)}


def in_ms(seconds: list[float]) -> list[float]:
    """Return the quartiles of times in milliseconds."""
    return [round(1000 * each, 2) for each in statistics.quantiles(seconds, n=4)]


def record(ledger: Ledger, count: int, numbers: Iterator[int]) -> None:
    """Record decisions one after the other, each sealed before the next."""
    for _ in range(count):
        ledger.record(draft(f"subject {next(numbers)}", BODY))


def at_once(work: Work) -> None:
    """Run a piece of work in 32 threads and wait for all."""
    threads = [threading.Thread(target=work) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def record_in_loop(ledger: Ledger, count: int, numbers: Iterator[int]) -> None:
    """Record as many decisions in each of 32 tasks, which wait as those of the service do."""

    async def caller(seals: Seals) -> None:
        for _ in range(count):
            ticket = await seals.hand_in(draft(f"subject {next(numbers)}", BODY))
            ticket.result(0.0)

    async def callers() -> None:
        seals = Seals(ledger)
        await asyncio.gather(*(caller(seals) for _ in range(CALLERS)))

    asyncio.run(callers())


def ways_to_wait(ledger: Ledger, numbers: Iterator[int]) -> dict[str, Work]:
    """Return the work of 32 callers at once, by how they wait."""
    return {
        "32 threads": partial(at_once, partial(record, ledger, EACH, numbers)),
        "32 tasks of one loop": partial(record_in_loop, ledger, EACH, numbers),
    }


def record_batch(ledger: Ledger, numbers: Iterator[int]) -> None:
    """Record a batch of decisions about the subjects of these numbers."""
    ledger.record_many(
        draft(f"subject {number}", BODY) for number in itertools.islice(numbers, BATCH)
    )


def sqlite_figures(folder: Path, rounds: int) -> dict[str, object]:
    """Return the ratios for SQLite."""
    place = SqlitePlace(folder)
    ledger, bare = place.ledger(), bare_sqlite(folder / "bare.db")
    for _ in range(BEFORE):
        record_batch(ledger, KNOWN)
        bare(1, BATCH)()
    figures = sync_figure(folder)
    for whom, numbers in SUBJECTS.items():
        alone = partial(record, ledger, ALONE, numbers)
        figures[f"SQLite, 1 caller, {whom} / bare durable insert"] = paired(
            bare(ALONE, 1), alone, rounds
        )
        for callers, ours in ways_to_wait(ledger, numbers).items():
            figures[f"SQLite, {callers}, {whom} / bare durable insert"] = paired(
                bare(100, 1), ours, rounds // 2, CALLERS * EACH / 100
            )
        figures[f"SQLite, batch of 1000, {whom} / bare batch"] = paired(
            bare(1, BATCH), partial(record_batch, ledger, numbers), rounds
        )
    place.close()
    return figures


def postgres_figures(folder: Path, rounds: int) -> dict[str, object]:
    """Return the ratios for PostgreSQL at 32 callers, beside 32 connections that insert bare."""
    home = Path(tempfile.mkdtemp(prefix="pg"))
    cluster = Cluster(home, durable=True)
    place = PostgresPlace(folder, cluster, "bench")
    place.query("CREATE TABLE record(seq bigserial PRIMARY KEY, body bytea)")
    ledger = place.ledger()
    connections = [psycopg.connect(place.url, autocommit=True) for _ in range(CALLERS)]
    free = list(connections)

    def insert() -> None:
        connection = free.pop()
        for _ in range(EACH):
            connection.execute("INSERT INTO record(body) VALUES (%b)", [BODY])
        free.append(connection)

    record_batch(ledger, KNOWN)
    figures: dict[str, object] = {}
    for whom, numbers in SUBJECTS.items():
        for callers, ours in ways_to_wait(ledger, numbers).items():
            name = f"PostgreSQL, {callers}, {whom} / bare insert at 32 connections"
            figures[name] = paired(partial(at_once, insert), ours, rounds // 2)
    for connection in connections:
        connection.close()
    place.close()
    cluster.stop("immediate")
    shutil.rmtree(home)
    return figures


def reading_figures(folder: Path, records: int) -> dict[str, object]:
    """Return the speed of a full verification of a log of so many records."""
    place = SqlitePlace(folder)
    ledger = place.ledger()
    ledger.record_many(draft(f"s{number % 500}", BODY) for number in range(records))
    cpu = time.process_time()
    taken = timed(lambda: check(place))
    cpu = time.process_time() - cpu
    hashed = [BODY + entry for entry in (row.entry for row in ledger.store.rows(0, records))]
    raw = time.process_time()
    consume(hashlib.sha256(each).digest() for each in hashed)
    raw = time.process_time() - raw
    place.close()
    return {
        "records in the log": records,
        "full verify, records/s of the clock": round(records / taken),
        "full verify, records/s a core": round(records / cpu),
        "full verify / raw SHA-256 over the same bytes, CPU": round(cpu / raw, 1),
    }


def proof_figures(folder: Path, records: int) -> dict[str, object]:
    """Return how long one inclusion proof takes, from the database, in a log of so many records."""
    place = SqlitePlace(folder)
    ledger = place.ledger()
    for _ in range(0, records, CHUNK):
        ledger.record_many(draft(f"s{number % 500}", b"x") for number in range(CHUNK))
    size = ledger.checkpoint()[0].size
    spread = [size * place // PROOFS for place in range(PROOFS)]
    prove(ledger, 1)
    wall = [timed(partial(prove, ledger, index)) for index in spread]
    cpu = time.process_time()
    for index in spread:
        prove(ledger, index)
    cpu = time.process_time() - cpu
    place.close()
    return {
        "entries in the log of proofs": size,
        "inclusion proof from the database, ms": in_ms(wall),
        "inclusion proof from the database, ms of CPU": round(1000 * cpu / PROOFS, 2),
    }


def check(place: SqlitePlace) -> None:
    """Verify a log and insist that it is fine."""
    code, text = verify.verify(place.path, place.policy)
    if code != verify.FINE:
        raise SystemExit(text)


def prove(ledger: Ledger, index: int) -> None:
    """Make one proof from the database."""
    ledger.proof(index)


def consume(work: Iterable[object]) -> None:
    """Do lazy work to its end."""
    for _ in work:
        pass


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--proofs", type=int, default=1_000_000)
    parser.add_argument("--no-postgres", action="store_true")
    chosen = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench") as home:
        folders = [Path(home, name).absolute() for name in FOLDERS]
        for folder in folders:
            folder.mkdir()
        if chosen.rounds:
            figures |= sqlite_figures(folders[0], chosen.rounds)
        if chosen.rounds and not chosen.no_postgres:
            figures |= postgres_figures(folders[1], chosen.rounds)
        if chosen.records:
            figures |= reading_figures(folders[2], chosen.records)
        if chosen.proofs:
            figures |= proof_figures(folders[3], chosen.proofs)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
